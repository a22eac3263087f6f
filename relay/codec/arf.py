"""A complaint: the feedback report with which a receiver tells that a recipient called mail spam (RFC 5965).

Contract: ``compose`` returns complete, CRLF-clean content of 7 bits: a text for people, the report for
programs (message/feedback-report), and the header of the message (text/rfc822-headers). The recipient is
named (Original-Rcpt-To) where his address is plain ASCII; RFC 5965 knows no form for others, and a receiver
may leave him out in any case. Nothing in the message can add a field. Date and Message-ID are set where every
message gets them, when it is signed.

After a crash the same report may be made again; it has the same boundary then. Pure, and not on the hot path.
Deliberately not here: reading other people's reports (``report_complaint``).
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.base.address import as_ascii, domain_of
from relay.codec.headers import Header, addresses
from relay.codec.original_header import as_seven_bits, excerpt, header_of, text_of
from relay.codec.report_words import date, folded, one_line

_TEXT = """\
This is an abuse report for a message that was received from
    {sender}
on {arrived}. Its recipient has called it unsolicited:
    {recipient}

Nobody is annoyed: this address belongs to the mailbox simulator of a mail
relay, and complains about every message. For more on this format, see RFC 5965.
"""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is reported. ``message_id`` is that of the relay, which makes the boundary; ``mail_from`` is as
    the receiver saw it; ``source_ip`` is where the message came from."""

    message_id: str
    reporter: str  # From of the report
    to: str
    recipient: str
    mail_from: str
    arrived_at: float
    source_ip: str = ""
    reporting_mta: str = ""
    user_agent: str = ""


def compose(complaint: Complaint, original: bytes) -> bytes:
    """The report; ``original`` is the message's content, or at least its header."""
    header = header_of(original)
    recipient, mail_from = as_ascii(complaint.recipient), as_ascii(complaint.mail_from)
    subject = text_of(header, b"subject")
    boundary = f"=_{complaint.message_id}"
    words = {
        "sender": f"<{one_line(mail_from)}>",
        "arrived": date(complaint.arrived_at),
        "recipient": f"<{one_line(recipient)}>" if recipient.isascii() else "(not named)",
    }
    head = [
        f"From: Mailbox Simulator <{one_line(complaint.reporter)}>",
        f"To: <{one_line(complaint.to)}>",
        folded("Subject", f"FW: {subject}" if subject.isascii() else "Abuse report"),
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=feedback-report;\r\n\tboundary="{boundary}"',
        "",
        "This is an abuse report in MIME form.",
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *_TEXT.format(**words).splitlines(),
        f"--{boundary}",
        "Content-Type: message/feedback-report",
        "",
        *_fields(complaint, recipient, mail_from, _author_domain(header)),
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
    ]
    text = "".join([f"{line}\r\n" for line in head]).encode("ascii", "replace")
    return text + as_seven_bits(excerpt(header)) + f"\r\n--{boundary}--\r\n".encode()


def _fields(complaint: Complaint, recipient: str, mail_from: str, reported_domain: str) -> list[str]:
    """RFC 5965 3.1 and 3.2."""
    lines = [
        "Feedback-Type: abuse",
        folded("User-Agent", complaint.user_agent or "Relay-Mailbox-Simulator"),
        "Version: 1",
        f"Original-Mail-From: <{one_line(mail_from)}>",
        f"Arrival-Date: {date(complaint.arrived_at)}",
    ]
    if recipient.isascii():
        lines.append(f"Original-Rcpt-To: <{one_line(recipient)}>")
    if complaint.reporting_mta:
        lines.append(f"Reporting-MTA: dns; {one_line(complaint.reporting_mta)}")
    if complaint.source_ip:
        lines.append(f"Source-IP: {one_line(complaint.source_ip)}")
    if reported_domain:
        lines.append(f"Reported-Domain: {one_line(reported_domain)}")
    return lines


def _author_domain(header: Header | None) -> str:
    """The domain of From; "" if it cannot be read."""
    value = header.first(b"from") if header is not None else None
    try:
        domain = domain_of(addresses(value)[0]) if value else ""
    except (ValueError, IndexError):
        return ""
    return domain if domain.isascii() else ""
