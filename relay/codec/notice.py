"""A message of the relay's own to people: a verification link, a warning, what became of an identity.

Contract: ``compose`` returns complete, CRLF-clean content of 7-bit bytes unless an address itself is not
ASCII (then the header is UTF-8, RFC 6532). It says that a program wrote it (RFC 3834 5: nobody's vacation
answers it). Line ends and other control characters in the subject become spaces; nothing that an owner chose
(an account's name, a domain) can add a field. Date and Message-ID are set where every message gets them, when
it is signed.

Not on the hot path. Deliberately not here: what the notices say, and to whom.
"""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from relay.base.address import check_address

_SUBJECT_LIMIT = 200


def compose(sender: str, recipient: str, subject: str, text: str) -> bytes:
    """The content of a notice. ``text`` has lines for people; it is sent as it is, in UTF-8.

    Raises ValueError if one of the addresses cannot stand in a header.
    """
    is_utf8 = not (sender + recipient).isascii()
    message = EmailMessage(SMTPUTF8 if is_utf8 else SMTP)
    message["From"] = _address(sender, "Relay")
    message["To"] = _address(recipient)
    words = "".join([char if char.isprintable() else " " for char in subject]).split()
    message["Subject"] = " ".join(words)[:_SUBJECT_LIMIT]
    message["Auto-Submitted"] = "auto-generated"
    is_plain = text.isascii() and "\0" not in text  # which no content may have as it is
    message.set_content(text.strip() + "\n", cte=None if is_plain else "quoted-printable")
    return message.as_bytes()


def _address(address: str, name: str = "") -> Address:
    check_address(address)
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)
