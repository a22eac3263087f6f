"""The delivery status in a report, for programs: fields of the message, and a group for each recipient.

Contract: ``status_fields`` returns lines without line ends, in the order of RFC 3464's grammar (2.2, 2.3). A
message with a deadline has it in its fields (Deliver-By-Date, RFC 2852), and 4.4.7 or 5.4.7 where that is
what ended it. Addresses are written whole and are not folded: whoever encodes the recipient in them (VERP)
needs each character back. Where it is known, what kind of bounce it is stands last (X-Bounce-Type, in SES's
words). Nothing that a peer or client wrote can add a line.

Pure; not on the hot path.
"""

from __future__ import annotations

from relay.base.address import as_ascii
from relay.base.message import Message
from relay.base.outcome import Deferred, Delivered, Failed
from relay.codec.dsn_text import Context, Told
from relay.codec.report_words import address_word, date, folded, host_word
from relay.codec.status import diagnostic_of, status_at, status_of
from relay.codec.xtext import in_seven_bits

_LINE_OCTETS = 990  # RFC 5322 2.1.1: 998


def status_fields(about: Context, told: Told, is_utf8: bool, is_delay: bool) -> list[str]:
    """The lines of message/delivery-status, or of message/global-delivery-status (``is_utf8``)."""
    message, now = about.message, about.now
    lines = [folded("Original-Envelope-Id", message.envid)] if message.envid else []
    lines += [f"Reporting-MTA: dns; {about.hostname}", f"Arrival-Date: {date(message.arrived_at)}"]
    if message.deadline:
        lines.append(f"Deliver-By-Date: {date(message.deadline)}")
    for place, (recipient, outcome) in enumerate(told):
        lines.append("")
        if recipient.orcpt:
            lines.append(_original_recipient(recipient.orcpt, is_utf8))
        address = as_ascii(recipient.address)
        address_type = "rfc822" if address.isascii() else "utf-8"  # RFC 6533 3
        lines += [
            f"Final-Recipient: {address_type}; {address_word(address)}",
            f"Action: {_action(outcome, is_delay)}",
            f"Status: {_status(message, outcome, now, is_delay)}",
        ]
        if outcome.peer.host:
            lines.append(folded("Remote-MTA", f"dns; {host_word(outcome.peer.host)}"))
        said = f"smtp; {outcome.reply}" if isinstance(outcome, Delivered) else diagnostic_of(outcome)
        lines.append(folded("Diagnostic-Code", said))
        lines.append(f"Last-Attempt-Date: {date(now)}")
        if is_delay:
            lines.append(f"Will-Retry-Until: {date(message.gives_up_at)}")
        if place < len(about.classes):
            lines.append(f"X-Bounce-Type: {about.classes[place].type}; {about.classes[place].subtype}")
    return lines


def _original_recipient(orcpt: str, is_utf8: bool) -> str:
    """As the sender gave it (RFC 3464 2.3.1), xtext undone; what is longer than a line may be is cut."""
    value = address_word(orcpt if is_utf8 else in_seven_bits(orcpt))
    field = f"Original-Recipient: {value}"
    return field if len(field.encode()) <= _LINE_OCTETS else folded("Original-Recipient", value)


def _action(outcome: Delivered | Deferred | Failed, is_delay: bool) -> str:
    if isinstance(outcome, Delivered):
        return outcome.onward.value
    return "delayed" if is_delay else "failed"


def _status(message: Message, outcome: Delivered | Deferred | Failed, now: float, is_delay: bool) -> str:
    if isinstance(outcome, Delivered):
        return status_of(outcome)
    return status_at(message, outcome, now, not is_delay)
