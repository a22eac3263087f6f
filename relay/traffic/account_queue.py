"""What one account has waiting on one lane: the earliest rank first, and of equal ranks who came first.

A decision: no clock, no I/O. A campaign arrives in the order of its ranks (each message expires so long after
its arrival) and is a plain queue; only what is to overtake it (a deadline, a retry of an older message) goes
through a heap.

No one starves: a rank is a moment of the wall clock, and every message that is not sent leaves at its own.
Cost on the hot path, measured: 0.4 microseconds for in and out together of a campaign's message, 1.2 for one
that overtakes two thousand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from relay.base.message import Attempt
from relay.traffic.backlog import Group

if TYPE_CHECKING:
    from relay.traffic.ready_queue import ReadyQueue

_Early = tuple[float, int, Attempt]


class AccountQueue:
    """The attempts of one account. ``served`` is where it stands in the round of the lane's accounts."""

    __slots__ = (
        "_arrivals",
        "_early",
        "_last",
        "_line",
        "account_id",
        "groups",
        "lane",
        "promised",
        "recipients",
        "served",
    )

    def __init__(self, account_id: int, lane: ReadyQueue) -> None:
        self.account_id = account_id
        self.lane = lane
        self.recipients = 0
        self.promised = 0  # recipients that are being read for it
        self.served = 0.0
        self.groups: dict[Group, None] = {}  # parked mail that waits until there is room here
        self._line: deque[Attempt] = deque()  # ranks never fall from left to right
        self._last = 0.0  # the rank at its right end
        self._early: list[_Early] = []  # a heap of those that came too late for the line
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._line) + len(self._early)

    @property
    def overtaking(self) -> int:
        """How many came with a rank below one that waited."""
        return len(self._early)

    @property
    def first_rank(self) -> float:
        """The lowest; infinity if nothing waits."""
        in_line = self._line[0].message.rank if self._line else inf
        return min(in_line, self._early[0][0]) if self._early else in_line

    def push(self, attempt: Attempt) -> None:
        """One more."""
        self.recipients += len(attempt.recipients)
        rank = attempt.message.rank
        if not self._line or rank >= self._last:
            self._line.append(attempt)
            self._last = rank
        else:
            self._arrivals += 1
            heappush(self._early, (rank, self._arrivals, attempt))

    def pop(self) -> Attempt:
        """The next. Raises IndexError if there is none."""
        early, line = self._early, self._line
        if early and (not line or early[0][0] < line[0].message.rank):
            attempt = heappop(early)[2]
        else:
            attempt = line.popleft()
        self.recipients -= len(attempt.recipients)
        return attempt

    def ahead(self, count: int) -> list[Attempt]:
        """About the next ``count``; their order is of no matter."""
        return [one[2] for one in self._early[:count]] + list(islice(self._line, count))

    def remove(self, is_meant: Callable[[Attempt], bool]) -> list[Attempt]:
        """Take out and return those that are meant."""
        removed = [one for one in self._line if is_meant(one)]
        removed += [one for _, _, one in self._early if is_meant(one)]
        if removed:
            gone = set(removed)
            self._line = deque(one for one in self._line if one not in gone)
            self._early = [entry for entry in self._early if entry[2] not in gone]
            heapify(self._early)
            self._took_out(removed)
        return removed

    def shed(self, recipients: int) -> list[Attempt]:
        """Take out of the end of the line, until at least so many recipients fewer wait or it is empty."""
        removed: list[Attempt] = []
        while recipients > 0 and self._line:
            removed.append(self._line.pop())
            recipients -= len(removed[-1].recipients)
        self._took_out(removed)
        return removed

    def _took_out(self, removed: list[Attempt]) -> None:
        self.recipients -= sum(len(one.recipients) for one in removed)
        self._last = self._line[-1].message.rank if self._line else 0.0
