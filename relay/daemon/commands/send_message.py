"""The message of ``relay send``: what callers of sendmail leave to it, is done here.

Contract, pure: lines end in CRLF; a message without a header gets an empty one, and one without From gets
the sender's; names without a domain, as cron and mail(1) write them (``From: root (Cron Daemon)``), get this
host's, in the header as on the command line. Only what is read without doubt is changed: what is left, the
relay refuses and says why.
"""

from __future__ import annotations

import re

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_EMPTY_GROUP = re.compile(rb"[^:;<>@]*:\s*;")  # "undisclosed-recipients:;"
_ADDRESSES = re.compile(
    rb"^(?:from|sender|reply-to|to|cc|bcc)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.MULTILINE | re.IGNORECASE
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_NAME = re.compile(_ATOM)
# One name: root, "root (Cron Daemon)", Cron Daemon <root>. A display name with a comma in it is left alone.
_BARE = re.compile(
    rb'(\s*(?:(?:"[^",\\\r\n]*"\s*|[^"<>(),:;@\\]*)<)?)(' + _ATOM.encode() + rb")(>?\s*(?:\([^()\\,]*\)\s*)?)"
)


def read_message(raw: bytes, *, ignore_dots: bool) -> bytes:
    """The message with CRLF line ends; without ``ignore_dots`` it ends at a line that is a single dot."""
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    if not ignore_dots and b"." in lines:
        lines = [*lines[: lines.index(b".")], b""]
    if lines[-1]:
        lines.append(b"")  # the last line is a line too
    return b"\r\n".join(lines)


def complete(message: bytes, sender: str, full_name: str) -> bytes:
    """The message with a header, and with From in it: mail(1), cron and the like leave both to sendmail."""
    if not _FIELD.match(message) and not message.startswith(b"\r\n"):
        message = b"\r\n" + message
    if re.search(rb"(?mi)^from[ \t]*:", _head(message)) or not sender:
        return message
    from email.errors import MessageError
    from email.headerregistry import Address
    from email.policy import SMTP, SMTPUTF8

    try:
        author = str(Address(full_name, addr_spec=sender))
    except (ValueError, IndexError, MessageError):  # what is wrong with the sender, the relay says better
        return message
    policy = SMTP if sender.isascii() else SMTPUTF8
    field: str = policy.header_factory("From", author).fold(policy=policy)
    return field.encode() + message


def qualified(message: bytes, domain: str) -> bytes:
    """The message with this domain behind names that have none."""
    head = _head(message)
    changed = _ADDRESSES.sub(lambda field: _qualified_field(field[0], domain.encode()), head)
    return message if changed == head else changed + message[len(head) :]


def qualified_address(address: str, domain: str) -> str:
    """The address, or with this domain if it is a mere name."""
    return f"{address}@{domain}" if _NAME.fullmatch(address) else address


def header_recipients(message: bytes) -> list[str]:
    """The addresses in To, Cc and Bcc. Raises ValueError for a field that cannot be read: whoever it names
    would go without the message, and nobody would know."""
    from relay.codec.headers import Header, addresses

    header = Header.parse(message)
    recipients: list[str] = []
    for name in (b"to", b"cc", b"bcc"):
        for value in header.get_all(name):
            found = addresses(value)
            if not found and value and not _EMPTY_GROUP.fullmatch(value):
                raise ValueError(f"the addresses in {name.decode().title()} cannot be read")
            recipients += found
    return recipients


def _head(message: bytes) -> bytes:
    return message[: message.find(b"\r\n\r\n") + 2] if not message.startswith(b"\r\n") else b""


def _qualified_field(field: bytes, domain: bytes) -> bytes:
    name, _, value = field.partition(b":")
    if b"@" in value and b"," not in value:
        return field  # by far the most
    return name + b":" + b",".join(_qualified_mailbox(one, domain) for one in value.split(b","))


def _qualified_mailbox(mailbox: bytes, domain: bytes) -> bytes:
    found = _BARE.fullmatch(mailbox)
    if found is None or (b"<" in found[1]) != found[3].startswith(b">"):
        return mailbox
    return found[1] + found[2] + b"@" + domain + found[3]
