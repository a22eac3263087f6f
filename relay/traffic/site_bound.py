"""How many connections a receiver stands from all workers together, as far as its refusals have told.

Contract: a decision; ``now`` is monotonic seconds. A connection that is refused while ``open_`` of ours live
names the number: that holds for a minute, then one more is tried, and another after ``_GROW_S``, up to what
the rule says. A refusal at the same number makes the next rest twice as long, up to an hour. What is seen
open at once is allowed, whatever was thought before.

A connection refused below what was open before may have met one that was just leaving: only three such, some
time apart, lower the number.

Not here: whose the connections are (``shares``), whether the site is down instead (``site_control``).
"""

from __future__ import annotations

_REST_S = 60.0
_LONGEST_REST_S = 3600.0
_GROW_S = 10.0
_DOUBTS = 3
_APART_S = 0.4  # between two doubts, else they are about the same moment


class SiteBound:
    """Of one lane, over all workers."""

    __slots__ = ("_doubt_at", "_doubts", "_grow_at", "_named", "_proven", "_rest_s", "number")

    def __init__(self) -> None:
        self.number = 0  # connections; 0: it has named none
        self._named = 0  # by the last refusal
        self._proven = 0  # so many were open at once
        self._grow_at = 0.0
        self._rest_s = _REST_S
        self._doubts = 0
        self._doubt_at = 0.0

    def limit(self, connections: int, now: float) -> int:
        """Of the rule's number, what may be used now."""
        if not self.number:
            return connections
        if now >= self._grow_at:
            self.number += 1
            self._grow_at = now + _GROW_S
        if self.number >= connections:
            self.number = 0
            return connections
        return self.number

    def is_fresh(self, now: float) -> bool:
        """Worth keeping while nobody asks."""
        return self.number > 0 and now < self._grow_at

    def seen(self, open_: int) -> None:
        """So many are open at once."""
        if open_ >= self._proven:
            self._doubts = 0
        self._proven = max(self._proven, open_)
        if self.number:
            self.number = max(self.number, open_)

    def refused(self, now: float, open_: int) -> None:
        """One more than ``open_`` was refused."""
        open_ = max(1, open_)
        if self.number and open_ < self._proven:
            if now - self._doubt_at >= _APART_S:
                self._doubt_at = now
                self._doubts += 1
            if self._doubts < _DOUBTS:
                return
            self._rest_s = _REST_S
        elif open_ != self._named:
            self._rest_s = _REST_S
        elif open_ < self.number:  # one more was tried
            self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)
        self.number = self._proven = self._named = open_
        self._doubts = 0
        self._grow_at = now + self._rest_s
