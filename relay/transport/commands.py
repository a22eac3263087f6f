"""What we say in a transaction: EHLO keywords read into ``Offers``, and MAIL, RCPT, DATA written by them.

Contract, pure. A parameter is sent only if the peer offered its extension: SIZE (RFC 1870), BODY=8BITMIME
(RFC 6152), SMTPUTF8 (RFC 6531), REQUIRETLS (RFC 8689), RET, ENVID, NOTIFY and ORCPT (RFC 3461), BY (RFC
2852). ``obstacle`` names what keeps a message from going to this peer at all, ``unreachable`` what keeps a
recipient; both are asked before anything is sent. Without SMTPUTF8 domains are written in A-labels.
``write_envelope`` refuses to write a command that would be two (LocalProtocolError): addresses were checked
when they came in, so this is our bug.

BY says how much of the sender's time is left. A peer that does not offer DELIVERBY, or wants more time than
there is, gets the message without it, in both modes. RFC 2852 would have mode R fail there; as next to no
receiver offers DELIVERBY, nothing with a deadline could be sent then. The deadline holds for our own queue.

Cost on the hot path: 1-2 microseconds for a message with one recipient.

Not here: conversion of 8-bit content to quoted-printable; it would break the DKIM signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.base.address import as_ascii
from relay.base.errors import LocalProtocolError
from relay.base.message import Message, Recipient, TlsWish
from relay.base.outcome import Failed, Peer, Reason, Scope
from relay.codec.xtext import address_text, xtext

_UNSAFE = frozenset('+=" \\')  # in an address that was checked when it came in; all else stands for itself
_MOST_TIME_S = 999_999_999  # RFC 2852: nine digits


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
    deliver_by: bool = False
    least_time_s: int = 0  # by which BY must look ahead, 0 if it need not
    requiretls: bool = False


def read_offers(extensions: Mapping[str, str]) -> Offers:
    """Offers from EHLO keywords (lower case) and their parameters; nonsense in SIZE is no limit."""
    limit = extensions.get("size", "").strip()
    least = extensions.get("deliverby", "").strip()
    return Offers(
        pipelining="pipelining" in extensions,
        size="size" in extensions,
        size_limit_bytes=int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 19 else 0,
        eight_bit="8bitmime" in extensions,
        utf8="smtputf8" in extensions,
        dsn="dsn" in extensions,
        starttls="starttls" in extensions,
        auth="auth" in extensions,
        deliver_by="deliverby" in extensions,
        least_time_s=int(least) if least.isascii() and least.isdigit() and len(least) < 10 else 0,
        requiretls="requiretls" in extensions,
    )


def obstacle(message: Message, offers: Offers, peer: Peer) -> Failed | None:
    """Why this peer can never take the message, or None. ``detail`` begins with the code of RFC 3463."""
    if 0 < offers.size_limit_bytes < message.size_bytes:
        detail = f"5.3.4 {message.size_bytes} bytes, the receiver takes {offers.size_limit_bytes}"
        return Failed(Scope.MESSAGE, Reason.SIZE, None, detail, peer)
    if not offers.utf8:
        if not message.wire_sender.isascii() and not as_ascii(message.wire_sender).isascii():
            detail = "5.6.7 the receiver does not take the sender's address (SMTPUTF8)"
            return Failed(Scope.MESSAGE, Reason.UTF8_ADDRESS, None, detail, peer)
        if message.is_utf8:
            detail = "5.6.9 the receiver does not take a header in UTF-8 (SMTPUTF8)"
            return Failed(Scope.MESSAGE, Reason.UTF8_HEADER, None, detail, peer)
    if message.tls is TlsWish.REQUIRED and not offers.requiretls:
        detail = "5.7.30 the message demands REQUIRETLS, which no mail server of the receiver offers"
        return Failed(Scope.MESSAGE, Reason.REQUIRETLS, None, detail, peer)
    if message.is_8bit and not offers.eight_bit:
        detail = "5.6.3 the receiver does not take 8-bit content, and converting it would break its signature"
        return Failed(Scope.MESSAGE, Reason.UNSUPPORTED, None, detail, peer)
    return None


def unreachable(recipient: Recipient, offers: Offers, peer: Peer) -> Failed | None:
    """Why this recipient can never be named to this peer, or None."""
    address = recipient.address
    if offers.utf8 or address.isascii() or as_ascii(address).isascii():
        return None
    detail = "5.6.7 the receiver does not take addresses beyond ASCII (SMTPUTF8)"
    return Failed(Scope.RECIPIENT, Reason.UTF8_ADDRESS, None, detail, peer)


def needs_utf8(message: Message, recipients: Sequence[Recipient], offers: Offers) -> bool:
    """Whether MAIL says SMTPUTF8: for the header, or for an address that has no other form (RFC 6531 3.4)."""
    if message.is_utf8:
        return True
    if message.wire_sender.isascii():
        for recipient in recipients:
            if not recipient.address.isascii():
                break
        else:
            return False
    addresses = [message.wire_sender, *[recipient.address for recipient in recipients]]
    return offers.utf8 and not all([as_ascii(one).isascii() for one in addresses])


def mail_command(message: Message, offers: Offers, now: float = 0.0, is_utf8: bool = False) -> str:
    """MAIL FROM with its parameters, CRLF included. ``now``: seconds since the epoch, for BY."""
    sender = message.wire_sender
    line = f"MAIL FROM:<{sender if sender.isascii() or is_utf8 else as_ascii(sender)}>"
    if offers.size and message.size_bytes:
        line = f"{line} SIZE={message.size_bytes}"
    if message.is_8bit:
        line += " BODY=8BITMIME"
    if is_utf8:
        line += " SMTPUTF8"
    if message.tls is TlsWish.REQUIRED:
        line += " REQUIRETLS"
    if offers.dsn:
        if message.ret:
            line = f"{line} RET={message.ret}"
        if message.envid:
            line = f"{line} ENVID={xtext(message.envid)}"
    if message.deadline and offers.deliver_by:
        line += _time_left(message, offers, now)
    return line + "\r\n"


def _time_left(message: Message, offers: Offers, now: float) -> str:
    """BY, counted from now; nothing where the peer would refuse so little time."""
    seconds = max(-_MOST_TIME_S, min(int(message.deadline - now), _MOST_TIME_S))
    if message.is_by_notify:
        return f" BY={seconds};N"
    seconds = max(seconds, 1)  # an attempt that began in time
    return f" BY={seconds};R" if seconds >= offers.least_time_s else ""


def rcpt_command(
    recipient: Recipient, offers: Offers, is_utf8: bool = False, *, is_ours: bool = False
) -> str:
    """RCPT TO with its parameters, CRLF included. ``is_ours``: reports come back to us, who have to know
    which of the recipients they mean, whatever aliases are behind it."""
    address = recipient.address
    if not (address.isascii() or is_utf8):
        address = as_ascii(address)
    if offers.dsn and (recipient.notify or recipient.orcpt or is_ours):
        line = f"RCPT TO:<{address}>"
        if recipient.notify:
            line = f"{line} NOTIFY={recipient.notify}"
        if recipient.orcpt:
            line = f"{line} ORCPT={address_text(recipient.orcpt, is_utf8)}"
        elif is_ours:
            line = f"{line} ORCPT={_original(recipient.address, is_utf8)}"
        return line + "\r\n"
    return f"RCPT TO:<{address}>\r\n"


def _original(address: str, is_utf8: bool) -> str:
    """The recipient as it was given to us, as the value of ORCPT (RFC 3461 5.2.1)."""
    if address.isascii() and not _UNSAFE.intersection(address):
        return f"rfc822;{address}"
    return address_text(f"{'rfc822' if address.isascii() else 'utf-8'};{address}", is_utf8)


def write_envelope(
    message: Message, recipients: Sequence[Recipient], offers: Offers, now: float = 0.0
) -> bytes:
    """MAIL, one RCPT per recipient, and DATA, in one piece. Raises LocalProtocolError."""
    if len(recipients) == 1:
        one = recipients[0]
        is_utf8 = needs_utf8(message, recipients, offers)
        mail = mail_command(message, offers, now, is_utf8)
        text = mail + rcpt_command(one, offers, is_utf8, is_ours=bool(message.return_path)) + "DATA\r\n"
    else:
        lines = envelope_lines(message, recipients, offers, now)
        lines.append("DATA\r\n")
        text = "".join(lines)
    return _encoded(text, len(recipients) + 2)


def envelope_lines(
    message: Message, recipients: Sequence[Recipient], offers: Offers, now: float = 0.0
) -> list[str]:
    """MAIL and one RCPT per recipient."""
    is_utf8 = needs_utf8(message, recipients, offers)
    lines = [mail_command(message, offers, now, is_utf8)]
    is_ours = bool(message.return_path)
    lines += [rcpt_command(recipient, offers, is_utf8, is_ours=is_ours) for recipient in recipients]
    return lines


def write_line(line: str) -> bytes:
    """One command as bytes. Raises LocalProtocolError."""
    return _encoded(line, 1)


def _encoded(text: str, lines: int) -> bytes:
    if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
        raise LocalProtocolError("an address holds a line end or NUL")
    try:
        return text.encode()
    except UnicodeEncodeError as fault:
        raise LocalProtocolError("an address is not UTF-8") from fault
