"""A mail that came back, made ready to be passed on to the person whom it concerns.

Contract, pure: ``pass_on`` returns CRLF-clean content whose body is what came, so that a delivery status
stays one, and whose From is the relay's: the domain in the old one is not ours to send as, and DMARC would
say so. The old From becomes Reply-To, unless there is one; the old Message-ID is kept in Original-Message-ID,
since every mail that leaves gets its own. Sender and signatures go, as what they vouched for is changed.
Auto-Submitted is there in any case (RFC 3834): no vacation answers it. ``X-Relay-Returned`` says about which
message it is, and that it was here.

``MailLoop`` where it was here before, or has come through more servers than a mail from anywhere does. A mail
whose header cannot be read goes along as an attachment of one that can.

Deliberately not here: whether it is passed on, and to whom.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

from relay.codec.data import find_fault
from relay.codec.headers import Field, Header, HeaderFault

MARK = b"x-relay-returned"
MAX_HOPS = 40

_REMOVED = frozenset((b"from", b"sender", b"dkim-signature", b"return-path", b"domainkey-signature"))
_NAME = "Mail Delivery System"


class MailLoop(ValueError):
    """The mail goes round in circles."""


def pass_on(content: bytes, sender: str, about: str) -> bytes:
    """The mail as it is passed on, From ``sender``, about the message of this id. Raises MailLoop."""
    clean = _with_crlf(content)
    try:
        header = Header.parse(clean)
    except HeaderFault:
        return _attached(clean, sender, about)
    if header.first(MARK) is not None or len(header.get_all(b"received")) > MAX_HOPS:
        raise MailLoop("it was here before, or came through too many servers")
    fields = [field for field in header.fields if field[0] not in _REMOVED]
    names = {name for name, _ in fields}
    added: list[Field] = [(b"from", f"From: {_NAME} <{sender}>\r\n".encode())]
    author = header.first(b"from")
    if author and b"reply-to" not in names:
        added.append((b"reply-to", b"Reply-To: " + author + b"\r\n"))
    if b"auto-submitted" not in names:
        added.append((b"auto-submitted", b"Auto-Submitted: auto-generated\r\n"))
    message_id = header.first(b"message-id")
    if message_id and b"original-message-id" not in names:
        added.append((b"original-message-id", b"Original-Message-ID: " + message_id + b"\r\n"))
    added.append((MARK, b"X-Relay-Returned: %b\r\n" % about.encode("ascii", "replace")))
    body = clean[header.body_offset :]
    return b"".join([raw for _, raw in (*fields, *added)]) + b"\r\n" + body


def _with_crlf(content: bytes) -> bytes:
    """Only CRLF ends lines, and no NUL: what left otherwise could not be sent on (RFC 5321 2.3.8)."""
    if find_fault(content) is None:
        return content
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
    return lines.replace(b"\n", b"\r\n")


def _attached(content: bytes, sender: str, about: str) -> bytes:
    if b"\r\nx-relay-returned:" in content[: 256 * 1024].lower():
        raise MailLoop("it was here before")
    message = EmailMessage(SMTP)
    message["From"] = f"{_NAME} <{sender}>"
    message["Subject"] = "Mail that came back"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Relay-Returned"] = about
    message.set_content(
        "A mail came back about a message of yours. Its header cannot be read; it is attached as it came.\n"
    )
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename="returned.eml")
    return message.as_bytes()
