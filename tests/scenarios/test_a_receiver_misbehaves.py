"""Postfix's smtp-sink as a receiver that does wrong in each way it can, and what becomes of the mail.

Every case ends in exactly one way: delivered, perhaps when a healthy sink has taken the place of the bad one,
or bounced to the sender. Never both, never neither.
"""

from collections.abc import Iterator
from email import message_from_string
from typing import NamedTuple

import pytest

from tests.fakes.machine import need, need_root
from tests.fakes.prepared import DOMAIN, SENDER, Port, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.programs import SmtpSink
from tests.scenarios.receiver import Receiver


class Case(NamedTuple):
    name: str
    options: tuple[str, ...]
    outcome: str  # "delivered", "bounced", or "reason scope" of the first deferral


def soft(command: str) -> tuple[str, ...]:
    return ("-r", command)


def hard(command: str) -> tuple[str, ...]:
    return ("-f", command)


CASES = [
    Case("temporary-banner", soft("CONNECT"), "greeting site"),
    Case("permanent-banner", hard("CONNECT"), "greeting site"),  # about us or the site: never a bounce
    Case("temporary-ehlo", soft("EHLO"), "greeting site"),
    Case("permanent-ehlo", hard("EHLO"), "delivered"),  # HELO instead: RFC 5321 3.2
    Case("permanent-ehlo-and-helo", hard("EHLO,HELO"), "greeting site"),
    Case("temporary-mail", soft("MAIL"), "refused message"),
    Case("permanent-mail", hard("MAIL"), "bounced"),
    Case("temporary-rcpt", soft("RCPT"), "refused recipient"),
    Case("permanent-rcpt", hard("RCPT"), "bounced"),
    Case("temporary-data", soft("DATA"), "refused message"),
    Case("permanent-data", hard("DATA"), "bounced"),
    Case("temporary-dot", soft("."), "refused message"),
    Case("permanent-dot", hard("."), "bounced"),
    *(Case(f"hangs-up-at-{c.lower()}", ("-q", c), "connection-lost") for c in ("CONNECT", "EHLO", "MAIL")),
    *(Case(f"hangs-up-at-{c.lower()}", ("-q", c), "connection-lost") for c in ("RCPT", "DATA")),
    Case("hangs-up-at-dot", ("-q", "."), "reply-lost"),
    *(Case(f"421-at-{c.lower()}", ("-Q", c), "busy") for c in ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA")),
    Case("421-at-dot", ("-Q", "."), "busy"),
    Case("gives-up-in-data", ("-A", "0"), "bounced"),
    Case("slow-at-data", ("-w", "1"), "delivered"),
    Case("slow-at-mail", ("-p", "-W", "MAIL:1"), "delivered"),  # its pipelining and -W do not go together
    Case("no-pipelining", ("-p",), "delivered"),
    Case("no-esmtp", ("-e",), "delivered"),
    Case("no-8bitmime", ("-8",), "delivered"),
    Case("cisco-pix", ("-P",), "delivered"),
    Case("no-enhanced-codes", ("-E", "-N", "-a"), "delivered"),
]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, Port]]:
    held = {case.name: Port() for case in CASES}
    yield held
    for port in held.values():
        port.free()


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory,
    prepared: Prepared,
    ports: dict[str, Port],
    shared_receiver: Receiver,
) -> Iterator[RunningRelay]:
    """A route per case, and one for the bounces."""
    need("smtp-sink", "postfix")
    need_root("smtp-sink")
    hops = {f"{name}.example": port.number for name, port in ports.items()} | {DOMAIN: shared_receiver.port}
    routes = "".join(
        f'[[route]]\ndomain = "{domain}"\nnext_hop = "127.0.0.1:{port}"\ntls = "none"\n'
        for domain, port in hops.items()
    )
    with RunningRelay(tmp_path_factory.mktemp("relay"), prepared, more=routes) as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_ends_in_one_way(
    relay: RunningRelay, ports: dict[str, Port], shared_receiver: Receiver, case: Case
) -> None:
    to = f"someone@{case.name}.example"
    port = ports[case.name]
    with SmtpSink(*case.options, port=port) as sink:
        message_id = relay.send(message(case.name, to=to), to)
        first = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
        delivered = len(sink.received()) if first["event"] == "delivered" else 0
    if case.outcome == "delivered":
        assert first["event"] == "delivered", first
        assert delivered == 1
    elif case.outcome == "bounced":
        assert first["event"] == "failed", first
        _check_bounce(shared_receiver.wait_for_bounce(to).content.decode(), to)
    else:
        assert first["event"] == "deferred", first
        assert f"{first['reason']} {first['scope']}".startswith(case.outcome), first
        with SmtpSink(port=port) as sink:
            relay.wait_for_event(message_id, "delivered")
            wait_until(lambda: len(sink.received()) == 1, "the healthy sink has it once")
            assert f"Subject: {case.name}" in sink.received()[0]
    ends = [event["event"] for event in relay.events(message_id) if event["event"] in ("delivered", "failed")]
    assert len(ends) == 1
    bounces = [one for one in shared_receiver.received if to.encode() in one.content]
    assert len(bounces) == (case.outcome == "bounced")


def _check_bounce(text: str, to: str) -> None:
    """RFC 3464, as the standard library reads it."""
    bounce = message_from_string(text)
    assert bounce.get_content_type() == "multipart/report"
    assert bounce.get_param("report-type") == "delivery-status"
    assert bounce["auto-submitted"] == "auto-replied"
    assert SENDER in bounce["to"]
    human, status, original = bounce.get_payload()
    assert to in human.get_payload(decode=True).decode()
    per_message, per_recipient = status.get_payload()
    assert per_message["reporting-mta"] == "dns; relay.test.example"
    assert per_recipient["action"] == "failed"
    assert per_recipient["final-recipient"] == f"rfc822; {to}"
    assert per_recipient["status"].startswith("5.")
    assert per_recipient["diagnostic-code"].startswith("smtp; 5")
    assert original.get_content_type() in ("text/rfc822-headers", "message/rfc822")


def test_eight_bits_for_a_receiver_that_has_seven(
    relay: RunningRelay, ports: dict[str, Port], shared_receiver: Receiver
) -> None:
    """It can not be changed any more, since it is signed: RFC 6152 leaves only to give it back."""
    to = "eight@no-8bitmime.example"
    content = message("eight bits", to=to) + "Grüße\r\n".encode()
    with SmtpSink("-8", port=ports["no-8bitmime"]) as sink:
        message_id = relay.send(content, to, ["BODY=8BITMIME"])
        first = relay.wait_for_event(message_id, "delivered", "deferred", "failed")
        assert (first["event"], first["reason"]) == ("failed", "unsupported")
        assert sink.received() == []
    shared_receiver.wait_for_bounce(to)
