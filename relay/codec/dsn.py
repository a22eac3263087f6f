"""The bounce: a message that tells the sender what became of which recipient (RFC 3464, 6522, 3461, 6533).

Contract: ``bounce`` returns complete content, CRLF-clean: a text for people, the delivery status for
programs, and the header of the original (all of it for RET=FULL, if it is small and may travel as it is).
``success`` is the same for recipients who were delivered, or handed to a server that will not report itself;
it never returns more than the header (RFC 3461 6.2).
It is 7-bit unless the original needed SMTPUTF8 and an address or header really is not ASCII; then the UTF-8
forms of RFC 6533 are used. Nothing that a peer or client wrote (replies, ENVID, ORCPT, host names) can add a
line or a field of its own.

After a crash the same bounce may be made again; it has the same boundary and Message-ID then.

Not on the hot path. Deliberately not here: to whom and when a report goes (NOTIFY, the null sender), reading
other people's bounces, delay reports.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward
from relay.codec.headers import Header, HeaderFault, unfold
from relay.codec.status import sentence_of, status_of

FULL_LIMIT_BYTES = 64 * 1024  # RET=FULL returns no more (RFC 3461 4.3 leaves the limit to us)
_HEADER_LIMIT_BYTES = 32 * 1024
_TEXT_LIMIT_OCTETS = 900  # so that no unbroken reply makes a line above 998 octets (RFC 5322 2.1.1)
_FOLD_CHARS = 76

_Told = Sequence[tuple[Recipient, Delivered | Deferred | Failed]]


def bounce(
    *,
    message: Message,
    failures: Sequence[tuple[Recipient, Failed | Deferred]],
    original: bytes,
    hostname: str,
    now: float,
) -> bytes:
    """The bounce for ``failures`` of ``message``, to its sender.

    ``failures`` pairs each recipient with why it failed; Deferred means that its time was up. ``original`` is
    the message's content, or at least its header. ``now`` is in seconds since the epoch.
    """
    return _report(message, failures, original, hostname, now, is_failure=True)


def success(
    *,
    message: Message,
    served: Sequence[tuple[Recipient, Delivered]],
    original: bytes,
    hostname: str,
    now: float,
) -> bytes:
    """The report that ``served`` got ``message``, or a server that speaks no DSN did, to its sender."""
    return _report(message, served, original, hostname, now, is_failure=False)


def _report(
    message: Message, told: _Told, original: bytes, hostname: str, now: float, *, is_failure: bool
) -> bytes:
    header, body_offset = _header_of(original)
    is_full = (
        is_failure
        and message.ret == "FULL"
        and message.size_bytes == len(original) <= FULL_LIMIT_BYTES
        and body_offset > 0
        and (original.isascii() or message.is_utf8)
    )
    returned = original if is_full else _short(header)
    addresses = "".join([message.sender, *(recipient.address for recipient, _ in told)])
    # a sender that needs SMTPUTF8 may have sent a message that does not: its MAIL FROM was then a return path
    may_be_utf8 = message.is_utf8 or not message.sender.isascii()
    is_utf8 = may_be_utf8 and not (returned.isascii() and addresses.isascii())
    if not is_utf8:
        returned = returned.decode("ascii", "replace").replace("\ufffd", "?").encode()
    if is_full:
        kind = "message/global" if is_utf8 else "message/rfc822"
    else:
        kind = "message/global-headers" if is_utf8 else "text/rfc822-headers"

    boundary = f"=_{message.id}"
    parts = [
        _part("text/plain; charset=utf-8" if is_utf8 else "text/plain; charset=us-ascii", "Notification"),
        _encoded((_for_people if is_failure else _good_news)(message, told, hostname), is_utf8),
        _part(f"message/{'global-' if is_utf8 else ''}delivery-status", "Delivery report"),
        _encoded(_for_programs(message, told, hostname, now, is_utf8), is_utf8),
        _part(
            kind, "Undelivered message" if is_full else f"Header of the {'un' * is_failure}delivered message"
        ),
        returned if returned.endswith(b"\r\n") or not returned else returned + b"\r\n",
    ]
    if is_utf8:
        parts[::2] = [
            part.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n") for part in parts[::2]
        ]
    delimiter = f"--{boundary}\r\n".encode()
    subject = "Your message could not be delivered" if is_failure else "Your message was passed on"
    head_lines = _head(message, subject, _message_id(header), boundary, hostname, now, is_utf8)
    head = _encoded(head_lines, is_utf8)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return (
        head
        + f"\r\nThis is a report of {'failed ' * is_failure}delivery in MIME form.\r\n\r\n".encode()
        + b"".join([delimiter + part + text + b"\r\n" for part, text in pairs])
        + f"--{boundary}--\r\n".encode()
    )


def _head(
    message: Message,
    subject: str,
    original_id: str,
    boundary: str,
    hostname: str,
    now: float,
    is_utf8: bool,
) -> list[str]:
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{_one_line(message.sender)}>",
        f"Subject: {subject}",
        f"Date: {_date(now)}",
        f"Message-ID: <{message.id}.bounce@{hostname}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 5: in reply to a message, by a program
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type="
        + ("global-delivery-status" if is_utf8 else "delivery-status")
        + f';\r\n\tboundary="{boundary}"',
    ]
    if original_id:
        lines[5:5] = [f"In-Reply-To: {original_id}", f"References: {original_id}"]
    if is_utf8:
        lines.append("Content-Transfer-Encoding: 8bit")
    return lines


def _for_people(message: Message, failures: _Told, hostname: str) -> list[str]:
    lines = [
        f"This is the mail server {hostname}.",
        "",
        f"Your message of {_date(message.arrived_at)} could not be delivered to",
        "one of its recipients:" if len(failures) == 1 else f"{len(failures)} of its recipients:",
    ]
    for recipient, outcome in failures:
        assert not isinstance(outcome, Delivered)
        lines += ["", f"<{_one_line(recipient.address)}>"]
        lines += _wrapped(sentence_of(outcome))
        if outcome.reply is not None:
            peer = outcome.peer
            name = _one_line(f"{peer.host} ({peer.address})" if peer.address else peer.host)
            lines += _wrapped(f"{name or 'The other side'} said: {_one_line(str(outcome.reply))}")
    lines += ["", "Recipients that are not named here are not affected.", ""]
    lines += ["The next part of this report is for programs; the last one is what you sent."]
    return lines


def _good_news(message: Message, served: _Told, hostname: str) -> list[str]:
    lines = [
        f"This is the mail server {hostname}. You asked to hear when your message",
        f"of {_date(message.arrived_at)} has arrived.",
    ]
    for recipient, outcome in served:
        assert isinstance(outcome, Delivered)
        lines += ["", f"<{_one_line(recipient.address)}>"]
        if outcome.onward is Onward.DELIVERED:
            lines += _wrapped("It has been delivered.")
        else:
            peer = _one_line(outcome.peer.host or "the next mail server")
            lines += _wrapped(f"It has been handed to {peer}, which does not report what becomes of it then.")
    return [*lines, "", "The next part of this report is for programs; the last one is what you sent."]


def _for_programs(
    message: Message,
    told: _Told,
    hostname: str,
    now: float,
    is_utf8: bool,
) -> list[str]:
    """Delivery status: fields of the message, then a group of fields for each recipient (RFC 3464 2.1)."""
    lines = [f"Reporting-MTA: dns; {hostname}"]
    if message.envid:
        lines.append(_field("Original-Envelope-Id", message.envid))
    lines += [f"Arrival-Date: {_date(message.arrived_at)}"]
    for recipient, outcome in told:
        lines.append("")
        if recipient.orcpt:
            lines.append(_field("Original-Recipient", recipient.orcpt))
        kind = "rfc822" if recipient.address.isascii() else "utf-8"  # RFC 6533 3
        lines += [
            f"Final-Recipient: {kind}; {_one_line(recipient.address)}",
            f"Action: {outcome.onward.value if isinstance(outcome, Delivered) else 'failed'}",
            f"Status: {status_of(outcome)}",
        ]
        if outcome.peer.host:
            lines.append(_field("Remote-MTA", f"dns; {outcome.peer.host}"))
        if outcome.reply is not None:
            lines.append(_field("Diagnostic-Code", f"smtp; {outcome.reply}"))
        else:
            lines.append(_field("Diagnostic-Code", f"x-relay; {outcome.reason}"))
        lines.append(f"Last-Attempt-Date: {_date(now)}")
    return lines


def _header_of(original: bytes) -> tuple[Header | None, int]:
    try:
        header = Header.parse(original)
    except HeaderFault:
        return None, 0
    return header, header.body_offset


def _short(header: Header | None) -> bytes:
    """The header's bytes as they are returned: whole fields, up to a limit."""
    if header is None:
        return b""
    kept: list[bytes] = []
    room = _HEADER_LIMIT_BYTES
    for _, raw in header.fields:
        room -= len(raw)
        if room < 0:
            break
        kept.append(raw)
    return b"".join(kept)


def _message_id(header: Header | None) -> str:
    value = header.first(b"message-id") if header is not None else None
    text = _one_line(unfold(value or b"").decode("ascii", "replace"))
    return text if text.startswith("<") and text.endswith(">") and len(text) < 500 and text.isascii() else ""


def _part(content_type: str, description: str) -> bytes:
    return f"Content-Type: {content_type}\r\nContent-Description: {description}\r\n\r\n".encode()


def _encoded(lines: Sequence[str], is_utf8: bool) -> bytes:
    return "".join([f"{line}\r\n" for line in lines]).encode("utf-8" if is_utf8 else "ascii", "replace")


def _one_line(text: str) -> str:
    """``text`` without control characters and line ends, as single-spaced words, cut to a sensible length."""
    words = " ".join("".join([c if c.isprintable() else " " for c in text]).split())
    return words.encode("utf-8", "replace")[:_TEXT_LIMIT_OCTETS].decode("utf-8", "ignore")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _FOLD_CHARS, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


def _field(name: str, value: str) -> str:
    """A field, folded at spaces only, so that unfolding gives the value back."""
    text = f"{name}: {_one_line(value)}"
    return "\r\n ".join(textwrap.wrap(text, _FOLD_CHARS, break_long_words=False, break_on_hyphens=False))


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))
