"""Recipients counted over the last 24 hours, in buckets of a minute.

Contract: a bucket goes when all of it is older than 24 hours, not before: what is counted is never less than
what was sent in the last 24 hours, and at most one minute's worth more. A count may lie in the future (mail
that is accepted now and sent later), and then counts from now on. ``free_at`` says when so many more may be
sent without more than ``limit`` in any 24 hours.

Times are the ledger's, which never go back. Pure; no clock. At most 1,440 buckets, and as many as there are
minutes with mail kept for later.
"""

from __future__ import annotations

from collections.abc import Iterable

DAY_S = 86_400
MINUTE_S = 60


def minute_of(at: float) -> int:
    """The number of the minute that ``at`` is in."""
    return int(at // MINUTE_S)


def gone_at(minute: int) -> float:
    """When all of a minute is older than a day."""
    return float((minute + 1) * MINUTE_S + DAY_S)


class RollingCount:
    """Recipients of one account by the minute."""

    __slots__ = ("_minutes", "_next_end", "total")

    def __init__(self, minutes: Iterable[tuple[int, int]] = ()) -> None:
        """``minutes``: pairs of minute and count, as they were stored."""
        self._minutes = dict(sorted(minutes))
        self.total = sum(self._minutes.values())
        self._next_end = self._end_of_first()

    def __getitem__(self, minute: int) -> int:
        return self._minutes.get(minute, 0)

    def add(self, count: int, minute: int) -> None:
        """Count so many in a minute."""
        if minute in self._minutes:
            self._minutes[minute] += count
        else:
            is_last = not self._minutes or minute > next(reversed(self._minutes))
            self._minutes[minute] = count
            if not is_last:  # mail for later was counted before: seldom
                self._minutes = dict(sorted(self._minutes.items()))
            self._next_end = self._end_of_first()
        self.total += count

    def take_back(self, count: int, minute: int) -> int:
        """What was counted in a minute and was not sent; returns how much of it was still counted."""
        there = self._minutes.get(minute, 0)
        back = min(count, there)
        if back > 0:
            self._minutes[minute] = there - back
            self.total -= back
        return max(back, 0)

    def expire(self, now: float) -> None:
        """Forget what is older than a day."""
        while now >= self._next_end:
            first = next(iter(self._minutes))
            self.total -= self._minutes.pop(first)
            self._next_end = self._end_of_first()

    def free_at(self, count: int, limit: int, now: float) -> float:
        """When ``count`` more fit: ``now`` or the end of a bucket; infinity if never."""
        over = self.total + count - limit
        if over <= 0:
            return now
        if count > limit:
            return float("inf")
        for minute, counted in self._minutes.items():
            over -= counted
            if over <= 0:
                return max(now, gone_at(minute))
        return float("inf")

    def _end_of_first(self) -> float:
        return gone_at(next(iter(self._minutes))) if self._minutes else float("inf")
