"""The delivery status to the letter, and that what we write is what our own reader reads."""

import re
from email import message_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.base.address import check_address
from relay.base.feedback import Action, BounceClass, BounceSubType, BounceType, ReportKind
from relay.base.message import Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.codec.dsn import bounce, delay, success
from relay.codec.dsn_status import status_fields
from relay.codec.dsn_text import Context
from relay.codec.report import read
from tests.codec.test_dsn import ARRIVED, CONTENT, NO_USER, NOW, a_message

TOO_OLD = Deferred(Scope.SITE, Reason.CONNECT)
VERP = "bounces+user=example.org+a.b-c@example.com"
QUOTED = '"odd  name, (with) <all> \\" of it"@example.org'
LONG = "x" * 64 + "@" + ".".join(["y" * 60] * 3) + ".test"


def fields(recipient: Recipient, outcome, is_utf8=False, is_delay=False, classes=(), **message) -> list[str]:
    about = Context(a_message(**message), "relay.example.net", NOW, "", classes)
    return status_fields(about, [(recipient, outcome)], is_utf8, is_delay)


def test_the_order_is_that_of_the_grammar() -> None:
    recipient = Recipient(0, "a@example.org", "example.org", orcpt=f"rfc822;{VERP}")
    found = BounceClass(BounceType.PERMANENT, BounceSubType.NO_EMAIL)
    lines = fields(recipient, NO_USER, classes=[found], envid="QQ314159", deadline=NOW + 60)
    assert lines == [
        "Original-Envelope-Id: QQ314159",
        "Reporting-MTA: dns; relay.example.net",
        "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Deliver-By-Date: Tue, 14 Nov 2023 23:14:20 +0000",
        "",
        f"Original-Recipient: rfc822;{VERP}",
        "Final-Recipient: rfc822; a@example.org",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx.example.org",
        "Diagnostic-Code: smtp; 550 5.1.1 No such user at all",
        "Last-Attempt-Date: Tue, 14 Nov 2023 23:13:20 +0000",
        "X-Bounce-Type: Permanent; NoEmail",
    ]


@pytest.mark.parametrize("address", [VERP, QUOTED, LONG, "a+2B=3D@example.org"])
def test_addresses_stand_there_whole(address: str) -> None:
    check_address(address)
    recipient = Recipient(0, address, "example.org", orcpt=f"rfc822;{address}")
    lines = fields(recipient, NO_USER)
    assert f"Final-Recipient: rfc822; {address}" in lines
    assert f"Original-Recipient: rfc822;{address}" in lines
    content = report([(recipient, NO_USER)])
    assert f"\r\nFinal-Recipient: rfc822; {address}\r\n".encode() in content
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("mx.example.org", "mx.example.org"),
        ("192.0.2.7", "[192.0.2.7]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
    ],
)
def test_a_server_without_a_name_stands_in_brackets(host: str, written: str) -> None:
    outcome = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no"), peer=Peer(host, host))
    assert f"Remote-MTA: dns; {written}" in fields(Recipient(0, "a@example.org", ""), outcome)


def test_what_is_longer_than_a_line_may_be_is_cut() -> None:
    recipient = Recipient(0, "a@example.org", "example.org", orcpt="utf-8;" + "é" * 400 + "@example.org")
    for is_utf8 in (False, True):
        (line,) = [one for one in fields(recipient, NO_USER, is_utf8) if one.startswith("Original-")]
        assert max(len(part.encode()) for part in line.split("\r\n")) <= 998


def report(failures, **changes) -> bytes:
    message = a_message(**changes)
    return bounce(
        message=message, failures=failures, original=CONTENT, hostname="relay.example.net", now=NOW
    )  # fmt: skip


atoms = st.text("abcXYZ019!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=12)
quoted = st.text(" abc@,;:()<>[]+=.", min_size=1, max_size=20).map(lambda text: f'"{text}"')
utf8 = st.text("aé漢ß+=", min_size=1, max_size=10)
locals_ = st.one_of(atoms, st.lists(atoms, min_size=2, max_size=3).map(".".join), quoted, utf8)
domains = st.sampled_from(["example.org", "mx-1.bücher.example"])
addresses = st.builds(lambda local, domain: f"{local}@{domain}", locals_, domains)
said = st.text("abc äöü<>:;@()[]\r\n\t-.", max_size=60).map(str.strip)
failed = st.builds(
    lambda code, detail, text: Failed(
        Scope.RECIPIENT, Reason.REFUSED, Reply(code, text, f"5.{detail}"), peer=Peer("mx.example.org")
    ),
    st.sampled_from([550, 551, 552, 554]),
    st.sampled_from(["1.1", "2.2", "7.1", "0.0"]),
    said,
)
silent = st.sampled_from(
    [
        TOO_OLD,
        Failed(Scope.RECIPIENT, Reason.NO_DOMAIN),
        Failed(Scope.RECIPIENT, Reason.SUPPRESSED),
        Deferred(Scope.SITE, Reason.TIMEOUT),
    ]
)
told = st.lists(
    st.tuples(addresses, st.one_of(failed, silent)), min_size=1, max_size=4, unique_by=lambda t: t[0]
)


@given(told, st.text("abc123+=@.", max_size=40))
@example([(VERP, NO_USER), (QUOTED, TOO_OLD), (LONG, NO_USER)], "a=b+c")
@example([("a+41@example.org", NO_USER)], "")
def test_what_we_write_our_reader_reads(told, envid: str) -> None:
    failures = [
        (Recipient(number, address, "", orcpt=f"{'rfc822' if address.isascii() else 'utf-8'};{address}"), why)
        for number, (address, why) in enumerate(told)
    ]
    content = report(failures, envid=envid, is_utf8=True)
    found = read(content)
    assert found.kind is ReportKind.BOUNCE
    assert found.envelope_id == envid
    assert found.reporting_mta == "relay.example.net"
    assert (found.message_id, found.arrived_at, found.sent_at) == ("<1@example.com>", ARRIVED, NOW)
    assert len(found.recipients) == len(failures)
    written = status_fields(Context(a_message(), "x", NOW), failures, True, False)
    if content.isascii():  # where no address needs UTF-8, what else is beyond ASCII is not worth it
        written = [line.encode("ascii", "replace").decode() for line in written]
    values = [re.sub(r"\r\n ", " ", line).partition(": ") for line in written]
    for one, (recipient, _), final, status, diagnostic in zip(
        found.recipients,
        failures,
        [value for name, _, value in values if name == "Final-Recipient"],
        [value for name, _, value in values if name == "Status"],
        [value for name, _, value in values if name == "Diagnostic-Code"],
        strict=True,
    ):
        assert one.address == final.partition("; ")[2]
        assert one.original == recipient.address
        assert (one.action, one.status) == (Action.FAILED, status)
        assert one.diagnostic == diagnostic


def test_our_reader_reads_delays_and_successes() -> None:
    recipient = Recipient(0, VERP, "example.com")
    common = {"message": a_message(), "original": CONTENT, "hostname": "relay.example.net", "now": NOW}
    late = read(delay(waiting=[(recipient, TOO_OLD)], **common))
    served = Delivered(Reply(250, "ok", "2.0.0"), Peer("mx.example.org"), Onward.RELAYED)
    good = read(success(served=[(recipient, served)], **common))
    assert [(one.address, one.action, one.status) for one in late.recipients] == [
        (VERP, Action.DELAYED, "4.4.1")
    ]
    assert [(one.address, one.action) for one in good.recipients] == [(VERP, Action.RELAYED)]
    assert (late.kind, good.kind) == (ReportKind.BOUNCE, ReportKind.BOUNCE)


@given(told)
def test_the_standard_library_reads_it_too(told) -> None:
    failures = [(Recipient(number, address, ""), why) for number, (address, why) in enumerate(told)]
    parsed = message_from_bytes(report(failures, is_utf8=True))
    _, status, _ = parsed.get_payload()
    payload = status.get_payload()
    if status.get_content_type() == "message/delivery-status":
        assert len(payload) == 1 + len(failures)
        assert [group["Action"] for group in payload[1:]] == ["failed"] * len(failures)
    else:  # it takes the form of RFC 6533 for a message
        text = "".join(map(str, payload))
        assert text.count("\nFinal-Recipient: ") == text.count("\nAction: failed\n") == len(failures)
