"""The mail that a TLS report travels in (RFC 8460 5.3): multipart/report of the type tlsrpt.

Contract: ``compose`` returns complete, CRLF-clean content of 7-bit bytes: a part for people, and the report,
compressed. ``TLS-Required: No`` is in its header (RFC 8689 5), for a report that says TLS is broken has to
arrive without it. Date and Message-ID are set where every message gets them, when it is signed.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

from relay.base.address import check_address
from relay.codec.tls_report import Reporter, file_name, report_id

_TEXT = """\
This is a report on how the sessions of {submitter} to the mail servers of {domain}
fared with TLS on one day (UTC), for whoever asked for it in the TXT record _smtp._tls.{domain}.
The report is attached: JSON as in RFC 8460, compressed with gzip.

Sent by {organization}; questions to {contact}.
"""


def compose(
    sender: str, recipient: str, day: int, domain: str, compressed: bytes, reporter: Reporter
) -> bytes:
    """The content of the mail. Raises ValueError if an address cannot stand in a header."""
    for address in (sender, recipient):
        check_address(address)
        if not address.isascii():
            raise ValueError(f"{address}: a report goes to and comes from ASCII addresses")
    identifier = report_id(day, domain, reporter)
    message = EmailMessage(SMTP.clone(max_line_length=900))  # structured by its readers: not folded
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = f"Report Domain: {domain} Submitter: {reporter.domain} Report-ID: <{identifier}>"
    message["TLS-Report-Domain"] = domain
    message["TLS-Report-Submitter"] = reporter.domain
    message["TLS-Required"] = "No"
    message["Auto-Submitted"] = "auto-generated"
    words = {
        "domain": domain,
        "submitter": reporter.domain,
        "organization": reporter.organization,
        "contact": reporter.contact,
    }
    text = _TEXT.format(**words)
    message.set_content(text, cte="7bit" if text.isascii() else "quoted-printable")
    message.add_attachment(
        compressed, maintype="application", subtype="tlsrpt+gzip", filename=file_name(day, domain, reporter)
    )
    message.replace_header("Content-Type", 'multipart/report; report-type="tlsrpt"')
    message.set_boundary(f"=_{identifier.partition('T')[0]}_{len(compressed)}_relay")
    return message.as_bytes()
