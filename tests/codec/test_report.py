"""Mails that came back, as a whole: what they are, about whom and about which message."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.feedback import Action, ReportKind
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.codec.dsn import bounce, delay, success
from relay.codec.report import read
from relay.codec.status import status_of

ID = "0000018bcfe56800-5b1c0000-0000-4000-8000-000000000000-000001"
ORIGINAL = (
    b"Return-Path: <0001@bounce.example.com>\r\nFrom: shop@example.com\r\n"
    b"Message-ID: <1@example.com>\r\n\r\nHi.\r\n"
)
NO_USER = Failed(
    Scope.RECIPIENT, Reason.REFUSED, Reply(550, "No such user\nat all", "5.1.1"), peer=Peer("mx.example.org")
)
TOO_SLOW = Deferred(Scope.SITE, Reason.CONNECT)


def a_message(**changes):
    fields = {
        "id": ID, "shard": 1, "account_id": 1, "sender": "shop@example.com", "recipients": [],
        "size_bytes": len(ORIGINAL), "arrived_at": 1.7e9, "expires_at": 1.7e9 + 3600,
    }  # fmt: skip
    return Message(**fields | changes)


def made(failures, **changes):
    return bounce(
        message=a_message(**changes),
        failures=failures,
        original=ORIGINAL,
        hostname="relay.example.net",
        now=1.7e9 + 3600,
    )


def test_our_own_bounces_are_read() -> None:
    recipients = [
        Recipient(0, "Anna@example.org", "example.org"),
        Recipient(1, "b@example.org", "example.org"),
    ]
    report = read(made([(recipients[0], NO_USER), (recipients[1], TOO_SLOW)], envid="QQ 31"))
    assert report.kind is ReportKind.BOUNCE
    anna, berta = report.recipients
    assert (anna.address, anna.action, anna.status, anna.code) == (
        "Anna@example.org",
        Action.FAILED,
        "5.1.1",
        550,
    )
    assert (anna.diagnostic, anna.remote_mta) == ("smtp; 550 5.1.1 No such user at all", "mx.example.org")
    assert (berta.address, berta.status, berta.code) == ("b@example.org", "4.4.1", 0)
    assert (report.reporting_mta, report.envelope_id) == ("relay.example.net", "QQ 31")
    assert (report.message_id, report.return_path) == ("<1@example.com>", "0001@bounce.example.com")
    assert report.sent_at == 1.7e9 + 3600
    assert report.sender == "MAILER-DAEMON@relay.example.net"


def test_our_own_delays_and_successes_are_read() -> None:
    recipient = Recipient(0, "anna@example.org", "example.org")
    told = {"message": a_message(), "original": ORIGINAL, "hostname": "relay.example.net", "now": 1.7e9 + 60}
    late = read(delay(waiting=[(recipient, TOO_SLOW)], **told))
    assert (late.kind, [found.action for found in late.recipients]) == (ReportKind.BOUNCE, [Action.DELAYED])
    served = read(success(served=[(recipient, Delivered(Reply(250, "Ok", "2.0.0")))], **told))
    assert [(found.action, found.status) for found in served.recipients] == [(Action.RELAYED, "2.0.0")]


def test_addresses_beyond_ascii() -> None:
    recipient = Recipient(0, "jörg@exämple.org", "xn--exmple-cua.org", orcpt="utf-8;jörg@exämple.org")
    (found,) = read(made([(recipient, NO_USER)], is_utf8=True)).recipients
    assert (found.address, found.original) == ("jörg@exämple.org", "jörg@exämple.org")
    recipient = Recipient(0, "a+b=c@example.org", "example.org", orcpt="rfc822;a+2Bb+3Dc@example.org")
    (found,) = read(made([(recipient, NO_USER)])).recipients
    assert found.address == "a+b=c@example.org"


WORDS = st.text(st.characters(exclude_categories=["Cs", "Nd", "Nl", "No"]), max_size=200)


@given(
    st.from_regex(r"[A-Za-z!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z]{1,5})?@[a-z]{1,10}\.example", fullmatch=True),
    st.sampled_from(["", "5.1.1", "5.7.509"]),
    st.sampled_from([500, 550, 554]),
    WORDS,
)
def test_what_we_write_is_what_is_read(address: str, enhanced: str, code: int, words: str) -> None:
    """Whatever a peer said, and whoever the recipient is."""
    failed = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(code, words, enhanced))
    (found,) = read(made([(Recipient(0, address, "x.example"), failed)])).recipients
    assert (found.address, found.action, found.code) == (address, Action.FAILED, code)
    assert found.status == status_of(failed)


POSTFIX = """\
From: MAILER-DAEMON@mx.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: sender@example.com
Content-Type: {content_type}

--b
Content-Type: text/plain

<anna@example.org>: host there.example[192.0.2.1] said: 550 Unknown user
    (in reply to end of DATA command)
<berta@example.org>: mail loops

--b
Content-Type: {status_type}

Reporting-MTA: dns; mx.example
X-Postfix-Sender: rfc822; sender@example.com

Final-Recipient: rfc822; anna@example.org
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 550 Unknown user

Final-Recipient: rfc822; berta@example.org
Action: failed
Status: 5.4.6

--b
Content-Type: text/rfc822-headers

Message-ID: <1@example.com>

--b--
"""


@pytest.mark.parametrize(
    ("content_type", "status_type"),
    [
        ("multipart/report; report-type=delivery-status; boundary=b", "message/delivery-status"),
        ("multipart/mixed; boundary=b", "message/delivery-status"),
        ("multipart/mixed; boundary=b", "Message/Global-Delivery-Status"),
        ("multipart/report; boundary=b", "text/plain"),
        ("text/plain", "message/delivery-status"),
    ],
)
def test_text_and_status_complete_each_other(content_type: str, status_type: str) -> None:
    content = POSTFIX.format(content_type=content_type, status_type=status_type).encode()
    report = read(content)
    anna, berta = report.recipients
    assert (anna.address, anna.status, anna.code, anna.command) == ("anna@example.org", "5.0.0", 550, "DATA")
    assert "in reply to end of DATA" in anna.remark
    assert (berta.status, berta.diagnostic, berta.remark) == ("5.4.6", "mail loops", "")
    assert (report.return_path, report.message_id) == ("sender@example.com", "<1@example.com>")
    assert report.reporting_mta == "mx.example"


def test_a_message_named_by_the_reports_own_header() -> None:
    content = (
        b"From: mailer-daemon@x.example\nReferences: <0@example.com>\n <1@example.com>\nSubject: failed\n\n"
    )
    report = read(content + b"Your message could not be delivered to anna@example.org")
    assert (report.kind, report.message_id) == (ReportKind.BOUNCE, "<1@example.com>")


def test_the_words_say_more_than_a_status_without_a_diagnostic() -> None:
    content = BOUNCE.replace(b"Diagnostic-Code: smtp; 550 Unknown user\n", b"")
    content = content.replace(b"said: 550 Unknown", b"said: 550 5.1.1 Unknown")
    anna = read(content).recipients[0]
    assert (anna.status, anna.code) == ("5.1.1", 550)


def test_a_bounce_that_names_nobody() -> None:
    head = b"From: MAILER-DAEMON@mx.example\nAuto-Submitted: auto-replied\nIn-Reply-To: <1@example.com>\n"
    report = read(head + b"Subject: Undeliverable: hello\n\nIt did not arrive.\n")
    assert (report.kind, report.recipients, report.message_id) == (ReportKind.BOUNCE, (), "<1@example.com>")
    assert read(head + b"Subject: errors from mx\n\nOut: 220 mx\n").kind is ReportKind.AUTO_REPLY


def test_a_recipient_who_is_named_again() -> None:
    status = "Final-Recipient: rfc822; anna@example.org\nAction: failed\nStatus: 5.4.6\n\n"
    head = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
    assert len(read(f"{head}{status * 3}".encode()).recipients) == 1


def test_automatic_replies() -> None:
    report = read(
        b"From: Anna <anna@example.org>\nAuto-Submitted: auto-replied\nIn-Reply-To: <1@example.com>\n"
        b"Subject: Re: hello\n\nI am away; delivery to anna@example.org failed, 550 5.1.1 user unknown.\n"
    )
    assert (report.kind, report.recipients) == (ReportKind.AUTO_REPLY, ())
    assert (report.sender, report.message_id) == ("anna@example.org", "<1@example.com>")


PERSON = b"From: anna@example.org\nSubject: Undelivered Mail Returned to Sender\nContent-Type: "
BOUNCE = POSTFIX.format(
    content_type="multipart/report; report-type=delivery-status; boundary=b",
    status_type="message/delivery-status",
).encode()


@pytest.mark.parametrize(
    "content",
    [
        PERSON + b"text/plain\n\nWhat is this?\n\n" + BOUNCE,
        PERSON + b"text/plain\n\n" + BOUNCE.replace(b"\n", b"\n> "),
        PERSON + b"multipart/mixed; boundary=o\n\n--o\n\nsee\n--o\nContent-Type: message/rfc822\n\n" + BOUNCE,
        PERSON + b"message/rfc822\n\n" + BOUNCE,
        b"From: postmaster@example.org\nSubject: Re: Undelivered mail\n\nIt failed for anna@example.org.",
        b"From: anna@example.org\nSubject: hello\n\nhello",
        b"From: anna@example.org\nSubject: Fwd: failed\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@example.org\n--b--\n",
        b"From: a@example.org\nAuto-Submitted: auto-replied\nContent-Type: multipart/report;\n"
        b" report-type=disposition-notification; boundary=b\n\n--b\n\nread\n--b\n"
        b"Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; a@example.org\n--b--\n",
        b"",
    ],
)
def test_a_persons_mail_is_no_report(content: bytes) -> None:
    report = read(content)
    assert (report.kind, report.recipients) == (ReportKind.OTHER, ())


@given(st.binary(max_size=500), st.integers(0, len(BOUNCE)))
def test_any_bytes_are_read(junk: bytes, at: int) -> None:
    read(junk)
    content = BOUNCE[:at] + junk + BOUNCE[at:]
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert (
        read(content)
        == read(lines)
        == read(lines.replace(b"\n", b"\r\n"))
        == read(lines.replace(b"\n", b"\r"))
    )


def test_line_ends_make_no_difference_where_much_is_cut_off() -> None:
    lines = BOUNCE + b"some more text in a line\n" * 100_000
    assert read(lines) == read(lines.replace(b"\n", b"\r\n")) == read(lines.replace(b"\n", b"\r"))


DAEMON = b"From: MAILER-DAEMON@x.example\nSubject: Undelivered\n"
STATUS = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
EXIM = b"\nThe following address(es) failed:\n\n"
SENDMAIL = b"\n--- The following addresses had permanent fatal errors ---\n<a@b.example>\n"
RECIPIENT = b"Final-Recipient: rfc822; a@b.example\nStatus: 5.1.1\n\n"


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (DAEMON + b"\n", b"<a@b.example>:\n"),
        (DAEMON + b"\n", b"failed a@b.example c@d.example\n"),
        (DAEMON + b"\n", b"!" * 900 + b"@ failed\n"),
        (DAEMON + b"\n", b"failed a@" + b"a." * 480 + b"\n"),
        (DAEMON + EXIM, b"  a@b.example\n    550 5.1.1 no\n"),
        (DAEMON + SENDMAIL * 400 + b"--- Transcript of session follows ---\n", b"<<< 550 a@b.example\n"),
        (DAEMON + b"\nfailed a@b.example", b" "),
        (DAEMON + b"Content-Type: text/html\n\n", b"<p>&nbsp;failed a@b.example"),
        (DAEMON + b"Content-Transfer-Encoding: quoted-printable\n\n", b"=41="),
        (STATUS, RECIPIENT),
        (STATUS + b"Final-Recipient: rfc822; a@b.example\n", b"X-A: 1\n"),
        (STATUS + RECIPIENT.strip() + b"\nDiagnostic-Code: smtp;", b"\n 550-5.1.1 x"),
        (b"From: a@b.example\nSubject: ", b"=?utf-8?b?QQ==?= "),
        (b"From: ", b"<"),
        (b"References: ", b"<a@b> "),
        (b"Content-Type: ", b"multipart/"),
        (b"X-Failed-Recipients: ", b"a@b.example, "),
    ],
)
def test_ten_megabytes_of_malice_take_bounded_time(start: bytes, again: bytes) -> None:
    content = start + again * (10_000_000 // len(again))
    began = time.process_time()
    report = read(content)
    assert time.process_time() - began < 1.0
    assert len(report.recipients) <= 2_000
