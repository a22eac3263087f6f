"""What is to be posted to one topic next, and when: a decision, no clock, no I/O.

Contract: notifications about one message are posted one after the other, in the order in which they were
added: the next one only when the last one was taken. Those of different messages go side by side, ``at_once``
of them at most. One that is refused is tried again, after a second, then two, doubling to ten minutes; it
holds up those about its own message and no other.

A topic that refuses three in a row is asked more rarely: one post at a time, with pauses that double from a
second to five minutes, until it takes one. If it has taken nothing for ``give_up_after_s`` the verdict is
DROP; a single notification that is refused for so long, while others are taken, is put ASIDE. The time in
which nobody asked, since the relay was down, is no time of refusal. A clock that is set back makes no pause
longer than it may be.

``restore`` says that what was loaded had been refused before a restart: the time without success goes on.

State, owned by the caller: everything here. Cost: a heap and a few dictionaries.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

DAY_S = 86400.0
_LONGEST_RETRY_S = 600.0
_LONGEST_PAUSE_S = 300.0
_PATIENCE = 3  # refusals in a row before the topic is left alone for a while
_CERTAIN = 5  # refusals in a row before it may be dropped: those of one bad moment do not count


@dataclass(slots=True, eq=False)
class Pending:
    """A notification that waits. ``number`` grows with age; ``body`` is None while it is only on disk."""

    number: int
    message_id: str
    since: float  # wall-clock seconds
    attempts: int = 0
    due_at: float = 0.0
    uid: str = ""  # the same each time it is posted
    body: bytes | None = None
    refused_since: float = 0.0  # as far as this process knows


class Refusal(Enum):
    """What follows from a post that was not taken."""

    RETRY = "retry"
    ASIDE = "aside"  # this one is not tried again
    DROP = "drop"  # the topic is told nothing any more


@dataclass(slots=True)
class PostQueue:
    """The notifications of one topic that are in memory."""

    at_once: int = 8
    give_up_after_s: float = DAY_S
    in_flight: int = 0
    failing_since: float = 0.0  # when it last began to take nothing; 0: it takes what it is given
    refusals: int = 0  # in a row
    _pause_until: float = 0.0
    _pauses: int = 0
    _lines: dict[str, deque[Pending]] = field(default_factory=dict)  # by message; the first may be in flight
    _ready: deque[str] = field(default_factory=deque)
    _later: list[tuple[float, int, str]] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        """What is here, in flight or not."""
        return self._count

    def add(self, entry: Pending) -> None:
        """One more, behind all others about its message."""
        self._count += 1
        line = self._lines.get(entry.message_id)
        if line is not None:
            line.append(entry)
            return
        self._lines[entry.message_id] = deque([entry])
        self._queue(entry)

    def restore(self, failing_since: float) -> None:
        """It had taken nothing since then, before we were started anew."""
        self.failing_since = failing_since

    def forget_bodies(self) -> None:
        """Only the disk has the content of what waits here."""
        for line in self._lines.values():
            for entry in line:
                entry.body = None

    def next(self, now: float) -> Pending | None:
        """What to post now; None if nothing may be. It then is in flight until ``posted`` or ``refused``."""
        if self._pause_until > now + _LONGEST_PAUSE_S:  # by a clock that was set back since
            self._pause_until = now
        if self.in_flight >= (self.at_once if self.refusals < _PATIENCE else 1) or now < self._pause_until:
            return None
        while self._later and not now < self._later[0][0] <= now + _LONGEST_RETRY_S:  # the same
            self._ready.append(heapq.heappop(self._later)[2])
        if not self._ready:
            return None
        self.in_flight += 1
        return self._lines[self._ready.popleft()][0]

    def wakes_at(self) -> float:
        """When ``next`` may have something that it has not now, if nothing else happens; or infinity."""
        if self.in_flight >= (self.at_once if self.refusals < _PATIENCE else 1):
            return float("inf")
        if self._ready:
            return self._pause_until
        return max(self._later[0][0], self._pause_until) if self._later else float("inf")

    def posted(self, entry: Pending) -> None:
        """It was taken."""
        self.refusals = self._pauses = 0
        self.failing_since = self._pause_until = 0.0
        self._leave(entry)

    def refused(self, entry: Pending, now: float, wait_s: float = 0.0) -> Refusal:
        """It was not; ``wait_s`` is what the other side asked for (Retry-After). RETRY sets ``attempts`` and
        ``due_at``."""
        entry.attempts += 1
        entry.refused_since = entry.refused_since or now
        self.refusals += 1
        if not self.failing_since:
            self.failing_since = now
        if self.refusals >= _CERTAIN and now - self.failing_since >= self.give_up_after_s:
            self.in_flight -= 1
            return Refusal.DROP
        is_topic_fine = now - self.failing_since < self.give_up_after_s / 2
        if entry.attempts >= _CERTAIN and now - entry.refused_since >= self.give_up_after_s and is_topic_fine:
            self._leave(entry)
            return Refusal.ASIDE
        self.in_flight -= 1
        wait_s = min(max(wait_s, 2.0 ** min(entry.attempts - 1, 20)), _LONGEST_RETRY_S)
        entry.due_at = now + wait_s
        if self.refusals >= _PATIENCE and now >= self._pause_until:  # those side by side are one bad moment
            self._pause_until = now + min(2.0 ** min(self._pauses, 20), _LONGEST_PAUSE_S)
            self._pauses += 1
        heapq.heappush(self._later, (entry.due_at, entry.number, entry.message_id))
        return Refusal.RETRY

    def _leave(self, entry: Pending) -> None:
        self.in_flight -= 1
        self._count -= 1
        line = self._lines[entry.message_id]
        line.popleft()
        if line:
            self._queue(line[0])
        else:
            del self._lines[entry.message_id]

    def _queue(self, entry: Pending) -> None:
        if entry.due_at:
            heapq.heappush(self._later, (entry.due_at, entry.number, entry.message_id))
        else:
            self._ready.append(entry.message_id)
