"""Moments at which messages may leave, where a rule bounds the rate of a lane: given out by the ledger of
lanes, spent by the workers.

Contract, pure; ``now`` is monotonic seconds, which all processes of a machine share. ``Timetable`` is the
ledger's: moments ``1 / rate`` apart, each given out once, never more than ``AHEAD_S`` before it comes. So the
rate holds over all workers however many there are, without a burst for each. ``Slots`` is a worker's: one
message for each moment, at that moment or up to ``LATE_S`` after it; what is later is lost. In any stretch of
T seconds at most rate * (T + LATE_S) + 1 messages leave.

At rates of some twenty a minute and less, lateness would be seen: there the ledger is told when the last
message left, and counts from that.

Not here: who gets the next moments (``shares``).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

AHEAD_S = 1.0
LATE_S = 1.0
_SLOW_PER_S = 1.0 / 3.0  # from here on the time between two moments is longer than it takes to hear of one


class Moments(NamedTuple):
    """``number`` moments, the first at ``first``, ``step_s`` apart."""

    first: float = 0.0
    number: int = 0
    step_s: float = 0.0

    @property
    def last(self) -> float:
        """The last of them."""
        return self.first + (self.number - 1) * self.step_s


NO_MOMENTS = Moments()


class Timetable:
    """The moments of one lane."""

    __slots__ = ("next_at", "rate_per_s")

    def __init__(self, rate_per_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.next_at = 0.0

    def heard(self, used_at: float) -> None:
        """A message left at ``used_at``, perhaps later than its moment."""
        if self.rate_per_s <= _SLOW_PER_S:
            self.next_at = max(self.next_at, used_at + 1.0 / self.rate_per_s)

    def free(self, now: float) -> int:
        """How many moments may be given out now."""
        first = max(now, self.next_at)
        if first > now + AHEAD_S:
            return 0
        return 1 + int((now + AHEAD_S - first) * self.rate_per_s)

    def give(self, count: int, now: float) -> Moments:
        """The next ``number`` moments, which ``free`` allowed."""
        step_s = 1.0 / self.rate_per_s
        first = max(now, self.next_at)
        self.next_at = first + count * step_s
        return Moments(first, count, step_s)


class Slots:
    """What a worker has of the moments of one lane."""

    __slots__ = ("_given", "used_at")

    def __init__(self) -> None:
        self._given: deque[Moments] = deque()
        self.used_at = 0.0

    def add(self, moments: Moments) -> None:
        """More of them, all later than those before."""
        if moments.number:
            self._given.append(moments)

    def wait_s(self, now: float) -> float | None:
        """Seconds until a message may leave; None if there is no moment left."""
        given = self._given
        while given:
            moments = given[0]
            if moments.first + LATE_S >= now:
                return max(0.0, moments.first - now)
            self._drop_first(moments)
        return None

    def ready(self, now: float) -> int:
        """How many messages may leave at once."""
        due = 0
        for moments in self._given:
            if moments.first > now:
                break
            due += min(moments.number, 1 + int((now - moments.first) / moments.step_s))
        return due

    def take(self, now: float) -> None:
        """A message leaves; ``wait_s`` said 0 a moment ago."""
        if self._given:
            self._drop_first(self._given[0])
        self.used_at = now

    def _drop_first(self, moments: Moments) -> None:
        if moments.number == 1:
            self._given.popleft()
        else:
            self._given[0] = Moments(moments.first + moments.step_s, moments.number - 1, moments.step_s)

    def __len__(self) -> int:
        return sum(moments.number for moments in self._given)
