"""Where mail goes when nobody configured a route: MX records, their order, their absence, and no answer."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fakes.dns import SILENT, FakeDns
from tests.fakes.prepared import DOMAIN, Port, Prepared, message
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import LoopThread, Receiver

FIRST, SECOND, DEAD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
ZONE = {
    DOMAIN: {"MX": ["10 second.mx.example."]},
    "first.mx.example": {"A": [FIRST]},
    "second.mx.example": {"A": [SECOND]},
    "dead.mx.example": {"A": [DEAD]},
    "plain.example": {"MX": ["10 first.mx.example.", "20 second.mx.example."]},
    "first-dead.example": {"MX": ["10 dead.mx.example.", "20 second.mx.example."]},
    "first-unknown.example": {"MX": ["10 missing.mx.example.", "20 second.mx.example."]},
    "one-address-dead.example": {"MX": ["10 both.mx.example."]},
    "both.mx.example": {"A": [DEAD, SECOND]},
    "address-only.example": {"A": [FIRST]},
    "alias.example": {"CNAME": ["plain.example."]},
    "no-mail.example": {"MX": ["0 ."]},
    "nothing.example": {"TXT": ['"v=spf1 -all"']},
    "broken.example": "SERVFAIL",
    "silent.example": SILENT,
    "down.example": {"MX": ["10 dead.mx.example."]},
}


class Net:
    """Two receivers at one port of different addresses, a third address where nobody is, and the DNS."""

    def __init__(self, stack: ExitStack) -> None:
        thread = LoopThread()
        stack.callback(thread.end)
        self.dns = thread.run(_enter(FakeDns(dict(ZONE))))
        stack.callback(lambda: thread.run(self.dns.__aexit__()))
        ports = _same_port(FIRST, SECOND, DEAD)
        self.port = ports[0].number
        stack.callback(ports[2].free)
        self.first = stack.enter_context(Receiver(ports[0], FIRST))
        self.second = stack.enter_context(Receiver(ports[1], SECOND))


async def _enter(dns: FakeDns) -> FakeDns:
    return await dns.__aenter__()


def _same_port(*hosts: str) -> list[Port]:
    for _ in range(50):
        ports = [Port(hosts[0])]
        try:
            ports += [Port(host, ports[0].number) for host in hosts[1:]]
        except OSError:
            for port in ports:
                port.free()
            continue
        return ports
    raise AssertionError("no port is free at all addresses")


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(stack)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, net: Net) -> Iterator[RunningRelay]:
    delivery = f'resolver = "{net.dns.address}"\nresolver_timeout = "1s"\nport = {net.port}'
    with RunningRelay(tmp_path_factory.mktemp("relay"), prepared, delivery=delivery) as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


@pytest.mark.parametrize(
    ("domain", "arrives_at"),
    [
        ("plain.example", "first"),
        ("alias.example", "first"),
        ("address-only.example", "first"),  # RFC 5321 5.1: the implicit MX
        (f"[{FIRST}]", "first"),
        ("first-dead.example", "second"),
        ("first-unknown.example", "second"),
        ("one-address-dead.example", "second"),
    ],
)
def test_delivered_at_once(relay: RunningRelay, net: Net, domain: str, arrives_at: str) -> None:
    message_id = relay.send(message(domain), f"someone@{domain}")
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert event["event"] == "delivered", event
    at, elsewhere = (net.first, net.second) if arrives_at == "first" else (net.second, net.first)
    assert at.wait_for(domain).recipients == [f"someone@{domain}"]
    assert domain not in elsewhere.subjects()


@pytest.mark.parametrize(
    ("domain", "reason", "status"),
    [
        ("no-mail.example", "null-mx", "5.1.10"),  # RFC 7505 4.2
        ("nowhere.example", "no-domain", "5.1.2"),
        ("nothing.example", "no-domain", "5.1.2"),
    ],
)
def test_bounced_at_once(relay: RunningRelay, net: Net, domain: str, reason: str, status: str) -> None:
    message_id = relay.send(message(domain), f"someone@{domain}")
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert (event["event"], event["reason"]) == ("failed", reason), event
    bounce = net.second.wait_for_bounce(f"someone@{domain}").parsed
    _, report, _ = bounce.get_payload()
    assert report.get_payload()[1]["status"] == status


@pytest.mark.parametrize("domain", ["broken.example", "silent.example"])
def test_no_answer_is_temporary(relay: RunningRelay, net: Net, domain: str) -> None:
    message_id = relay.send(message(domain), f"someone@{domain}")
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert (event["event"], event["reason"]) == ("deferred", "dns-temporary"), event
    net.dns.zone[domain] = ZONE["plain.example"]
    relay.wait_for_event(message_id, "delivered")
    assert net.first.wait_for(domain)


def test_a_dead_resolver_is_waited_for(relay: RunningRelay, net: Net) -> None:
    loop = net.dns._server.get_loop()
    loop.call_soon_threadsafe(net.dns.release.clear)
    net.dns.zone["later.example"] = ZONE["plain.example"]
    message_id = relay.send(message("later"), "someone@later.example")
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert (event["event"], event["reason"]) == ("deferred", "dns-temporary"), event
    loop.call_soon_threadsafe(net.dns.release.set)
    relay.wait_for_event(message_id, "delivered")


def test_all_hosts_dead_is_temporary(relay: RunningRelay, net: Net) -> None:
    message_id = relay.send(message("down"), "someone@down.example")
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert (event["event"], event["reason"]) == ("deferred", "connect"), event
    with Receiver(Port(DEAD, net.port), DEAD) as risen:
        relay.wait_for_event(message_id, "delivered")
        assert risen.subjects() == ["down"]
