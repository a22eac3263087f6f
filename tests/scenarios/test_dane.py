"""DANE and the administrator's word on TLS, against real programs: Knot DNS signs, unbound validates,
and mail servers show a certificate that is right, wrong, expired, for another name, or none at all.

Each row of the tables is one domain with one mail server. What is required and cannot be had is deferred, and
the reason says why; nothing goes in clear.
"""

import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay.codec.tlsa import Tlsa
from tests.fakes.chains import Made, make, server_context
from tests.fakes.prepared import SENDER, Port, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.sink import Sink
from tests.scenarios.nameserver import NameServer
from tests.scenarios.receiver import LoopThread
from tests.scenarios.validator import Validator

SIGNED, UNSIGNED, BOGUS = "dane.example", "open.example", "bogus.example"
HOSTS = f"hosts.{SIGNED}"
ROOT = make("Test Root", is_authority=True)
STRANGER = make("Other Root", is_authority=True)
PUBLIC = make("Public CA", is_authority=True)  # what [delivery] ca_file trusts


def _by(issuer: Made, host: str, **how: int) -> list[Made]:
    return [make("server", issuer, names=(host,), **how), issuer]


# domain -> what its mail server shows, given its host name; None: no STARTTLS
SERVERS: dict[str, Callable[[str], list[Made]] | None] = {
    "ee-right": lambda host: [make("any name")],
    "ee-digest-wrong": lambda host: [make("any name")],
    "ee-expired": lambda host: [make("any name", age_days=30)],
    "ta-right": lambda host: _by(ROOT, host),
    "ta-name-wrong": lambda host: _by(ROOT, "other.example"),
    "ta-expired": lambda host: _by(ROOT, host, age_days=30),
    "ta-stranger": lambda host: _by(STRANGER, host),
    "no-starttls": None,
    "unusable-only": lambda host: [make("any name")],
    "unusable-plain": None,
    "no-records": lambda host: [make("any name")],
    "no-records-plain": None,
    "records-bogus": lambda host: [make("any name")],
    "verify-right": lambda host: _by(PUBLIC, host),
    "verify-name-wrong": lambda host: _by(PUBLIC, "other.example"),
    "verify-expired": lambda host: _by(PUBLIC, host, age_days=30),
    "verify-stranger": lambda host: _by(STRANGER, host),
    "verify-plain": None,
    "encrypt-stranger": lambda host: _by(STRANGER, host),
    "encrypt-plain": None,
    "only-right": lambda host: [make("any name")],
    "only-none": lambda host: _by(PUBLIC, host),
    "exempt": lambda host: [make("any name")],
    "offers": lambda host: _by(PUBLIC, host),  # REQUIRETLS, that is
    "offers-stranger": lambda host: _by(STRANGER, host),
}
OFFERING = ("offers", "offers-stranger")
# domain -> the TLSA records of its mail server, given what it shows
RECORDS: dict[str, Callable[[list[Made]], list[Tlsa]]] = {
    "ee-right": lambda chain: [chain[0].tlsa(3, 1, 1)],
    "ee-digest-wrong": lambda chain: [make("x").tlsa(3, 1, 1)],
    "ee-expired": lambda chain: [chain[0].tlsa(3, 1, 1)],
    "ta-right": lambda chain: [ROOT.tlsa(2, 0, 1)],
    "ta-name-wrong": lambda chain: [ROOT.tlsa(2, 0, 1)],
    "ta-expired": lambda chain: [ROOT.tlsa(2, 0, 1)],
    "ta-stranger": lambda chain: [ROOT.tlsa(2, 0, 1)],
    "no-starttls": lambda chain: [ROOT.tlsa(2, 0, 1)],
    "unusable-only": lambda chain: [Tlsa(1, 1, 1, bytes(32))],
    "unusable-plain": lambda chain: [Tlsa(0, 0, 1, bytes(32))],
    "only-right": lambda chain: [chain[0].tlsa(3, 0, 2)],
    "exempt": lambda chain: [make("x").tlsa(3, 1, 1)],
}
# domain -> delivered over TLS that ends so ("" in clear, None not at all), and what the reason says
OUTCOMES: dict[str, tuple[str | None, str]] = {
    "ee-right": ("(DANE)", ""),
    "ee-digest-wrong": (None, "no TLSA record of mx-ee-digest-wrong.hosts.dane.example matches"),
    "ee-expired": ("(DANE)", ""),  # RFC 7672 3.1.1
    "ta-right": ("(DANE)", ""),
    "ta-name-wrong": (None, "the certificate is for other.example, not for mx-ta-name-wrong.hosts"),
    "ta-expired": (None, "the certificate is valid from"),
    "ta-stranger": (None, "no TLSA record"),
    "no-starttls": (None, "TLS is required and not offered"),
    "unusable-only": ("SHA384", ""),  # encrypted, whoever it is
    "unusable-plain": (None, "TLS is required and not offered"),
    "no-records": ("SHA384", ""),
    "no-records-plain": ("", ""),
    "records-bogus": (None, "TLSA records of mx-records-bogus.hosts.dane.example"),
    "verify-right": ("(CA)", ""),
    "verify-name-wrong": (None, "Hostname mismatch"),
    "verify-expired": (None, "certificate has expired"),
    "verify-stranger": (None, "self-signed certificate in certificate chain"),
    "verify-plain": (None, "TLS is required and not offered"),
    "encrypt-stranger": ("SHA384", ""),
    "encrypt-plain": (None, "TLS is required and not offered"),
    "only-right": ("(DANE)", ""),
    "only-none": (None, "has no TLSA records that can be used, and DANE is required"),
    "exempt": ("SHA384", ""),  # the receiver's records are broken, and the administrator knows
}
POLICIES = "".join(
    f'[[tls_policy]]\ndomain = "{name}.{SIGNED}"\n{what}\n'
    for name, what in [
        *((name, 'mode = "required"') for name in SERVERS if name.startswith("verify-")),
        *((name, 'mode = "encrypt"') for name in SERVERS if name.startswith("encrypt-")),
        *((name, 'mode = "dane-only"') for name in SERVERS if name.startswith("only-")),
        ("exempt", "dane = false"),
        ("encrypt-beside", 'mode = "encrypt"'),
    ]
)
POLICIES += f'[[tls_policy]]\ndomain = "only.{UNSIGNED}"\nmode = "dane-only"\n'


class Net:
    """The zones, the resolver, and a mail server for each row, at one port of different addresses."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        thread = LoopThread()
        stack.callback(thread.end)
        child = f"_tcp.mx-records-bogus.{HOSTS}"
        self.sinks: dict[str, Sink] = {}
        addresses = {name: f"127.0.1.{number}" for number, name in enumerate(SERVERS, 1)}
        held = Port()
        stack.callback(held.free)
        self.port = held.number
        records: dict[str, list[tuple[str, str, str]]] = {SIGNED: [], UNSIGNED: [], BOGUS: []}
        for name, shows in SERVERS.items():
            host = f"mx-{name}.{HOSTS}"
            chain = shows(host) if shows is not None else []
            tls = server_context(folder, *chain) if chain else None
            records[SIGNED] += [
                (f"{name}.{SIGNED}", "MX", f"10 {host}."),
                (host, "A", addresses[name]),
            ]
            if name in RECORDS:
                texts = [str(one) for one in RECORDS[name](chain)]
                records[SIGNED] += [(f"_{self.port}._tcp.{host}", "TLSA", text) for text in texts]
            self.sinks[name] = self._listen(stack, thread, addresses[name], tls)
            if name in OFFERING:
                self.sinks[name].extensions.append("REQUIRETLS")
        # a signed zone says that what is below is signed by a key which nobody has
        records[SIGNED] += [
            (child, "NS", f"ns.{UNSIGNED}."),
            (child, "DS", "1 13 2 " + 64 * "0"),
        ]
        right, wrong = f"mx-ee-right.{HOSTS}.", f"mx-ee-digest-wrong.{HOSTS}."
        records[SIGNED] += [
            (f"encrypt-beside.{SIGNED}", "MX", f"10 mx-no-records-plain.{HOSTS}."),
            (f"second-offers.{SIGNED}", "MX", f"10 mx-verify-right.{HOSTS}."),
            (f"second-offers.{SIGNED}", "MX", f"20 mx-offers.{HOSTS}."),
        ]
        records[UNSIGNED] += [
            (f"offers.{UNSIGNED}", "MX", f"10 mx-offers.{HOSTS}."),
            (f"right.{UNSIGNED}", "MX", f"10 {right}"),
            (f"wrong.{UNSIGNED}", "MX", f"10 {wrong}"),
            (f"only.{UNSIGNED}", "MX", f"10 {right}"),
            (f"own.{UNSIGNED}", "MX", f"10 mx.{UNSIGNED}."),
            (f"mx.{UNSIGNED}", "A", addresses["ee-right"]),
            (f"_{self.port}._tcp.mx.{UNSIGNED}", "TLSA", str(make("x").tlsa(3, 1, 1))),
        ]
        records[BOGUS] += [(BOGUS, "MX", f"10 {right}")]
        server = NameServer(UNSIGNED, child, signed=(SIGNED, BOGUS), records=records)
        self.dns = stack.enter_context(server)
        self.resolver = stack.enter_context(Validator(self.dns, bogus=(BOGUS,)))

    def _listen(self, stack: ExitStack, thread: LoopThread, address: str, tls: ssl.SSLContext | None) -> Sink:
        sink = Sink(tls=tls)
        thread.run(sink.start(address, self.port))
        stack.callback(lambda: thread.run(sink.stop()))
        return sink


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(stack, tmp_path_factory.mktemp("net"))


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, net: Net) -> Iterator[RunningRelay]:
    folder = tmp_path_factory.mktemp("dane")
    ca_file = folder / "public.pem"
    ca_file.write_bytes(ssl.DER_cert_to_PEM_cert(PUBLIC.der).encode())
    delivery = (
        f'resolver = "{net.resolver.address}"\nport = {net.port}\nca_file = "{ca_file}"\nmta_sts = false'
    )
    with RunningRelay(
        folder, prepared, delivery=delivery, workers=1, retry='["10m"]', more=POLICIES
    ) as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


def _sent(relay: RunningRelay, domain: str) -> dict[str, str]:
    message_id = relay.send(message(domain), f"someone@{domain}")
    return relay.wait_for_event(message_id, "delivered", "deferred", "failed")


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_becomes_of_mail_by_what_the_mail_server_shows(relay: RunningRelay, net: Net, name: str) -> None:
    tls, said = OUTCOMES[name]
    event = _sent(relay, f"{name}.{SIGNED}")
    if tls is None:
        assert (event["event"], event["reason"]) == ("deferred", "tls"), event
        assert said in event["reply"]
        assert net.sinks[name].received == []
    else:
        assert event["event"] == "delivered", event
        assert event.get("tls", "").endswith(tls)
        assert bool(event.get("tls")) is bool(tls)
        assert net.sinks[name].tls_sessions == bool(tls)


def test_a_bogus_zone_is_no_answer(relay: RunningRelay) -> None:
    event = _sent(relay, BOGUS)
    assert (event["event"], event["reason"]) == ("deferred", "dns-temporary"), event


def test_records_of_a_signed_host_count_whoever_names_it(relay: RunningRelay) -> None:
    assert _sent(relay, f"right.{UNSIGNED}")["tls"].endswith("(DANE)")
    assert _sent(relay, f"wrong.{UNSIGNED}")["event"] == "deferred"


def test_records_in_an_unsigned_zone_do_not_count(relay: RunningRelay) -> None:
    event = _sent(relay, f"own.{UNSIGNED}")
    assert event["event"] == "delivered", event
    assert event["tls"].endswith("SHA384")


def test_dane_only_needs_mx_records_that_are_signed(relay: RunningRelay) -> None:
    event = _sent(relay, f"only.{UNSIGNED}")
    assert (event["event"], event["reason"]) == ("deferred", "tls"), event
    assert "DNSSEC does not vouch for the MX records of only.open.example" in event["reply"]


@pytest.mark.parametrize(
    ("domain", "outcome", "said"),
    [
        (f"offers.{SIGNED}", "delivered", ""),
        (f"second-offers.{SIGNED}", "delivered", ""),
        (f"verify-right.{SIGNED}", "failed", "5.7.30"),
        (f"offers-stranger.{SIGNED}", "deferred", "self-signed certificate"),
        (f"ee-right.{SIGNED}", "failed", "5.7.30"),
        (f"no-records-plain.{SIGNED}", "deferred", "TLS is required and not offered"),
        (f"offers.{UNSIGNED}", "deferred", "neither DNSSEC nor MTA-STS vouches for mx-offers"),
    ],
)
def test_requiretls_goes_to_those_alone_who_promise_it(
    relay: RunningRelay, net: Net, domain: str, outcome: str, said: str
) -> None:
    with relay.client() as client:
        client.mail(SENDER, ["REQUIRETLS"])
        client.rcpt(f"someone@{domain}")
        _, answer = client.data(message(f"{domain} in TLS alone"))
    event = relay.wait_for_event(answer.split()[-1].decode(), "delivered", "deferred", "failed")
    assert event["event"] == outcome, str(event)
    assert said in event["reply"]
    if outcome == "delivered":
        last = net.sinks["offers"].received[-1]
        assert last.subject == f"{domain} in TLS alone"
        assert last.mail_line.endswith(" REQUIRETLS")
    else:
        assert not any(
            "in TLS alone" in one.subject
            for sink in net.sinks.values()
            for one in sink.received
            if domain in one.subject
        )


def test_tls_required_no_outdoes_what_the_receiver_published(relay: RunningRelay, net: Net) -> None:
    content = b"TLS-Required: No\r\n" + message("waived")
    message_id = relay.send(content, f"someone@ee-digest-wrong.{SIGNED}")
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert event["event"] == "delivered", event
    message_id = relay.send(content, f"someone@verify-plain.{SIGNED}")  # what the administrator set stays
    event = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
    assert (event["event"], event["reason"]) == ("deferred", "tls"), event
    assert [one.subject for one in net.sinks["ee-digest-wrong"].received] == ["waived"]


def test_what_must_be_encrypted_never_uses_a_connection_that_is_not(relay: RunningRelay, net: Net) -> None:
    """Two domains of one mail server, and an open connection in clear that idles."""
    sink = net.sinks["no-records-plain"]
    assert _sent(relay, f"no-records-plain.{SIGNED}")["event"] == "delivered"
    assert sink.live == 1
    event = _sent(relay, f"encrypt-beside.{SIGNED}")
    assert (event["event"], event["reason"]) == ("deferred", "tls"), event
    assert all(one.recipients == [f"someone@no-records-plain.{SIGNED}"] for one in sink.received)
    assert (
        _sent(relay, f"no-records-plain.{SIGNED}")["event"] == "delivered"
    )  # which its failure does not hinder


def test_the_administrator_sees_what_would_be_required(relay: RunningRelay) -> None:
    shown = relay.command("tls-policy", f"ee-right.{SIGNED}").stdout.decode()
    assert "only over TLS with a certificate that its TLSA records vouch for" in " ".join(shown.split())


def test_a_reload_asks_for_more_at_once(relay: RunningRelay) -> None:
    """The last of them, as it changes the relay."""
    domain = f"no-records-plain.{SIGNED}"
    assert _sent(relay, domain)["event"] == "delivered"
    relay.configure(1, POLICIES + f'[[tls_policy]]\ndomain = "{domain}"\nmode = "encrypt"\n')
    relay.signal(signal.SIGHUP)
    wait_until(lambda: "configuration taken over" in relay.log(), "the configuration is taken over")
    event = _sent(relay, domain)
    assert (event["event"], event["reason"]) == ("deferred", "tls"), event
