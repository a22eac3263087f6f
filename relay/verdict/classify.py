"""What one outcome means for one recipient: done, wait, or give up. A decision: no clock, no I/O.

The table::

    Delivered                      done
    Failed, any                    give up; the sender is told
    Deferred, message expired      give up; the sender is told
    Deferred, shutdown             wait, due at once after the restart; counts as no attempt
    Deferred, else                 wait, by the retry schedule

Expiry, or the message's own deadline, ends deferral; no count of refusals does. Scope was judged before: only
RECIPIENT and MESSAGE scope ever come as Failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from relay.base.message import Message, Recipient
from relay.base.outcome import STOPPED, Deferred, Delivered, Failed, Outcome, Reason


class Schedule(Protocol):
    """When a recipient is tried again."""

    def due_at(self, now: float, attempts: int, expires_at: float, dice: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Done:
    """The recipient has the message."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again at ``due_at``; ``attempts`` counts this one."""

    due_at: float
    attempts: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the sender. ``is_expired``: the last reply was temporary, the time is up."""

    is_expired: bool


Verdict: TypeAlias = Done | Wait | GiveUp

DONE = Done()


def classify(
    outcome: Outcome, message: Message, recipient: Recipient, now: float, schedule: Schedule, dice: float
) -> Verdict:
    """Decide for one recipient; ``dice`` is uniform in [0, 1) and spreads retries."""
    if isinstance(outcome, Delivered):
        return DONE
    if isinstance(outcome, Failed):
        return GiveUp(is_expired=False)
    if is_shutdown(outcome):
        return Wait(now, recipient.attempts)
    if now >= message.gives_up_at:
        return GiveUp(is_expired=True)
    attempts = recipient.attempts + 1
    due_at = schedule.due_at(now, attempts, message.gives_up_at, dice)
    if message.is_by_notify and now < message.deadline < due_at:
        due_at = message.deadline  # tried once more, and the sender told in time
    return Wait(due_at, attempts)


def is_shutdown(outcome: Deferred) -> bool:
    """Our own stop cut the attempt off; it says nothing about the recipient."""
    return outcome.reason is Reason.INTERNAL and outcome.detail == STOPPED
