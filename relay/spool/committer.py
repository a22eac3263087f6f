"""Group commit: one thread per shard that turns waiting changes into one transaction and one fsync.

Contract: ``submit(change, future)`` from the event loop; the future resolves after COMMIT returned, or gets
SpoolFull / SpoolError. The thread takes all that wait, writes large files first, then the rows, commits, and
wakes all futures with a single ``call_soon_threadsafe``.

Failure: when a transaction fails it is rolled back. New messages of that batch are refused (their client gets
451 or 452 and keeps the message). Outcomes cannot be refused, since the delivery has happened: they are kept
and tried again until the disk takes them, and the shard says ``is_failing`` meanwhile. After an I/O error the
connection is closed and opened anew, because a failed fsync may have dropped pages that SQLite still
believes in: nothing is promised on their strength.

After a crash: a change is there whole or not at all. Crash after COMMIT but before the 250: the client sends
again and the message exists twice, as RFC 5321 4.5.5 allows.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from relay.base.errors import SpoolError, SpoolFull
from relay.base.events import Change
from relay.spool import content, rows, schema
from relay.spool.journal import DotJournal

log = logging.getLogger(__name__)

_MAX_BATCH = 512  # changes a transaction; above this the latency of the first grows for nothing
_MAX_BATCH_BYTES = 16 << 20
_CHECKPOINT_BYTES = 48 << 20  # of write-ahead log; measured at 100 KB messages, see bench
_RETRY_S = 0.5

Entry = tuple[Change, "asyncio.Future[None] | None"]
Control = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class Committer:
    """The thread that owns the writing connection of one shard. Counters are read by others at any time."""

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, journal: DotJournal, keep_events: int
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._journal = journal
        self._keep_events = keep_events
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"commit-{folder.name}", daemon=True)
        self._unsettled: list[Entry] = []
        self._controls: queue.SimpleQueue[Control] = queue.SimpleQueue()
        first, last = connection.execute(
            "SELECT coalesce(min(offset), 0), coalesce(max(offset), 0) FROM event"
        ).fetchone()
        self._first_event, self._last_event = first, last
        self._wal_bytes = 0
        self.is_failing = False
        self.commits = 0
        self.changes = 0
        self.failures = 0
        self.commit_seconds = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, change: Change, future: asyncio.Future[None] | None) -> None:
        """Hand over a change; never blocks. ``future`` belongs to the loop this object was made in."""
        self._queue.put((change, future))

    def control(self, work: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        """Run an operator's ``work`` in a transaction of its own, after the changes that wait."""
        self._controls.put((work, future))
        self._queue.put((Change(), None))

    def stop(self) -> None:
        """Commit what waits, close the database, end the thread. Blocks until done."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._take()
            if batch:
                self._commit(batch)
            while not self._controls.empty():
                self._control(*self._controls.get())
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            log.exception(
                "last checkpoint failed; the next start does it", extra={"folder": str(self._folder)}
            )
        self._connection.close()

    def _take(self) -> tuple[list[Entry], bool]:
        """Wait for work, then take all there is, within bounds."""
        batch, self._unsettled = self._unsettled, []
        size = 0
        try:
            entry = self._queue.get(timeout=_RETRY_S if batch else None)
            while entry is not None:
                batch.append(entry)
                size += sum(m.size_bytes for m in entry[0].stored)
                if len(batch) >= _MAX_BATCH or size >= _MAX_BATCH_BYTES:
                    return batch, False
                entry = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _commit(self, batch: list[Entry]) -> None:
        started = monotonic()
        try:
            gone = self._transact([change for change, _ in batch])
        except (sqlite3.OperationalError, OSError) as error:
            self._failed(batch, error)
            return
        except Exception as error:
            self._isolate(batch, error)
            return
        self.is_failing = False
        self.commits += 1
        self.changes += len(batch)
        self.commit_seconds += monotonic() - started
        for change, _ in batch:
            if change.slots:
                self._journal.clear(change.slots)
            gone += change.files
        self._wake([(future, None) for _, future in batch if future is not None])
        try:
            content.remove_files(self._folder, gone)
            self._housekeep()
        except (sqlite3.Error, OSError):
            log.exception("spool housekeeping failed; tried again later", extra={"folder": str(self._folder)})

    def _transact(self, changes: list[Change]) -> list[str]:
        """Order on disk: large files and their directory, then the rows. Crash between: a file without a row,
        which recovery removes; its message had no 250. Returns ids whose files no row names any more."""
        large = [(m.id, m.content) for c in changes for m in c.stored if m.is_large and m.content is not None]
        if large:
            content.write_files(self._folder, large)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            gone = rows.write(connection, changes)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for change in changes:
            self._last_event += len(change.events)
            self._wal_bytes += 4096 + sum(m.size_bytes for m in change.stored)
        return gone

    def _control(self, work: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except Exception as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            log.exception("queue control failed", extra={"folder": str(self._folder)})
            self._wake([(future, SpoolError(str(error)))])
        else:
            self._loop.call_soon_threadsafe(_answer, future, result)

    def _failed(self, batch: list[Entry], error: Exception) -> None:
        """Refuse the new messages of the batch, keep its outcomes, and renew the connection."""
        self.is_failing = True
        self.failures += 1
        log.error(
            "spool cannot write: new mail gets 451 or 452, outcomes are kept and tried again; "
            "look at the disk of [spool] path",
            extra={"folder": str(self._folder), "error": str(error)},
        )
        is_full = "full" in str(error) or getattr(error, "errno", None) in (28, 122)
        failure = SpoolFull(str(error)) if is_full else SpoolError(str(error))
        refused = []
        for change, future in batch:
            if change.stored and not change.slots and not change.settled:
                refused.append((future, failure))
            else:
                self._unsettled.append((change, future))
        self._wake([(future, failure) for future, failure in refused if future is not None])
        try:
            self._connection.close()
            self._connection = schema.open_writer(self._folder)
        except sqlite3.Error:
            log.exception("spool database cannot be opened again", extra={"folder": str(self._folder)})

    def _isolate(self, batch: list[Entry], error: Exception) -> None:
        """A change that can never be written (a bug of ours) must not take the others with it."""
        if len(batch) > 1:
            for entry in batch:
                self._commit([entry])
            return
        self.failures += 1
        ((change, future),) = batch
        log.error("change cannot be written", extra={"change": repr(change)[:2000]}, exc_info=error)
        if future is not None:
            self._wake([(future, SpoolError(f"cannot be written: {error}"))])

    def _wake(self, results: list[tuple[asyncio.Future[None], SpoolError | None]]) -> None:
        if results:
            try:
                self._loop.call_soon_threadsafe(_resolve, results)
            except RuntimeError:  # the loop has ended: no one waits any more
                log.warning("changes committed after the loop's end", extra={"count": len(results)})

    def _housekeep(self) -> None:
        """Move the log into the database when it has grown, and drop the oldest events past the bound."""
        surplus = self._last_event - self._first_event - self._keep_events
        if surplus > 1000 + self._keep_events // 100:
            self._first_event += surplus
            self._connection.execute("DELETE FROM event WHERE offset <= ?", (self._first_event,))
        if self._wal_bytes >= _CHECKPOINT_BYTES:
            self._wal_bytes = 0
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _answer(future: asyncio.Future[Any], result: Any) -> None:  # noqa: ANN401
    """In the loop: what an operator's work returned."""
    if not future.done():
        future.set_result(result)


def _resolve(results: list[tuple[asyncio.Future[None], SpoolError | None]]) -> None:
    """In the loop: all futures of one transaction."""
    for future, failure in results:
        if not future.done():
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)
