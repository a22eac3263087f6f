"""MAIL FROM as receivers see it: the sender's own, the relay's after a reload, the identity's once its MX is
there; and who hears of a failure all the while: the sender."""

import json
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from relay.base import return_path
from relay.directory.records import OnMailFromFailure
from tests.fakes.dns import FakeDns
from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import LoopThread, Receiver
from tests.scenarios.test_the_configuration_is_reloaded import reload

BOUNCES, OURS = f"bounce.{DOMAIN}", "bounces.relay.example"


async def _enter(dns: FakeDns) -> FakeDns:
    return await dns.__aenter__()


@pytest.fixture(scope="module")
def dns() -> Iterator[FakeDns]:
    with ExitStack() as stack:
        thread = LoopThread()
        stack.callback(thread.end)
        started = thread.run(_enter(FakeDns({BOUNCES: "SERVFAIL"})))
        stack.callback(lambda: thread.run(started.__aexit__()))
        yield started


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver, dns: FakeDns
) -> Iterator[RunningRelay]:
    with RunningRelay(
        tmp_path_factory.mktemp("relay"),
        prepared,
        next_hop=shared_receiver.port,
        delivery=f'resolver = "{dns.address}"',
    ) as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


def set_return_path(relay: RunningRelay, whose: str) -> None:
    text = relay.file.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("return_path")]
    at = next(number for number, line in enumerate(lines, 1) if line.startswith("service_domain"))
    lines[at:at] = [f'return_path = "{whose}"', f'return_path_domain = "{OURS}"']
    relay.file.write_text("\n".join(lines) + "\n")
    reload(relay, "configuration taken over")


def ours(relay: RunningRelay, message_id: str, domain: str) -> str:
    directory = relay.directory()
    key = directory.vault().derive(return_path.PURPOSE)
    directory.close()
    return f"{return_path.make(message_id, key)}@{domain}"


def refuse(receiver: Receiver, recipient: str) -> None:
    receiver.replies[f"RCPT {recipient}"] = "550 5.1.1 no such user"


def test_whose_mail_from_it_is_and_who_hears_of_a_failure(
    relay: RunningRelay, shared_receiver: Receiver, dns: FakeDns
) -> None:
    receiver = shared_receiver
    refuse(receiver, "gone@receiver.example")

    def seen(subject: str, sender: str = SENDER) -> tuple[str, str]:
        message_id = relay.send(message(subject))
        return message_id, receiver.wait_for(subject).sender

    assert seen("as it was")[1] == SENDER

    set_return_path(relay, "relay")
    message_id, wire_sender = seen("ours")
    assert wire_sender == ours(relay, message_id, OURS)
    relay.send(message("to nobody"), "gone@receiver.example")
    bounce = receiver.wait_for_bounce("gone@receiver.example")
    assert bounce.recipients == [SENDER]

    directory = relay.directory()
    directory.mail_froms.put(DOMAIN, BOUNCES, OnMailFromFailure.USE_DEFAULT)
    relay.wait_for_directory(directory)
    message_id, wire_sender = seen("pending")  # its MX was not seen yet
    assert wire_sender == ours(relay, message_id, OURS)

    dns.zone[BOUNCES] = {"MX": [f"10 {HOSTNAME}."]}
    directory.mail_froms.put(DOMAIN, BOUNCES, OnMailFromFailure.USE_DEFAULT)  # looked at again at once
    wait_until(lambda: f"about={DOMAIN}" in relay.log(), "the owner is told")
    wait_until(
        lambda: directory.mail_froms.show(DOMAIN).identity.mail_from_state.value == "verified", "verified"
    )
    relay.wait_for_directory(directory)
    message_id, wire_sender = seen("verified")
    assert wire_sender == ours(relay, message_id, BOUNCES)

    set_return_path(relay, "sender")  # an identity's own stays
    message_id, wire_sender = seen("still verified")
    assert wire_sender == ours(relay, message_id, BOUNCES)

    # a report of someone's mail server keeps the null reverse-path
    with smtplib.SMTP("127.0.0.1", relay.trusted, timeout=30) as client:
        client.ehlo()
        client.mail("")
        client.rcpt("someone@receiver.example")
        assert client.data(message("a report"))[0] == 250
    assert receiver.wait_for("a report").sender == ""

    # what waits shows both
    receiver.replies["RCPT later@receiver.example"] = "451 4.7.1 later"
    message_id = relay.send(message("waits"), "later@receiver.example")
    relay.wait_for_event(message_id, "deferred")
    shown = json.loads(relay.command("queue", "show", message_id, "--json").stdout)
    assert (shown["sender"], shown["mail_from"]) == (SENDER, ours(relay, message_id, BOUNCES))
    del receiver.replies["RCPT later@receiver.example"]

    # the owner wants no mail without his own MAIL FROM
    del dns.zone[BOUNCES]
    directory.mail_froms.put(DOMAIN, BOUNCES, OnMailFromFailure.REJECT)
    relay.wait_for_directory(directory)
    with smtplib.SMTP("127.0.0.1", relay.trusted, timeout=30) as client:
        client.ehlo()
        client.mail(SENDER)
        client.rcpt("someone@receiver.example")
        code, reply = client.data(message("refused"))
    assert code == 554
    assert reply.decode().startswith(f"5.7.1 Message rejected: Mail FROM domain is not verified: {BOUNCES}")
    directory.mail_froms.clear(DOMAIN)
    relay.wait_for_directory(directory)
    assert seen("cleared")[1] == SENDER
    directory.close()
