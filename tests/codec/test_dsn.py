"""Bounces, read back with the parser of the standard library."""

from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.codec.data import find_fault
from relay.codec.dsn import FULL_LIMIT_BYTES, bounce, delay, success

ARRIVED, NOW = 1_700_000_000.0, 1_700_003_600.0
ID = "0000018bcfe56800-5b1c0000-0000-4000-8000-000000000000-000001"
HEADER = b"From: shop@example.com\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n"
CONTENT = HEADER + b"\r\nHello.\r\n"

NO_USER = Failed(
    Scope.RECIPIENT,
    Reason.REFUSED,
    Reply(550, "No such user\nat all", "5.1.1"),
    peer=Peer("mx.example.org", "192.0.2.7", "TLSv1.3"),
)
TOO_OLD = Deferred(Scope.SITE, Reason.CONNECT, detail="secret detail of the log")


def a_message(content=CONTENT, **changes):
    fields = {
        "id": ID, "shard": 1, "account_id": 1, "sender": "shop@example.com", "recipients": [],
        "size_bytes": len(content), "arrived_at": ARRIVED, "expires_at": NOW,
    }  # fmt: skip
    return Message(**fields | changes)


def made(failures, original=CONTENT, **changes):
    content = bounce(
        message=a_message(original, **changes),
        failures=failures,
        original=original,
        hostname="relay.example.net",
        now=NOW,
    )
    assert find_fault(content) is None
    assert content.endswith(b"--\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    parsed = message_from_bytes(content, policy=default)
    assert not parsed.defects
    assert len(parsed.get_payload()) == 3
    return content, parsed, *parsed.get_payload()


def groups(part):
    """The fields of a delivery-status part, group by group."""
    if isinstance(part.get_payload(), list):
        return [dict(group.items()) for group in part.get_payload()]
    blocks = part.get_payload(decode=True).decode().replace("\r\n ", " ").strip().split("\r\n\r\n")
    return [dict(line.split(": ", 1) for line in block.split("\r\n")) for block in blocks]


def test_a_recipient_that_does_not_exist():
    content, parsed, text, report, header = made([(Recipient(0, "user@example.org", "example.org"), NO_USER)])
    assert content.isascii()
    assert {
        name: parsed[name] for name in ("From", "To", "Date", "Auto-Submitted", "In-Reply-To", "References")
    } == {
        "From": "Mail Delivery System <MAILER-DAEMON@relay.example.net>",
        "To": "shop@example.com",
        "Date": "Tue, 14 Nov 2023 23:13:20 +0000",
        "Auto-Submitted": "auto-replied",
        "In-Reply-To": "<1@example.com>",
        "References": "<1@example.com>",
    }
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert text.get_content_type() == "text/plain"
    assert "<user@example.org>" in text.get_content()
    assert "mx.example.org (192.0.2.7) said: 550 5.1.1 No such user at all" in " ".join(
        text.get_content().split()
    )
    assert report.get_content_type() == "message/delivery-status"
    assert groups(report) == [
        {"Reporting-MTA": "dns; relay.example.net", "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000"},
        {
            "Final-Recipient": "rfc822; user@example.org",
            "Action": "failed",
            "Status": "5.1.1",
            "Remote-MTA": "dns; mx.example.org",
            "Diagnostic-Code": "smtp; 550 5.1.1 No such user at all",
            "Last-Attempt-Date": "Tue, 14 Nov 2023 23:13:20 +0000",
        },
    ]
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_payload() == HEADER.decode()


def test_several_recipients_and_the_dsn_parameters():
    failures = [
        (Recipient(0, "a@example.org", "example.org", orcpt="rfc822;old@example.com"), NO_USER),
        (Recipient(3, "b@example.net", "example.net"), TOO_OLD),
        (Recipient(4, "c@nowhere.example", "nowhere.example"), Failed(Scope.RECIPIENT, Reason.NO_DOMAIN)),
    ]
    content, _, text, report, _ = made(failures, envid="QQ314159")
    of_message, first, second, third = groups(report)
    assert of_message["Original-Envelope-Id"] == "QQ314159"
    assert first["Original-Recipient"] == "rfc822;old@example.com"
    no_connection = "x-relay; connect: No connection to the receiving mail server could be made."
    assert (second["Status"], second["Diagnostic-Code"]) == ("4.4.1", no_connection)
    assert "Remote-MTA" not in second
    assert (third["Status"], third["Action"]) == ("5.1.2", "failed")
    assert "3 of its recipients" in text.get_content()
    assert "given up" in text.get_content()
    assert b"secret detail" not in content


@pytest.mark.parametrize(
    ("ret", "original", "size", "kind"),
    [
        ("FULL", CONTENT, len(CONTENT), "message/rfc822"),
        ("HDRS", CONTENT, len(CONTENT), "text/rfc822-headers"),
        ("", CONTENT, len(CONTENT), "text/rfc822-headers"),
        ("FULL", HEADER, len(CONTENT), "text/rfc822-headers"),  # only the header could be read
        ("FULL", CONTENT + b"x\r\n" * FULL_LIMIT_BYTES, None, "text/rfc822-headers"),
        ("FULL", CONTENT + b"\xe4\r\n", None, "text/rfc822-headers"),  # 8-bit may not be repacked
    ],
)
def test_what_is_returned(ret, original, size, kind):
    size = len(original) if size is None else size
    content, _, _, _, last = made(
        [(Recipient(0, "a@example.org", "example.org"), NO_USER)], original, ret=ret, size_bytes=size
    )
    assert last.get_content_type() == kind
    assert (b"\r\n\r\nHello.\r\n" in content) == (kind == "message/rfc822")


def test_smtputf8():
    original = "From: jörg@example.com\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode()
    failures = [
        (Recipient(0, "rené@example.org", "example.org", orcpt="utf-8;rené@example.org"), NO_USER),
        (Recipient(1, "b@example.org", "example.org"), NO_USER),
    ]
    content, parsed, text, report, header = made(failures, original, is_utf8=True, sender="jörg@example.com")
    assert parsed.get_param("report-type") == "global-delivery-status"
    assert "To: <jörg@example.com>\r\n".encode() in content
    assert report.get_content_type() == "message/global-delivery-status"
    assert [part["Content-Transfer-Encoding"] for part in (text, report, header)] == ["8bit"] * 3
    assert "Final-Recipient: utf-8; rené@example.org\r\n".encode() in content
    assert "Original-Recipient: utf-8;rené@example.org\r\n".encode() in content
    assert b"Final-Recipient: rfc822; b@example.org\r\n" in content
    assert header.get_content_type() == "message/global-headers"
    full, *_, last = made(failures, original, is_utf8=True, ret="FULL")
    assert last.get_content_type() == "message/global"
    assert original in full


def test_smtputf8_without_need_is_plain():
    content, parsed, *_ = made([(Recipient(0, "a@example.org", "example.org"), NO_USER)], is_utf8=True)
    assert content.isascii()
    assert parsed.get_param("report-type") == "delivery-status"


def test_8bit_without_smtputf8_is_replaced():
    reply = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "Empfänger unbekannt"))
    content, *_ = made(
        [(Recipient(0, "a@example.org", "example.org"), reply)],
        "From: shop@example.com\r\nSubject: Grüße\r\n\r\n".encode(),
    )
    assert content.isascii()
    assert b"Empf?nger unbekannt" in content
    assert b"Subject: Gr????e\r\n" in content


@pytest.mark.parametrize("original", [b"", b"no header at all", b"\r\nbody only\r\n", b"a\nb"])
def test_an_original_that_cannot_be_read(original):
    _, parsed, _, _, last = made([(Recipient(0, "a@example.org", "example.org"), NO_USER)], original)
    assert parsed["In-Reply-To"] is None
    assert last.get_payload().strip() == ""


@pytest.mark.parametrize("message_id", ["none", "<a> <b\r\n c>", "<" + "x" * 600 + ">", "<grün@example.com>"])
def test_a_strange_message_id_adds_nothing(message_id):
    original = f"From: a@example.com\r\nMessage-ID: {message_id}\r\n\r\n".encode()
    _, parsed, *_ = made([(Recipient(0, "a@example.org", "example.org"), NO_USER)], original)
    assert parsed["In-Reply-To"] in (None, "<a> <b c>")


@given(st.text(), st.text(), st.text(), st.text(), st.text("\r\n :ab-=ä\0"))
def test_nobody_can_add_a_line(reply, orcpt, envid, host, detail):
    outcome = Failed(
        Scope.RECIPIENT, Reason.REFUSED, Reply(550, reply + detail), peer=Peer(f"h{host}", detail)
    )
    recipient = Recipient(0, "a@example.org", "example.org", orcpt=f"rfc822;{orcpt}{detail}")
    _, _, _, report, _ = made([(recipient, outcome)], envid=f"e{envid}{detail}")
    names = [list(group) for group in groups(report)]
    assert names == [
        ["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"],
        [
            "Original-Recipient",
            "Final-Recipient",
            "Action",
            "Status",
            "Remote-MTA",
            "Diagnostic-Code",
            "Last-Attempt-Date",
        ],
    ]


def test_a_long_reply_is_folded():
    long = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "word " * 1000 + "x" * 5000))
    content, _, _, report, _ = made([(Recipient(0, "a@example.org", "example.org"), long)])
    assert "word word" in groups(report)[1]["Diagnostic-Code"]
    assert len(content) < 4_500


@pytest.mark.parametrize(
    ("onward", "enhanced", "action", "status", "says"),
    [
        (Onward.RELAYED, "2.6.0", "relayed", "2.6.0", "It has been handed to mx.example.org, which does not"),
        (Onward.RELAYED, "", "relayed", "2.0.0", "It has been handed to mx.example.org, which does not"),
        (Onward.DELIVERED, "5.0.0", "delivered", "2.0.0", "It has been delivered."),
    ],
)
def test_success(onward, enhanced, action, status, says):
    outcome = Delivered(Reply(250, "queued as 1", enhanced), Peer("mx.example.org", "192.0.2.7"), onward)
    recipient = Recipient(0, "user@example.org", "example.org", orcpt="rfc822;old@example.com")
    content = success(
        message=a_message(CONTENT, ret="FULL", envid="QQ314159"),
        served=[(recipient, outcome)],
        original=CONTENT,
        hostname="relay.example.net",
        now=NOW,
    )
    assert find_fault(content) is None
    parsed = message_from_bytes(content, policy=default)
    assert not parsed.defects
    text, report, header = parsed.get_payload()
    assert (parsed["Subject"], parsed["To"]) == ("Your message was passed on", "shop@example.com")
    assert "<user@example.org>" in text.get_content()
    assert says in " ".join(text.get_content().split())
    of_message, of_recipient = groups(report)
    assert of_message["Original-Envelope-Id"] == "QQ314159"
    assert {name: of_recipient[name] for name in ("Original-Recipient", "Action", "Status")} == {
        "Original-Recipient": "rfc822;old@example.com",
        "Action": action,
        "Status": status,
    }
    assert header.get_content_type() == "text/rfc822-headers"  # RFC 3461 6.2: never the whole message
    assert header.get_payload() == HEADER.decode()


def test_what_has_a_form_in_ascii_is_written_in_it():
    """So that the report reaches a sender whose server knows no SMTPUTF8."""
    recipient = Recipient(0, "a@bücher.example", "xn--bcher-kva.example", orcpt="utf-8;rené@example.org")
    content, parsed, text, report, _ = made(
        [(recipient, NO_USER)], sender="shop@bücher.example", is_utf8=True
    )
    assert content.isascii()
    assert parsed["To"] == "shop@xn--bcher-kva.example"
    assert "<a@xn--bcher-kva.example>" in text.get_content()
    of_recipient = groups(report)[1]
    assert of_recipient["Final-Recipient"] == "rfc822; a@xn--bcher-kva.example"
    assert of_recipient["Original-Recipient"] == "utf-8;ren\\x{E9}@example.org"


@pytest.mark.parametrize(
    ("is_notify", "deadline", "status"),
    [
        (False, NOW - 1, "5.4.7"),
        (True, NOW - 1, "4.4.1"),  # it went on after its deadline, and expired
        (False, NOW + 60, "4.4.1"),
    ],
)
def test_a_deadline_is_named_and_is_the_reason_once_it_has_passed(is_notify, deadline, status):
    _, _, _, report, _ = made(
        [(Recipient(0, "a@example.org", "example.org"), TOO_OLD)], deadline=deadline, is_by_notify=is_notify
    )
    of_message, of_recipient = groups(report)
    assert list(of_message) == ["Reporting-MTA", "Arrival-Date", "Deliver-By-Date"]
    assert (of_recipient["Action"], of_recipient["Status"]) == ("failed", status)


def test_a_delay():
    content = delay(
        message=a_message(CONTENT, ret="FULL", envid="QQ314159", expires_at=NOW + 3600),
        waiting=[(Recipient(4, "user@example.org", "example.org"), TOO_OLD)],
        original=CONTENT,
        hostname="relay.example.net",
        now=NOW,
    )
    assert find_fault(content) is None
    parsed = message_from_bytes(content, policy=default)
    assert not parsed.defects
    text, report, header = parsed.get_payload()
    assert (parsed["Subject"], parsed["Message-ID"]) == (
        "Your message is delayed",
        f"<{ID}.delay.4@relay.example.net>",
    )
    assert "We go on trying until Wed, 15 Nov 2023 00:13:20 +0000." in text.get_content()
    assert groups(report) == [
        {
            "Reporting-MTA": "dns; relay.example.net",
            "Original-Envelope-Id": "QQ314159",
            "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
        },
        {
            "Final-Recipient": "rfc822; user@example.org",
            "Action": "delayed",
            "Status": "4.4.1",
            "Diagnostic-Code": "x-relay; connect: No connection to the receiving mail server could be made.",
            "Last-Attempt-Date": "Tue, 14 Nov 2023 23:13:20 +0000",
            "Will-Retry-Until": "Wed, 15 Nov 2023 00:13:20 +0000",
        },
    ]
    assert header.get_content_type() == "text/rfc822-headers"
