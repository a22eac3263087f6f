"""The report: a message that tells the sender what became of which recipient (RFC 3464, 6522, 3461, 6533).

Contract: ``bounce`` returns complete content, CRLF-clean: a text for people, the delivery status for
programs, and the header of the original (all of it for RET=FULL, if it is small and may travel as it is).
``success`` is the same for recipients who were delivered, or handed to a server that will not report itself,
``delay`` for those who still wait; they never return more than the header (RFC 3461 6.2). It is 7-bit unless
an address or header really is not ASCII; then the UTF-8 forms of RFC 6533 are used. Domains are written in
A-labels where that makes an address ASCII, so that the report reaches a sender whose server knows no
SMTPUTF8. Nothing that a peer or client wrote (replies, ENVID, ORCPT, host names) can add a line or a field of
its own.

After a crash the same report may be made again; it has the same boundary and Message-ID then.

Not on the hot path. Deliberately not here: to whom and when a report goes (NOTIFY, the null sender), reading
other people's bounces; the text for people is in ``dsn_text``, the fields for programs in ``dsn_status``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.base.address import as_ascii
from relay.base.feedback import BounceClass
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed
from relay.codec.dsn_status import status_fields
from relay.codec.dsn_text import Context, Told, bad_news, good_news, late_news
from relay.codec.original_header import as_seven_bits, excerpt, header_of, message_id_of, text_of
from relay.codec.report_words import address_word, date

FULL_LIMIT_BYTES = 64 * 1024  # RET=FULL returns no more (RFC 3461 4.3 leaves the limit to us)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the three reports differ in."""

    name: str
    subject: str
    preface: str
    returned: str  # what the last part is called
    for_people: Callable[[Context, Told], list[str]]


_BOUNCE = _Kind(
    "bounce",
    "Your message could not be delivered",
    "This is a report of failed delivery in MIME form.",
    "Header of the undelivered message",
    bad_news,
)
_SUCCESS = _Kind(
    "success",
    "Your message was passed on",
    "This is a report of delivery in MIME form.",
    "Header of the delivered message",
    good_news,
)
_DELAY = _Kind(
    "delay",
    "Your message is delayed",
    "This is a report of delayed delivery in MIME form.",
    "Header of the delayed message",
    late_news,
)


def bounce(
    *,
    message: Message,
    failures: Sequence[tuple[Recipient, Failed | Deferred]],
    original: bytes,
    hostname: str,
    now: float,
    classes: Sequence[BounceClass] = (),
) -> bytes:
    """The bounce for ``failures`` of ``message``, to its sender.

    ``failures`` pairs each recipient with why it failed; Deferred means that its time was up. ``original`` is
    the message's content, or at least its header. ``now`` is in seconds since the epoch. ``classes`` say in
    the order of ``failures`` what kind of bounce each is, for a word of advice; without them there is none.
    """
    return _report(_BOUNCE, message, failures, original, hostname, now, classes)


def success(
    *,
    message: Message,
    served: Sequence[tuple[Recipient, Delivered]],
    original: bytes,
    hostname: str,
    now: float,
) -> bytes:
    """The report that ``served`` got ``message``, or a server that speaks no DSN did, to its sender."""
    return _report(_SUCCESS, message, served, original, hostname, now)


def delay(
    *,
    message: Message,
    waiting: Sequence[tuple[Recipient, Deferred]],
    original: bytes,
    hostname: str,
    now: float,
) -> bytes:
    """The report that ``waiting`` have not got ``message`` yet and why, to its sender."""
    return _report(_DELAY, message, waiting, original, hostname, now)


def _report(
    kind: _Kind,
    message: Message,
    told: Told,
    original: bytes,
    hostname: str,
    now: float,
    classes: Sequence[BounceClass] = (),
) -> bytes:
    header = header_of(original)
    body_offset = 0 if header is None else header.body_offset
    is_full = (
        kind is _BOUNCE
        and message.ret == "FULL"
        and message.size_bytes == len(original) <= FULL_LIMIT_BYTES
        and body_offset > 0
        and (original.isascii() or message.is_utf8)
    )
    returned = original if is_full else excerpt(header)
    addresses = "".join([as_ascii(message.sender), *(as_ascii(recipient.address) for recipient, _ in told)])
    # an address beyond ASCII came in by SMTPUTF8, also where the message itself turned out not to need it
    is_utf8 = not addresses.isascii() or (message.is_utf8 and not returned.isascii())
    if not is_utf8:
        returned = as_seven_bits(returned)
    if is_full:
        last = "message/global" if is_utf8 else "message/rfc822"
    else:
        last = "message/global-headers" if is_utf8 else "text/rfc822-headers"

    boundary = f"=_{message.id}"
    about = Context(message, hostname, now, text_of(header, b"subject"), classes)
    for_people = kind.for_people(about, told)
    parts = [
        _part("text/plain; charset=utf-8" if is_utf8 else "text/plain; charset=us-ascii", "Notification"),
        _encoded(for_people, is_utf8),
        _part(f"message/{'global-' if is_utf8 else ''}delivery-status", "Delivery report"),
        _encoded(status_fields(about, told, is_utf8, kind is _DELAY), is_utf8),
        _part(last, "Undelivered message" if is_full else kind.returned),
        returned if returned.endswith(b"\r\n") or not returned else returned + b"\r\n",
    ]
    if is_utf8:
        parts[::2] = [
            part.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n") for part in parts[::2]
        ]
    delimiter = f"--{boundary}\r\n".encode()
    # told again of the same message, of other recipients or in another way: another message
    own_id = f"{message.id}.{kind.name}.{told[0][0].number if told else 0}"
    head_lines = _head(message, kind.subject, own_id, message_id_of(header), boundary, hostname, now, is_utf8)
    head = _encoded(head_lines, is_utf8)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return (
        head
        + f"\r\n{kind.preface}\r\n\r\n".encode()
        + b"".join([delimiter + part + text + b"\r\n" for part, text in pairs])
        + f"--{boundary}--\r\n".encode()
    )


def _head(
    message: Message,
    subject: str,
    own_id: str,
    original_id: str,
    boundary: str,
    hostname: str,
    now: float,
    is_utf8: bool,
) -> list[str]:
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{address_word(as_ascii(message.sender))}>",
        f"Subject: {subject}",
        f"Date: {date(now)}",
        f"Message-ID: <{own_id}@{hostname}>",
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


def _part(content_type: str, description: str) -> bytes:
    return f"Content-Type: {content_type}\r\nContent-Description: {description}\r\n\r\n".encode()


def _encoded(lines: Sequence[str], is_utf8: bool) -> bytes:
    return "".join([f"{line}\r\n" for line in lines]).encode("utf-8" if is_utf8 else "ascii", "replace")
