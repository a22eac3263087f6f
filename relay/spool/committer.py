"""Group commit: one thread per shard that turns waiting changes into one transaction and one fsync.

Contract: ``submit(change, future)`` from the event loop; the future resolves after COMMIT returned, or gets
SpoolFull / SpoolError. The thread takes all that wait, writes large files first, then the rows, commits, and
wakes all futures with a single ``call_soon_threadsafe``.

When to commit (``gathering`` decides): a new message has a client that waits, so it is committed at once, or,
while many come, after the few milliseconds in which some more come. An outcome has no one who waits: it goes
with the next message, or alone after ten milliseconds.

Failure (``faults`` decides whose): when a transaction fails it is rolled back. New messages of that batch are
refused (their client gets 451 or 452 and keeps the message), and so is all new mail while ``failure`` is
set. Outcomes cannot be refused, since the delivery has happened: they are kept and tried again every half
second, with a write of our own if there are none, until the disk takes them. The connection is closed and
opened anew, because a failed fsync may have dropped pages that SQLite still believes in: nothing is promised
on their strength. An outcome that can never be written (a bug of ours) is written without its texts; if it
brings a bounce, its recipients are held for the operator, so that they neither vanish nor go out again.

After a crash: a change is there whole or not at all. Crash after COMMIT but before the 250: the client sends
again and the message exists twice, as RFC 5321 4.5.5 allows. Outcomes that the disk still refuses when we
stop are lost, and their recipients are in the journal of dots.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from relay.base.errors import SpoolError
from relay.base.events import Change
from relay.base.histogram import MOMENTS, NUMBERS, Histogram
from relay.spool import content, remnant, rows, schema
from relay.spool.faults import Fault, as_spool_error, fault_of, may_be_refused
from relay.spool.gathering import PATIENCE_S, Gathering
from relay.spool.journal import DotJournal
from relay.spool.upkeep import Upkeep

log = logging.getLogger(__name__)

_MAX_BATCH = 512  # changes a transaction; above this the latency of the first grows for nothing
_MAX_BATCH_BYTES = 16 << 20
_RETRY_S = 0.5
_FEW = 16  # outcomes tried at once while the disk fails
_LOG_EVERY = 60  # failed tries in a row between two lines, half a minute
_LAST_TRIES = 4  # at the end, so that stopping on a dead disk takes two seconds and not for ever

_WAKE = True

Entry = tuple[Change, "asyncio.Future[None] | None"]


@dataclass(frozen=True, slots=True)
class _Control:
    """An operator's work, which ends the batch that waits before it."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


class Committer:
    """The thread that owns the writing connection of one shard. Counters are read by others at any time."""

    def __init__(
        self,
        folder: Path,
        connection: sqlite3.Connection,
        journal: DotJournal,
        upkeep: Upkeep,
        rebuild: Callable[[], sqlite3.Connection] | None = None,
    ) -> None:
        self._folder = folder
        self._connection: sqlite3.Connection | None = connection
        self._journal = journal
        self._rebuild = rebuild
        self._queue: queue.SimpleQueue[Entry | _Control | bool | None] = queue.SimpleQueue()
        self._outcomes: deque[Entry] = deque()  # what no one waits for
        self._is_asleep = False  # the thread waits for more than outcomes to come along
        self._gathering = Gathering()
        self._asked: _Control | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"commit-{folder.name}", daemon=True)
        self._kept: list[Entry] = []  # outcomes that the disk refused
        self._retry_at = 0.0
        self._upkeep = upkeep
        upkeep.retention.look(connection)
        self.failure: SpoolError | None = None  # why the disk was last refused; None while it is fine
        self.is_closed = False  # set in the loop, before stop()
        self.rebuilds = 0
        self.commits = 0
        self.changes = 0
        self.failures = 0
        self.commit_seconds, self.sync_seconds = Histogram(MOMENTS), Histogram(MOMENTS)  # sync: COMMIT alone
        self.commit_changes = Histogram(NUMBERS)

    @property
    def is_failing(self) -> bool:
        """The last transaction failed; outcomes wait in memory for the disk."""
        return self.failure is not None

    @property
    def reusable_bytes(self) -> int:
        """Room inside the database, which the file system does not show."""
        return self._upkeep.reusable_bytes

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, change: Change, future: asyncio.Future[None] | None) -> None:
        """Hand over a change; never blocks. ``future`` belongs to the loop this object was made in."""
        if self.is_closed:
            if future is not None:
                future.set_exception(SpoolError("the spool is closed"))
            return
        if change.stored:
            self._queue.put((change, future))
            return
        self._outcomes.append((change, future))
        if self._is_asleep:  # asked after the append: the thread looks there once more after it says so
            self._queue.put(_WAKE)

    def control(self, work: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        """Run an operator's ``work`` in a transaction of its own, after the changes that wait."""
        if self.is_closed:
            future.set_exception(SpoolError("the spool is closed"))
            return
        self._queue.put(_Control(work, future))

    def stop(self) -> None:
        """Commit what waits, close the database, end the thread. Blocks until done."""
        self._queue.put(None)
        self._thread.join()

    # -- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._take()
            if batch or self.failure is not None:
                self._commit(batch)
            else:
                self._tend([])
            if self._asked is not None:
                asked, self._asked = self._asked, None
                self._control(asked.work, asked.future)
        self._end()

    def _take(self) -> tuple[list[Entry], bool]:
        """Wait for work, then take all there is, within bounds; the flag says that the end was asked for."""
        is_end = self.failure is not None and self._wait_out()
        if self.failure is not None or self._kept:
            batch = self._kept[:_FEW]  # on a full disk all of them might never fit into the log
            del self._kept[:_FEW]
            return batch, is_end
        batch = []
        try:
            entry = self._next()
            if isinstance(entry, tuple) and (pause := self._gathering.pause_s()) > 0:
                time.sleep(pause)
            size = 0
            while entry is not None:
                if isinstance(entry, _Control):
                    self._asked = entry
                    break
                if isinstance(entry, tuple):
                    batch.append(entry)
                    size += sum(m.size_bytes for m in entry[0].stored)
                    if len(batch) >= _MAX_BATCH or size >= _MAX_BATCH_BYTES:
                        break
                entry = self._queue.get_nowait()
        except queue.Empty:
            entry = _WAKE
        is_end = entry is None
        # an operator's work and the end come after all that was handed in before them
        most = None if is_end or self._asked is not None else _MAX_BATCH
        outcomes = self._outcomes
        while outcomes and (most is None or len(batch) < most):
            batch.append(outcomes.popleft())
        self._gathering.took(len(batch), monotonic())
        return batch, is_end

    def _next(self) -> Entry | _Control | bool | None:
        """The next thing that was handed in; raises queue.Empty once outcomes have waited long enough, or it
        is time to look after old events."""
        if not self._outcomes:
            self._is_asleep = True
            try:
                if not self._outcomes:
                    return self._queue.get(timeout=PATIENCE_S + self._upkeep.retention.rest_s)
            finally:
                self._is_asleep = False
        return self._queue.get(timeout=PATIENCE_S)

    def _wait_out(self) -> bool:
        """While the disk fails: keep what comes until it is time to try again; True if the end was asked
        for."""
        try:
            while (pause := self._retry_at - monotonic()) > 0:
                entry = self._queue.get(timeout=pause)
                if entry is None:
                    return True
                if isinstance(entry, _Control):
                    self._asked = entry
                    break
                if isinstance(entry, tuple):
                    self._kept.append(entry)
        except queue.Empty:
            pass
        finally:
            while self._outcomes:
                self._kept.append(self._outcomes.popleft())
        return False

    def _commit(self, batch: list[Entry], write: rows.Write = rows.write) -> None:
        started = monotonic()
        try:
            gone = self._transact([change for change, _ in batch], write)
        except Exception as error:
            self._met(error, batch)
            return
        if self.failure is not None:
            log.warning("spool can write again", extra={"folder": str(self._folder)})
            self.failure = None
        self.commits += 1
        self.changes += len(batch)
        self.commit_seconds.observe(monotonic() - started)
        self.commit_changes.observe(len(batch))
        for change, _ in batch:
            if change.slots:
                self._journal.clear(change.slots)
            if change.files:
                gone += change.files
        self._wake([(future, None) for _, future in batch if future is not None])
        self._tend(gone)

    def _tend(self, gone: list[str]) -> None:
        try:
            if gone:
                content.remove_files(self._folder, gone)
            if self._connection is not None:
                self._upkeep.keep(self._connection)
        except (sqlite3.Error, OSError):
            log.exception("spool housekeeping failed; tried again later", extra={"folder": str(self._folder)})

    def _transact(self, changes: list[Change], write: rows.Write) -> list[str]:
        """Order on disk: large files and their directory, then the rows. Crash between: a file without a row,
        which recovery removes; its message had no 250. Returns ids whose files no row names any more."""
        connection = self._connection
        if connection is None:
            connection = self._connection = schema.open_writer(self._folder)
        large = [(m.id, m.content) for c in changes for m in c.stored if m.is_large and m.content is not None]
        if large:
            content.write_files(self._folder, large)
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self.failure is not None:
                schema.touch(connection)  # a write that needs the disk even if no change does
            gone = write(connection, changes)
            began = monotonic()
            connection.execute("COMMIT")
            self.sync_seconds.observe(monotonic() - began)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._upkeep.wrote(changes)
        return gone

    def _control(self, work: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        connection = self._connection
        try:
            if connection is None:
                raise SpoolError("the spool database cannot be opened at present")
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except Exception as error:
            log.exception("queue control failed", extra={"folder": str(self._folder)})
            if connection is not None and connection.in_transaction:
                connection.rollback()
            self._call(_resolve, [(future, as_spool_error(error))])
        else:
            self._call(_answer, future, result)

    def _end(self) -> None:
        """A last effort for outcomes that the disk refused, and no future left without an answer."""
        self._upkeep.checkpoint.wait()
        for _ in range(_LAST_TRIES):
            if not self._kept:
                break
            threading.Event().wait(_RETRY_S)
            rest, self._kept = self._kept, []
            for at in range(0, len(rest), _FEW):
                self._commit(rest[at : at + _FEW])
        if self._kept:
            log.error(
                "outcomes not written; their recipients are tried again and listed as uncertain",
                extra={"folder": str(self._folder), "changes": len(self._kept)},
            )
        closed = SpoolError("the spool is closed")
        self._wake([(future, closed) for _, future in self._kept if future is not None])
        if self._connection is not None:
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                log.exception("last checkpoint failed; left to the next start")
            self._connection.close()

    # -- failure ------------------------------------------------------------------------------------------

    def _met(self, error: Exception, batch: list[Entry]) -> None:
        """A transaction failed: by whose fault?"""
        fault = fault_of(error)
        if fault is Fault.CHANGE and batch:
            self._tell_apart(batch, error)
            return
        self.failures += 1
        if self.failure is None or self.failures % _LOG_EVERY == 0:
            log.error(
                "spool cannot write: new mail gets 451 or 452, outcomes are kept and tried again; "
                "look at the disk of [spool] path",
                extra={"folder": str(self._folder), "fault": fault.value, "error": str(error)},
            )
        failure = as_spool_error(error)
        refused: list[Entry] = []
        for entry in batch:
            (refused if may_be_refused(entry[0]) else self._kept).append(entry)
        self._retry_at = monotonic() + _RETRY_S
        self.failure = failure
        self._renew(fault)
        self._drop_files(refused)
        self._wake([(future, failure) for _, future in refused if future is not None])

    def _renew(self, fault: Fault) -> None:
        """Open the connection anew; the next transaction tries if this fails.

        The new one is opened before the old one is closed: were the old one the last, the next would read the
        whole log again and take for committed what was rolled back after its fsync had failed.
        """
        old, self._connection = self._connection, None
        try:
            if fault is Fault.DAMAGE and self._rebuild is not None:
                self._upkeep.checkpoint.wait()
                if old is not None:
                    old.close()
                self._connection = self._rebuild()
                self.rebuilds += 1
                self._upkeep.retention.look(self._connection)
                return
            self._connection = schema.open_writer(self._folder)
            if old is not None:
                old.close()
            if fault is Fault.FULL:  # what is in the write-ahead log may fit into free pages of the database
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (sqlite3.Error, OSError, SpoolError) as error:
            if self.failures % _LOG_EVERY == 1:
                log.error(
                    "spool database cannot be opened again, or its log not moved; tried again",
                    extra={"folder": str(self._folder), "error": str(error)},
                )

    def _drop_files(self, refused: list[Entry]) -> None:
        """Large files of refused messages would fill the disk of a spool that is full already."""
        try:
            content.remove_files(self._folder, [m.id for c, _ in refused for m in c.stored if m.is_large])
        except OSError:
            log.exception("files of refused messages stay until the next start")

    def _tell_apart(self, batch: list[Entry], error: Exception) -> None:
        """Halve the batch until the change that cannot be written (a bug of ours) stands alone."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._commit(batch[:middle])
            self._commit(batch[middle:])
            return
        self.failures += 1
        ((change, future),) = batch
        log.error("change cannot be written", extra={"change": repr(change)[:2000]}, exc_info=error)
        refusal: SpoolError | None = SpoolError(f"cannot be written: {error}")
        if not may_be_refused(change):
            try:
                self._transact([change], remnant.write)
            except Exception as worse:
                if fault_of(worse) is not Fault.CHANGE:
                    self._met(worse, batch)
                    return
                log.exception("nor can what is left of it; its recipients stay where they are")
            else:
                self._journal.clear(change.slots)
                if not change.stored:  # those who wait for a bounce are told that there is none
                    refusal = None
        if future is not None:
            self._wake([(future, refusal)])

    def _wake(self, results: list[tuple[asyncio.Future[None], SpoolError | None]]) -> None:
        if results:
            self._call(_resolve, results)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop has ended: no one waits any more
            log.warning("spool result after the loop's end")


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
