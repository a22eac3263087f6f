"""A shard: the part of the spool that one worker owns.

Contract: ``commit(change)`` returns a future that resolves when the change is on disk. ``due`` lists waiting
recipients, ``contents`` reads content. Everything else about durability is in ``committer`` and ``recover``.

Bounds: ``is_full`` says that the disk reserve is reached or that the disk refuses; ingress then answers
452 4.3.1. Fresh content in memory is bounded by the budget of the one who keeps it, not here.

Cost on the hot path: a commit is one queue put and one future; the rows cost 20 to 40 microseconds of the
commit thread per message, shared fsync included (``python -m bench.spool``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from relay.base.clock import Clock
from relay.base.errors import SpoolCorrupt, SpoolFull
from relay.base.events import Change
from relay.base.message import Message
from relay.spool import content, recover, rows, schema
from relay.spool.committer import Committer
from relay.spool.journal import DotJournal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Bounds of a shard, in bytes and rows."""

    disk_reserve_bytes: int = 256_000_000
    large_bytes: int = 256 * 1024
    keep_events: int = 1_000_000
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

    @classmethod
    async def open(
        cls, path: Path, number: int, limits: SpoolLimits, clock: Clock, stack: AsyncExitStack
    ) -> Shard:
        """Lock, recover and open shard ``number`` below ``path``. Raises SpoolError if it is in use."""
        shard = cls(number, recover.shard_folder(path, number), limits, clock)
        await shard._start(stack)
        return shard

    async def _start(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        folder = self.folder
        stack.callback(os.close, recover.lock(folder))
        connection, was_damaged = await loop.run_in_executor(
            None, recover.open_database, folder, self._clock.now()
        )
        self.corrupt += was_damaged
        self.journal = DotJournal(folder)
        stack.callback(self.journal.close)
        now = self._clock.now()
        self.uncertain_found, self.waiting_found = await loop.run_in_executor(
            None, recover.recover, folder, connection, self.journal, now
        )
        connection.execute("DELETE FROM uncertain WHERE at < ?", (now - self.limits.uncertain_age_s,))
        (last,) = connection.execute("SELECT coalesce(max(key), 0) FROM message").fetchone()
        self._next_key = max(last + 1, int(now * 1000) << 20)
        self._reader = schema.open_reader(folder)
        stack.callback(self._reader.close)
        self.committer = Committer(folder, connection, self.journal, self.limits.keep_events)
        self.committer.start()
        stack.push_async_callback(loop.run_in_executor, None, self.committer.stop)

    @property
    def is_full(self) -> bool:
        """The disk reserve is reached, or the disk refuses to be written; asked for each new message, looked
        up once a second."""
        now = self._clock.monotonic()
        if now - self._free_checked >= 1.0:
            self._free_checked = now
            state = os.statvfs(self.folder)
            self._free_bytes = state.f_bavail * state.f_frsize
        return self._free_bytes < self.limits.disk_reserve_bytes

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Write the change; the future resolves once it is on disk.

        New messages get their key here. Raises SpoolFull at once when ``is_full`` and the change stores a
        message that someone could keep instead; outcomes and bounces are always taken.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if change.stored:
            if not change.settled and not change.slots and self.is_full:
                raise SpoolFull(f"less than {self.limits.disk_reserve_bytes} bytes free at {self.folder}")
            for message in change.stored:
                message.key = self._next_key
                self._next_key += 1
                message.is_large = message.size_bytes > self.limits.large_bytes
        self.committer.submit(change, future)
        return future

    def note(self, change: Change) -> None:
        """Write a change whose end no one awaits (outcomes): it is kept until the disk takes it."""
        for message in change.stored:
            message.key = self._next_key
            self._next_key += 1
            message.is_large = message.size_bytes > self.limits.large_bytes
        self.committer.submit(change, None)

    async def contents(self, messages: list[Message]) -> dict[int, bytes | Path | SpoolCorrupt]:
        """Content by message key: bytes, the path of a large file, or the damage found. One thread hop."""
        keys = [message.key for message in messages]
        found = await asyncio.get_running_loop().run_in_executor(
            None, content.read, self._reader, self.folder, keys
        )
        return {key: found.get(key) or SpoolCorrupt("the row is gone") for key in keys}

    async def due(self, before: float, limit: int, known: set[tuple[int, int]]) -> list[Message]:
        """Messages with recipients that are due before ``before`` and not in ``known``, oldest first, at most
        ``limit`` recipients."""
        return await asyncio.get_running_loop().run_in_executor(None, self._due, before, limit, known)

    def _due(self, before: float, limit: int, known: set[tuple[int, int]]) -> list[Message]:
        messages: dict[int, Message] = {}
        taken = 0
        cursor = self._reader.execute(
            f"SELECT {rows.RECIPIENT_COLUMNS}, {rows.MESSAGE_COLUMNS} FROM recipient r"  # noqa: S608
            " JOIN message m ON m.key = r.message WHERE r.state = 1 AND r.due <= ? ORDER BY r.due LIMIT ?",
            (before, limit + len(known)),
        )
        for row in cursor:
            if (row[9], row[0]) in known:
                continue
            message = messages.get(row[9])
            if message is None:
                message = messages[row[9]] = rows.message_of(row[10:], self.number)
            message.recipients.append(rows.recipient_of(row[:10]))
            taken += 1
            if taken >= limit:
                break
        cursor.close()
        return list(messages.values())

    async def next_due(self) -> float | None:
        """When the earliest waiting recipient is due; None if none waits."""
        sql = "SELECT min(due) FROM recipient WHERE state = 1"
        row = await asyncio.get_running_loop().run_in_executor(
            None, lambda: self._reader.execute(sql).fetchone()
        )
        return None if row[0] is None else float(row[0])

    async def is_empty(self) -> bool:
        """No message is kept here."""
        sql = "SELECT NOT EXISTS (SELECT 1 FROM message)"
        row = await asyncio.get_running_loop().run_in_executor(
            None, lambda: self._reader.execute(sql).fetchone()
        )
        return bool(row[0])

    async def set_aside(self, message: Message, damage: SpoolCorrupt) -> Change:
        """Put what is left of a damaged message into ``corrupt/``, and return the change that takes it out of
        the queue. Nothing is deleted: envelope and remains can be looked at and sent again by hand."""
        self.corrupt += 1
        log.error("message is damaged and set aside", extra={"id": message.id, "damage": str(damage)})
        await asyncio.get_running_loop().run_in_executor(None, self._set_aside, message, damage)
        pairs = [(message.key, r.number) for r in message.recipients]
        return Change(settled=pairs, finished=[message.key])

    def _set_aside(self, message: Message, damage: SpoolCorrupt) -> None:
        target = self.folder / "corrupt" / message.id
        recipients = self._reader.execute(
            "SELECT address, notify, orcpt, reply FROM recipient WHERE message = ?", (message.key,)
        ).fetchall()
        remains = self._reader.execute("SELECT content FROM body WHERE key = ?", (message.key,)).fetchone()
        envelope = {
            "id": message.id,
            "sender": message.sender,
            "recipients": recipients,
            "account": message.account_id,
            "arrived_at": message.arrived_at,
            "damage": str(damage),
        }
        target.with_suffix(".json").write_text(json.dumps(envelope, indent=1))
        if remains is not None:
            target.with_suffix(".eml").write_bytes(remains[0])
        elif (file := content.file_of(self.folder, message.id)).exists():
            file.rename(target.with_suffix(".eml"))
