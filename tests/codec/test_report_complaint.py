"""Complaints: RFC 5965, and Outlook.com's form."""

from relay.base.feedback import ReportKind
from relay.codec.report import read

ARF = """\
From: <abuse@provider.example>
Date: Thu, 8 Mar 2012 17:40:36 -0500
Subject: FW: earn money
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: text/plain

A user complained.

--b
Content-Type: message/feedback-report

Feedback-Type: Abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Envelope-Id: 314159
Original-Mail-From: <0001-abc@bounce.example.com>
{rcpt}Arrival-Date: Thu, 8 Mar 2012 14:00:00 -0500

--b
Content-Type: message/rfc822

Return-Path: <other@example.com>
Message-ID: <0001@relay.example.com>
To: user@provider.example

x
--b--
"""


def arf(*recipients: str) -> bytes:
    return ARF.replace("{rcpt}", "".join(f"Original-Rcpt-To: {to}\n" for to in recipients)).encode()


def test_a_complaint_and_what_it_is_about() -> None:
    report = read(arf("<user@provider.example>", "two@provider.example", "user@provider.example"))
    assert report.kind is ReportKind.COMPLAINT
    assert [found.address for found in report.recipients] == ["user@provider.example", "two@provider.example"]
    assert (report.feedback_type, report.user_agent) == ("abuse", "SomeGenerator/1.0")
    assert (report.message_id, report.return_path) == (
        "<0001@relay.example.com>",
        "0001-abc@bounce.example.com",
    )
    assert (report.envelope_id, report.arrived_at) == ("314159", 1331233200.0)
    assert report.sent_at == 1331246436.0


def test_redacted_recipients_are_left_out() -> None:
    assert read(arf("redacted", "redacted@provider.example", "xxxx@provider.example", "")).recipients == ()
    assert read(arf()).recipients == ()


def test_a_report_without_a_type_of_its_own() -> None:
    content = arf().replace(b"report-type=feedback-report; ", b"").replace(b"Feedback-Type: Abuse\n", b"")
    report = read(content)
    assert (report.kind, report.feedback_type) == (ReportKind.COMPLAINT, "abuse")


def test_not_a_complaint_but_a_feedback_report() -> None:
    report = read(arf().replace(b"Type: Abuse", b"Type: auth-failure"))
    assert (report.kind, report.feedback_type) == (ReportKind.COMPLAINT, "auth-failure")


def test_the_form_of_outlook() -> None:
    content = (
        b"From: <staff@hotmail.com>\nSubject: complaint about message from 192.0.2.1\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        b"X-HmXmrOriginalRecipient: <user@outlook.example>\nMessage-ID: <0001@relay.example.com>\n\nx\n"
    )
    report = read(content)
    assert report.kind is ReportKind.COMPLAINT
    assert [found.address for found in report.recipients] == ["user@outlook.example"]
    assert (report.message_id, report.feedback_type) == ("<0001@relay.example.com>", "abuse")
    assert read(content.replace(b"X-HmXmrOriginalRecipient", b"X-Other")).kind is ReportKind.OTHER


def test_a_forwarded_complaint_is_a_persons_mail() -> None:
    content = (
        b"From: anna@example.org\nSubject: look at this\nContent-Type: multipart/mixed; boundary=outer\n\n"
        b"--outer\nContent-Type: message/rfc822\n\n" + arf("user@provider.example") + b"\n--outer--\n"
    )
    assert read(content).kind is ReportKind.OTHER
