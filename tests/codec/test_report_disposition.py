"""Refusals that a mailbox's own rules send, and receipts, which are none."""

from relay.base.feedback import Action, ReportKind
from relay.codec.report import read

REFUSAL = """\
From: Mail Delivery Subsystem <postmaster@mx.example>
Subject: Automatically rejected mail
Auto-Submitted: auto-replied (rejected)
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: text/plain

Your message to <anna@example.org> was automatically rejected:
Quota exceeded
--b
Content-Type: message/disposition-notification

Reporting-UA: mx.example; Dovecot Mail Delivery Agent
Original-Recipient: rfc822; info@example.org
Final-Recipient: rfc822; anna@example.org
Original-Message-ID: <1@example.com>
Disposition: automatic-action/MDN-sent-automatically; deleted

--b
Content-Type: message/rfc822

{returned}
--b--
"""


def test_a_rule_of_the_mailbox_refuses() -> None:
    report = read(REFUSAL.format(returned="Subject: x").encode())
    (anna,) = report.recipients
    assert report.kind is ReportKind.BOUNCE
    assert (anna.address, anna.original, anna.action) == (
        "anna@example.org",
        "info@example.org",
        Action.FAILED,
    )
    assert (anna.diagnostic, anna.command, anna.status) == ("Quota exceeded", "DATA", "")
    assert report.message_id == "<1@example.com>"


def test_the_returned_header_names_the_original() -> None:
    report = read(
        REFUSAL.format(returned="Message-ID: <2@example.com>\nReturn-Path: <r@example.com>").encode()
    )
    assert (report.message_id, report.return_path) == ("<2@example.com>", "r@example.com")


def test_other_words_are_the_reason_as_a_whole() -> None:
    content = REFUSAL.format(returned="x").replace("was automatically rejected:", "is refused:")
    assert read(content.encode()).recipients[0].diagnostic == (
        "Your message to <anna@example.org> is refused: Quota exceeded"
    )


def test_a_receipt_is_no_bounce() -> None:
    receipt = REFUSAL.format(returned="x").replace(" (rejected)", "").replace("rejected mail", "read")
    assert read(receipt.encode()).kind is ReportKind.OTHER
    nobody = REFUSAL.format(returned="x").replace("Final-Recipient", "X-Recipient")
    assert read(nobody.encode()).recipients == ()
