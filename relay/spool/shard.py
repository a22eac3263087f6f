"""A shard: the part of the spool that one worker owns.

Contract: ``commit(change)`` returns a future that resolves when the change is on disk. ``due`` lists waiting
recipients, ``contents`` reads content, ``control`` runs an operator's work between two transactions. What is
promised when is in ``committer``, what a crash leaves in ``recover``, what damage leaves in ``rebuild``.

Bounds: new mail is refused with SpoolFull once the disk reserve is reached, and with the disk's own error
while the disk refuses writes; ingress answers 452 4.3.1 or 451. Outcomes and bounces are always taken. Fresh
content in memory is bounded by the budget of the one who keeps it, not here.

Cost on the hot path: a commit is one queue put and one future; the rows cost 50 to 170 microseconds of the
commit thread per message, shared fsync included (``python -m bench.spool``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from relay.base.clock import Clock
from relay.base.errors import SpoolCorrupt, SpoolError, SpoolFull
from relay.base.events import Change
from relay.base.message import Message
from relay.base.parked import ParkedAsk, ParkedGroup, ParkedPage
from relay.spool import aside, content, rebuild, recover
from relay.spool.committer import Committer
from relay.spool.faults import Fault, fault_of, may_be_refused
from relay.spool.journal import DotJournal
from relay.spool.reader import Reader
from relay.spool.retention import Keep, Retention
from relay.spool.upkeep import Upkeep

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_REBUILD_EVERY_S = 600.0  # damage that comes back at once is the disk's or the memory's: no copy for each


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Bounds of a shard, in bytes and rows."""

    disk_reserve_bytes: int = 256_000_000
    large_bytes: int = 256 * 1024
    keep: Keep = field(default_factory=Keep)
    uncertain_age_s: float = 14 * 86400.0


class Shard:
    """One opened shard. Made by ``Shard.open``; ends with its stack."""

    def __init__(self, number: int, folder: Path, limits: SpoolLimits, clock: Clock) -> None:
        self.number = number
        self.folder = folder
        self.limits = limits
        self.uncertain_found = 0
        self.waiting_found = 0
        self.corrupt = 0
        self._clock = clock
        self._next_key = 0
        self._free_bytes = 0
        self._free_checked = -1e9
        self._rebuilt_at = -1e9

    @classmethod
    async def open(
        cls, path: Path, number: int, limits: SpoolLimits, clock: Clock, stack: AsyncExitStack
    ) -> Shard:
        """Lock, recover and open shard ``number`` below ``path``. Raises SpoolError if it is in use, full or
        cannot be read."""
        shard = cls(number, recover.shard_folder(path, number), limits, clock)
        try:
            await shard._start(stack)
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"{shard.folder} cannot be opened: {error}") from error
        return shard

    async def _start(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        stack.callback(os.close, recover.lock(self.folder))
        self.journal = DotJournal(self.folder)
        stack.callback(self.journal.close)
        connection = await loop.run_in_executor(None, self._recover)
        self.retention = Retention(self.folder.parent, self.number, self.limits.keep, self._clock)
        upkeep = Upkeep(self.folder, self.retention)
        self.committer = Committer(self.folder, connection, self.journal, upkeep, self._rebuild)
        self._reader = Reader(self.folder, self.number, lambda: self.committer.rebuilds)
        stack.callback(self._reader.close)
        self.committer.start()
        stack.push_async_callback(self._stop)

    async def _stop(self) -> None:
        self.committer.is_closed = True
        await asyncio.get_running_loop().run_in_executor(None, self.committer.stop)

    def _recover(self) -> sqlite3.Connection:
        now = self._clock.now()
        connection, was_damaged = recover.open_database(self.folder, now)
        try:
            try:
                found = recover.recover(self.folder, connection, self.journal, now)
            except sqlite3.DatabaseError as error:
                if fault_of(error) is not Fault.DAMAGE:
                    raise
                connection.close()
                connection, was_damaged = rebuild.rebuild(self.folder, now), True
                found = recover.recover(self.folder, connection, self.journal, now)
            self.corrupt += was_damaged
            self.uncertain_found, self.waiting_found = found
            connection.execute("DELETE FROM uncertain WHERE at < ?", (now - self.limits.uncertain_age_s,))
            (last,) = connection.execute("SELECT coalesce(max(key), 0) FROM message").fetchone()
        except BaseException:
            connection.close()
            raise
        self._next_key = max(last + 1, int(now * 1000) << 20)
        return connection

    def _rebuild(self) -> sqlite3.Connection:
        """In the commit thread: damage was found while running."""
        now = self._clock.monotonic()
        if now - self._rebuilt_at < _REBUILD_EVERY_S:
            raise SpoolError("damaged again soon after it was rebuilt: look at the disk and the memory")
        self._rebuilt_at = now
        self.corrupt += 1
        log.error("spool database is damaged; it is rebuilt now", extra={"folder": str(self.folder)})
        return rebuild.rebuild(self.folder, self._clock.now())

    @property
    def is_full(self) -> bool:
        """The disk reserve is reached; asked for each new message, looked up once a second. What the database
        has free inside counts as room, since it never shrinks."""
        now = self._clock.monotonic()
        if now - self._free_checked >= 1.0:
            self._free_checked = now
            state = os.statvfs(self.folder)
            self._free_bytes = state.f_bavail * state.f_frsize + self.committer.reusable_bytes
        return self._free_bytes < self.limits.disk_reserve_bytes

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Write the change; the future resolves once it is on disk, or gets SpoolError.

        New messages get their key here. Raises SpoolError at once, and SpoolFull if that is why, when the
        change stores a message that someone could keep instead while there is no room or the disk refuses.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if change.stored:
            if may_be_refused(change):
                if self.is_full:
                    raise SpoolFull(f"less than {self.limits.disk_reserve_bytes} bytes free at {self.folder}")
                if (failure := self.committer.failure) is not None:
                    raise type(failure)(str(failure))
            self._number(change.stored)
        self.committer.submit(change, future)
        return future

    def note(self, change: Change) -> None:
        """Write a change whose end no one awaits (outcomes): it is kept until the disk takes it."""
        self._number(change.stored)
        self.committer.submit(change, None)

    def _number(self, messages: list[Message]) -> None:
        for message in messages:
            message.key = self._next_key
            self._next_key += 1
            message.is_large = message.size_bytes > self.limits.large_bytes

    async def control(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run an operator's ``work`` (see ``operate``) in a transaction of its own, after the changes that
        wait, in the commit thread; returns what it returned. Raises SpoolError, with nothing changed."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self.committer.control(work, future)
        return await future

    def remove_files(self, message_ids: Iterable[str]) -> None:
        """Remove the files of large messages that the operator deleted."""
        content.remove_files(self.folder, message_ids)

    async def contents(self, messages: list[Message]) -> dict[int, bytes | Path | SpoolCorrupt]:
        """Content by message key: bytes, the path of a large file, or the damage found. One thread hop.
        Raises SpoolError."""
        keys = [message.key for message in messages]
        found = await self._reader.contents(keys)
        return {key: found[key] if key in found else SpoolCorrupt("the row is gone") for key in keys}

    async def due(
        self, before: float, limit: int, known: set[tuple[int, int]], since: float = 0.0
    ) -> list[Message]:
        """Messages with recipients that are due from ``since`` to ``before`` and not in ``known``, oldest
        first, at most ``limit`` recipients. Raises SpoolError."""
        return await self._reader.due(before, limit, known, since)

    async def parked_groups(self) -> list[ParkedGroup]:
        """The domains and accounts with parked recipients. Raises SpoolError."""
        return await self._reader.parked_groups()

    async def parked_pages(self, asks: Sequence[ParkedAsk], known: set[tuple[int, int]]) -> list[ParkedPage]:
        """For each wish the parked of its group that are not in ``known``, in order of rank. Raises
        SpoolError."""
        return await self._reader.parked_pages(asks, known)

    async def parked_late(
        self, asks: Sequence[ParkedAsk], now: float, known: set[tuple[int, int]]
    ) -> list[Message]:
        """The parked of these groups that are to be given up at ``now``. Raises SpoolError."""
        return await self._reader.parked_late(asks, now, known)

    async def parked_untold(
        self, after: int, limit: int, arrived_before: float, now: float
    ) -> tuple[list[Message], int]:
        """A page of those who are parked for long, and of whom the sender has not heard (``untold``).
        Raises SpoolError."""
        return await self._reader.parked_untold(after, limit, arrived_before, now)

    async def next_due(self) -> float | None:
        """When the earliest waiting recipient is due; None if none waits. Raises SpoolError."""
        return await self._reader.next_due()

    async def is_empty(self) -> bool:
        """No message is kept here. Raises SpoolError."""
        return await self._reader.is_empty()

    async def set_aside(self, message: Message, damage: SpoolCorrupt) -> Change:
        """Put what is left of a damaged message into ``corrupt/``, and return the change that takes it out of
        the queue. Nothing is deleted: envelope and remains can be looked at and sent again by hand. Raises
        SpoolError or OSError; the message then stays where it is."""
        recipients, body = await self._reader.remains(message.key)
        pairs = [(message.key, r.number) for r in message.recipients]
        if recipients:  # else another attempt, or the operator, was first
            self.corrupt += 1
            log.error("message is damaged and set aside", extra={"id": message.id, "damage": str(damage)})
            await asyncio.get_running_loop().run_in_executor(
                None, aside.write, self.folder, message, recipients, body, damage
            )
        return Change(settled=pairs, finished=[message.key], tried_before=pairs)
