"""Who wants to hear by mail what became of a recipient. Decisions: no clock, no I/O.

The table, for a message with a sender (the null sender hears nothing, RFC 5321 4.5.5: no bounce is answered
by a bounce; only the envelope says so, no header does)::

    NOTIFY           of a failure                      of a success that nobody else reports
    NEVER            no                                no
    with FAILURE     yes                               -
    with SUCCESS     -                                 yes
    others           no                                no
    absent           unless email feedback             no
                     forwarding is switched off

The switch is that of the identity that the message was sent as: its owner hears of bounces in another way.
Who asked for a report in the envelope (RFC 3461) gets it in any case. Of delays ``delay`` decides.
"""

from __future__ import annotations

from relay.base.message import Recipient
from relay.base.outcome import Delivered, Onward, Outcome


def hears_of_failure(recipient: Recipient, is_forwarding: bool = True) -> bool:
    """RFC 3461 4.1: unless the sender said that it does not want to."""
    return "FAILURE" in recipient.notify if recipient.notify else is_forwarding


def hears_of_success(recipient: Recipient, outcome: Outcome) -> bool:
    """Whether we owe the sender a report of success (RFC 3461 5.2.2, 5.2.3)."""
    return (
        isinstance(outcome, Delivered)
        and outcome.onward is not Onward.PROMISED
        and "SUCCESS" in recipient.notify
    )
