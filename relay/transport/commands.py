"""What we say in a transaction: EHLO keywords read into ``Offers``, and MAIL, RCPT, DATA written by them.

Contract, pure. A parameter is sent only if the peer offered its extension: SIZE (RFC 1870), BODY=8BITMIME
(RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461). ``obstacle`` names what keeps a
message from going to this peer at all; it is asked before anything is sent. ``write_envelope`` refuses to
write a command that would be two (LocalProtocolError): addresses were checked when they came in, so this is
our bug.

Cost on the hot path: 1-2 microseconds for a message with one recipient.

Not here: conversion of 8-bit content to quoted-printable; it would break the DKIM signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.base.errors import LocalProtocolError
from relay.base.message import Message, Recipient
from relay.base.outcome import Failed, Peer, Reason, Scope


@dataclass(frozen=True, slots=True)
class Offers:
    """The extensions of a peer that matter to us. ``size_limit_bytes`` is 0 where there is none (RFC 1870
    3)."""

    pipelining: bool = False
    size: bool = False
    size_limit_bytes: int = 0
    eight_bit: bool = False
    utf8: bool = False
    dsn: bool = False
    starttls: bool = False
    auth: bool = False


def read_offers(extensions: Mapping[str, str]) -> Offers:
    """Offers from EHLO keywords (lower case) and their parameters; nonsense in SIZE is no limit."""
    limit = extensions.get("size", "").strip()
    return Offers(
        pipelining="pipelining" in extensions,
        size="size" in extensions,
        size_limit_bytes=int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 19 else 0,
        eight_bit="8bitmime" in extensions,
        utf8="smtputf8" in extensions,
        dsn="dsn" in extensions,
        starttls="starttls" in extensions,
        auth="auth" in extensions,
    )


def obstacle(message: Message, offers: Offers, peer: Peer) -> Failed | None:
    """Why this peer can never take the message, or None. ``detail`` begins with the code of RFC 3463."""
    if 0 < offers.size_limit_bytes < message.size_bytes:
        detail = f"5.3.4 {message.size_bytes} bytes, the receiver takes {offers.size_limit_bytes}"
        return Failed(Scope.MESSAGE, Reason.SIZE, None, detail, peer)
    if message.is_utf8 and not offers.utf8:
        detail = "5.6.7 the receiver does not take internationalised mail (SMTPUTF8)"
        return Failed(Scope.MESSAGE, Reason.UNSUPPORTED, None, detail, peer)
    if message.is_8bit and not offers.eight_bit:
        detail = "5.6.3 the receiver does not take 8-bit content, and converting it would break its signature"
        return Failed(Scope.MESSAGE, Reason.UNSUPPORTED, None, detail, peer)
    return None


def mail_command(message: Message, offers: Offers) -> str:
    """MAIL FROM with its parameters, CRLF included."""
    line = f"MAIL FROM:<{message.wire_sender}>"
    if offers.size and message.size_bytes:
        line = f"{line} SIZE={message.size_bytes}"
    if message.is_8bit:
        line += " BODY=8BITMIME"
    if message.is_utf8:
        line += " SMTPUTF8"
    if offers.dsn:
        if message.ret:
            line = f"{line} RET={message.ret}"
        if message.envid:
            line = f"{line} ENVID={xtext(message.envid)}"
    return line + "\r\n"


def rcpt_command(recipient: Recipient, offers: Offers) -> str:
    """RCPT TO with its parameters, CRLF included."""
    if offers.dsn and (recipient.notify or recipient.orcpt):
        line = f"RCPT TO:<{recipient.address}>"
        if recipient.notify:
            line = f"{line} NOTIFY={recipient.notify}"
        if recipient.orcpt:
            kind, _, address = recipient.orcpt.partition(";")
            # an internationalised ORCPT has its own encoding (RFC 6533 3), legal only between SMTPUTF8 peers
            if kind.lower() != "utf-8":
                line = f"{line} ORCPT={kind};{xtext(address)}"
            elif offers.utf8:
                line = f"{line} ORCPT=utf-8;{utf8_address_text(address)}"
        return line + "\r\n"
    return f"RCPT TO:<{recipient.address}>\r\n"


def write_envelope(message: Message, recipients: Sequence[Recipient], offers: Offers) -> bytes:
    """MAIL, one RCPT per recipient, and DATA, in one piece. Raises LocalProtocolError."""
    if len(recipients) == 1:
        text = mail_command(message, offers) + rcpt_command(recipients[0], offers) + "DATA\r\n"
    else:
        lines = [mail_command(message, offers)]
        lines += [rcpt_command(recipient, offers) for recipient in recipients]
        lines.append("DATA\r\n")
        text = "".join(lines)
    return _encoded(text, len(recipients) + 2, message)


def write_line(line: str, message: Message) -> bytes:
    """One command as bytes. Raises LocalProtocolError."""
    return _encoded(line, 1, message)


def _encoded(text: str, lines: int, message: Message) -> bytes:
    if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
        raise LocalProtocolError("an address holds a line end or NUL")
    try:
        return text.encode("utf-8" if message.is_utf8 else "ascii")
    except UnicodeEncodeError as fault:
        raise LocalProtocolError("a non-ASCII address in a message without SMTPUTF8") from fault


def xtext(text: str) -> str:
    """RFC 3461 4: printable ASCII but "+" and "=" as it is, the rest as "+" and two hexadecimal digits."""
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte not in b"+=" else f"+{byte:02X}" for byte in text.encode()
    )


def utf8_address_text(text: str) -> str:
    """utf-8-addr-unitext (RFC 6533 3): what is not plain text becomes ``\\x{HEX}``."""
    return "".join(
        c if c > "\x7f" or ("!" <= c <= "~" and c not in "+=\\") else f"\\x{{{ord(c):02X}}}" for c in text
    )
