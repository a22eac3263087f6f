"""How long events are kept: by age and by size, and dropped in small steps between transactions.

Contract: the oldest go, once they are older than ``Keep.for_s``, or while all events of the shard take more
than ``Keep.bytes``. What one of the relay's own consumers (``positions``, names that begin with "relay/") has
not taken yet stays, whatever its size, until it is twice that old. Other consumers hold nothing back. The
newest event is never dropped, since SQLite would use its offset again. A log that is idle is looked at too.

Size is an estimate: the texts of the events and what goes with each row. The database's file does not
shrink; freed pages take the next events and messages.

Cost: a step drops at most a thousand events in a transaction of its own, and there are at most ten steps a
second, so that ten million events that are too many are gone after some 17 minutes, and no commit waits for
longer than one step: 6 ms in the median, fsync included, on a machine that had other work
(``python -m bench.events``).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from relay.base.clock import Clock
from relay.base.errors import SpoolError
from relay.base.events import Event
from relay.spool.gaps import unused
from relay.spool.positions import OWN, Positions

log = logging.getLogger(__name__)

STEP = 1000  # events
ROW_BYTES = 110  # of a row beside its detail; measured
DAY_S = 86_400.0
_PAUSE_S = 0.1  # between two steps
_LOOK_EVERY_S = 30.0
_SLACK = 50  # a run begins when an event is late by this part of its time; it ends when none is late


@dataclass(frozen=True, slots=True)
class Keep:
    """Bounds of the events of one shard."""

    for_s: float = 14 * DAY_S
    bytes: int = 2_000_000_000


class Old(NamedTuple):
    """One of the oldest events."""

    offset: int
    at: float
    bytes: int


def surplus(oldest: Sequence[Old], keep: Keep, all_bytes: int, taken: int | None, now: float) -> int:
    """How many of the ``oldest`` events go, of ``all_bytes`` in the log. ``taken``: up to which offset all of
    the relay's own consumers have come, None if there are none."""
    count = 0
    for one in oldest:
        age = now - one.at
        is_held = taken is not None and one.offset > taken
        if age <= 2 * keep.for_s and (is_held or (age <= keep.for_s and all_bytes <= keep.bytes)):
            break
        all_bytes -= one.bytes
        count += 1
    return count


class Retention:
    """The events of one shard, as the commit thread keeps them. ``keep`` may be replaced at any time."""

    def __init__(self, spool: Path, shard: int, keep: Keep, clock: Clock) -> None:
        self.keep = keep
        self.bytes = 0  # of all events, about
        self.dropped = 0
        self._positions = Positions(spool)
        self._shard = shard
        self._clock = clock
        self._last = 0
        self._next_at = 0.0  # monotonic
        self._is_running = False  # there is more to drop
        self._said: set[str] = set()  # since nothing was due

    @property
    def rest_s(self) -> float:
        """Seconds until the next step or look."""
        return max(0.0, self._next_at - self._clock.monotonic())

    def look(self, connection: sqlite3.Connection) -> None:
        """See what is there. Raises sqlite3.Error."""
        first, self._last = connection.execute(
            "SELECT coalesce((SELECT min(offset) FROM event), 1),"
            " coalesce((SELECT max(offset) FROM event), 0)"
        ).fetchone()
        count = self._last - first + 1 - unused(connection, first - 1)
        half = "SELECT length(detail) AS size FROM event ORDER BY offset"
        (mean,) = connection.execute(
            f"SELECT avg(size) FROM (SELECT * FROM ({half} LIMIT 500) "  # noqa: S608
            f"UNION ALL SELECT * FROM ({half} DESC LIMIT 500))"
        ).fetchone()
        self.bytes = int(count * (ROW_BYTES + (mean or 0)))
        self._next_at = 0.0

    def wrote(self, events: Sequence[Event]) -> None:
        """These were committed."""
        self._last += len(events)
        for event in events:
            self.bytes += ROW_BYTES + len(event.detail)

    def step(self, connection: sqlite3.Connection) -> None:
        """Drop some, if it is time. Raises sqlite3.Error; what was not dropped is dropped the next time."""
        started = self._clock.monotonic()
        if started < self._next_at:
            return
        self._next_at = started + _LOOK_EVERY_S
        keep, now = self.keep, self._clock.now()
        sql = "SELECT offset, at, ? + length(detail) FROM event WHERE offset < ? ORDER BY offset LIMIT ?"
        if not self._is_running and self.bytes <= keep.bytes:
            oldest = connection.execute(sql, (ROW_BYTES, self._last, 1)).fetchone()
            if oldest is None or now - oldest[1] <= keep.for_s * (1 + 1 / _SLACK):
                self._said.clear()
                return
        oldest = [Old(*row) for row in connection.execute(sql, (ROW_BYTES, self._last, STEP))]
        taken, late = self._taken()
        count = surplus(oldest, keep, self.bytes, taken, now)
        self._is_running = count == STEP
        if self._is_running:
            self._next_at = started + _PAUSE_S
        if count:
            last = oldest[count - 1]
            connection.execute("DELETE FROM event WHERE offset <= ?", (last.offset,))
            self.bytes = max(0, self.bytes - sum(one.bytes for one in oldest[:count]))
            self.dropped += count
            if now - last.at < DAY_S:
                self._say("events of the last day are dropped, since [events] keep_size is too small")
            if taken is not None and last.offset > taken:
                self._say("events are dropped that were never taken: they are too old", waits_for=late)
        elif oldest and self.bytes > keep.bytes:
            self._say("events take more than [events] keep_size until they are taken", waits_for=late)

    def _taken(self) -> tuple[int | None, str]:
        """How far the last of the relay's own consumers is, and its name; (None, "") without any."""
        try:
            positions = self._positions.all() if self._positions.is_there else {}
        except SpoolError as error:
            self._say("positions of consumers cannot be read; events wait for them", why=str(error))
            return 0, "?"
        own = [
            (of.get(self._shard, (0, 0.0))[0], name) for name, of in positions.items() if name.startswith(OWN)
        ]
        return min(own, default=(None, ""))

    def _say(self, what: str, **fields: object) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning(what, extra={"shard": self._shard, "bytes": self.bytes, **fields})
