"""The event log: the outbox of all shards, read in order and beside the workers that write it.

    log = EventLog(path)
    batch, reached = log.read(after={1: 20, 2: 7}, limit=500)

Contract: ``read`` returns events behind the offsets in ``after`` (a shard that is not in it: from its
beginning), oldest first within each shard, and up to which offset each shard was read, matching or not.
What a shard has about a message of another comes after all that the other has committed by then, however far
the reader is behind (``event_order``): nobody hears of a bounce before the sending, but of what two processes
commit at the same moment. ``of_message`` returns all events of a message, those of its own shard first.

A shard that cannot be read raises SpoolError: a reader that went on without it would skip what it has. Events
that retention has dropped are skipped without a word: ``behind`` tells how many. Whoever is beyond the end
of a shard has followed another log than this one, and begins at its beginning; a rebuild leaves a gap, so
that this happens only where the spool was replaced. What is known of a shard that is not there stays known.

Each instance has a connection per shard and belongs to one thread at a time (``sqlite3`` may move between
threads, not be shared). Blocking. Never on the hot path. Measured (``python -m bench.events``): 5
microseconds an event, 36 for a look at a shard that has nothing new.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from relay.base.errors import SpoolError
from relay.base.events import Event, EventKind, Logged
from relay.base.ids import shard_of
from relay.spool import schema
from relay.spool.event_order import Page, in_order, is_foreign
from relay.spool.gaps import unused
from relay.spool.message_events import COLUMNS, Row, home_events, rare_events
from relay.spool.recover import shard_folder, shards_in
from relay.spool.sent import first_since

log = logging.getLogger(__name__)


class EventLog:
    """The event log of the spool at ``path``. Read-only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connections: dict[int, sqlite3.Connection] = {}
        self._files: dict[int, int] = {}  # inode, since a rebuild puts another file in its place

    def close(self) -> None:
        """Close the databases; they are opened again by the next question."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def read(
        self, after: Mapping[int, int], limit: int = 1000, kinds: Collection[EventKind] = ()
    ) -> tuple[list[Logged], dict[int, int]]:
        """Events behind ``after``, about ``limit`` of each shard, and the offsets to go on behind. ``kinds``:
        only these, all if there are none. Raises SpoolError."""
        ends = self.last()
        reached = {**dict.fromkeys(ends, 0), **after}
        if all(reached[shard] == end for shard, end in ends.items()):
            return [], reached
        pages = {}
        for shard, end in ends.items():  # looked up for all before the first is read: see Page.is_end
            events, to, is_end = self._page(shard, reached[shard], limit, kinds)
            foreign = (at for at, one in enumerate(events) if one.offset > end and is_foreign(one))
            pages[shard] = Page(events, next(foreign, len(events)), to, is_end)
        batch, handed_out = in_order(pages)
        return batch, {**reached, **handed_out}

    def of_message(
        self, message_id: str, has_deliveries: bool = True, *, is_thorough: bool = True
    ) -> list[Logged]:
        """The events of a message, those of its own shard first; quickly without its deliveries
        (``message_events``). Raises SpoolError, and ValueError if that is no message id."""
        home = shard_of(message_id)
        found: list[Logged] = []
        for shard in sorted(shards_in(self._path), key=lambda one: (one != home, one)):
            with self._reading(shard) as connection:
                if shard == home:
                    rows = home_events(connection, message_id, has_deliveries, is_thorough)
                else:
                    rows = rare_events(connection, message_id)
            found += [_logged(shard, row) for row in rows]
        return found

    def newest(
        self, number: int, kinds: Collection[EventKind] = (), wanted: Callable[[Logged], bool] | None = None
    ) -> tuple[list[Logged], dict[int, int]]:
        """The newest ``number`` events that are of these kinds and ``wanted``, by time, and the end of each
        shard then. Looks as far back as it must. Raises SpoolError."""
        ends, found = self.last(), []
        for shard, end in ends.items():
            count, before = 0, end + 1
            while count < number and (page := self._page_back(shard, before, max(number, 500), kinds)):
                good = [one for one in page if wanted is None or wanted(one)][: number - count]
                found += good
                count, before = count + len(good), page[-1].offset
        found.sort(key=lambda one: (one.event.at, one.shard, one.offset))
        return found[len(found) - number :] if number < len(found) else found, ends

    def since(self, at: float) -> dict[int, int]:
        """Offsets behind which the events since ``at`` are; before it there may be some of a clock that was
        set back. Raises SpoolError."""
        found = {}
        for shard in shards_in(self._path):
            with self._reading(shard) as connection:
                first = first_since(connection, at)
            ((when,),) = self._rows(shard, "SELECT max(at) FROM event WHERE offset = ?", (first,))
            found[shard] = first - 1 if when is not None and when >= at else first
        return found

    def behind(self, after: Mapping[int, int]) -> tuple[int, int]:
        """How many events wait behind these offsets, and about how many were dropped there, which come no
        more. Raises SpoolError."""
        waiting = dropped = 0
        for shard in shards_in(self._path):
            ((first,),) = self._rows(shard, "SELECT coalesce(min(offset), 1) FROM event", ())
            ((last,),) = self._rows(shard, "SELECT coalesce(max(offset), 0) FROM event", ())
            offset = after.get(shard, first - 1)
            if offset > last:  # another log: see _page
                offset = 0
            dropped += max(0, first - 1 - offset)
            offset = max(offset, first - 1)
            with self._reading(shard) as connection:
                waiting += last - offset - unused(connection, offset)
        return waiting, dropped

    def waits_since(self, after: Mapping[int, int]) -> float | None:
        """The time of the oldest event behind these offsets; None if none is there. Raises SpoolError."""
        sql = "SELECT at FROM event WHERE offset > ? ORDER BY offset LIMIT 1"
        found = []
        for shard, end in self.last().items():
            offset = after.get(shard, 0)
            found += [float(at) for (at,) in self._rows(shard, sql, (offset if offset <= end else 0,))]
        return min(found, default=None)

    def last(self) -> dict[int, int]:
        """The offset of the newest event of each shard; 0 where there is none. Raises SpoolError."""
        sql = "SELECT coalesce(max(offset), 0) FROM event"
        return {shard: int(self._rows(shard, sql, ())[0][0]) for shard in shards_in(self._path)}

    def _page(
        self, shard: int, after: int, limit: int, kinds: Collection[EventKind]
    ) -> tuple[list[Logged], int, bool]:
        """A page of a shard, up to where it was looked through, and whether there is no more."""
        ((end,),) = self._rows(shard, "SELECT coalesce(max(offset), 0) FROM event", ())
        if end == after:
            return [], after, True
        if end < after:
            log.warning(
                "read from its beginning: this is another log", extra={"shard": shard, "after": after}
            )
            after = 0
        marks = ",".join("?" * len(kinds))
        among = f" AND kind IN ({marks})" if kinds else ""
        sql = f"{COLUMNS} WHERE offset > ? AND offset <= ?{among} ORDER BY offset LIMIT ?"
        values = (after, end, *[kind.value for kind in kinds], limit)
        page = [_logged(shard, row) for row in self._rows(shard, sql, values)]
        is_end = len(page) < limit or page[-1].offset == end
        return page, int(end) if is_end else page[-1].offset, is_end

    def _page_back(self, shard: int, before: int, limit: int, kinds: Collection[EventKind]) -> list[Logged]:
        marks = ",".join("?" * len(kinds))
        among = f" AND kind IN ({marks})" if kinds else ""
        sql = f"{COLUMNS} WHERE offset < ?{among} ORDER BY offset DESC LIMIT ?"
        values = (before, *[kind.value for kind in kinds], limit)
        return [_logged(shard, row) for row in self._rows(shard, sql, values)]

    def _rows(self, shard: int, sql: str, values: tuple[object, ...]) -> list[Row]:
        with self._reading(shard) as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def _reading(self, shard: int) -> Iterator[sqlite3.Connection]:
        folder = shard_folder(self._path, shard)
        try:
            file = (folder / schema.DATABASE).stat().st_ino
            connection = self._connections.get(shard)
            if connection is None or self._files[shard] != file:
                if connection is not None:
                    self._connections.pop(shard).close()
                connection = self._connections[shard] = schema.open_reader(folder)
                self._files[shard] = file
            yield connection
        except (sqlite3.Error, OSError) as error:
            broken = self._connections.pop(shard, None)
            if broken is not None:
                broken.close()
            raise SpoolError(f"cannot read the events of {folder}: {error}") from error


def _logged(shard: int, row: Row) -> Logged:
    offset, at, kind, message_id, account, detail = row
    return Logged(shard, offset, Event(at, EventKind(kind), message_id, account, detail))
