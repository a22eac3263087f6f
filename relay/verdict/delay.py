"""Whether the sender is to hear that a recipient still waits. A decision: no clock, no I/O.

The table, for a message with a sender that has not been told yet::

    NOTIFY           after ``after_s``        past the sender's own deadline (BY, mode N)
    NEVER            no                       no
    without DELAY    no                       no
    with DELAY       yes                      yes
    absent           if ``is_unasked``, and   yes
                     email feedback
                     forwarding is on

``after_s`` 0 means never, but for the sender's own deadline. Told once for each recipient: who has heard that
mail is late does not need to hear it each hour (RFC 3461 4.1 leaves times and number to us).

Cost: a few comparisons for each recipient that is deferred; nothing for one that is delivered.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.base.message import Message, Recipient


@dataclass(frozen=True, slots=True)
class DelayNotices:
    """When senders hear of delays."""

    after_s: float = 4 * 3600.0
    is_unasked: bool = True  # also for recipients without NOTIFY


def is_late(message: Message, recipient: Recipient, now: float, notices: DelayNotices) -> bool:
    """The delay is one to be told of, for the first time."""
    if recipient.is_told or not message.sender:
        return False
    if is_past_deadline(message, now):
        return True
    return notices.after_s > 0.0 and now >= message.arrived_at + notices.after_s


def hears_of_delay(
    message: Message, recipient: Recipient, now: float, notices: DelayNotices, is_forwarding: bool = True
) -> bool:
    """Whether a recipient's delay that ``is_late`` is told to the sender by mail."""
    if recipient.notify:
        return "DELAY" in recipient.notify
    return (notices.is_unasked and is_forwarding) or is_past_deadline(message, now)


def is_past_deadline(message: Message, now: float) -> bool:
    """The sender asked to be told by now, and for delivery to go on."""
    return message.is_by_notify and 0.0 < message.deadline <= now
