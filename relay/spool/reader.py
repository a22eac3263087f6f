"""Reading a shard while its commit thread writes: one connection, one thread of its own.

Contract: every method runs its query in the reader's thread and returns what one snapshot of the database
shows. The thread is alone on its connection: the sqlite3 module keeps one compiled statement per text, and
two threads that run the same text at once can bind their parameters over each other's.

When the commit thread has rebuilt a damaged database, the next query opens the new one.

Cost on the hot path: a thread hop, about 50 microseconds; messages that leave at once never come here.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.base.message import Message
from relay.base.parked import ParkedAsk, ParkedGroup, ParkedPage
from relay.spool import content, parked, rows, schema, untold
from relay.spool.faults import Fault, fault_of

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class Reader:
    """The reading side of one shard. ``generation`` tells how often the database was rebuilt."""

    def __init__(self, folder: Path, number: int, generation: Callable[[], int]) -> None:
        self._folder = folder
        self._number = number
        self._generation = generation
        self._opened = generation()
        self._connection = schema.open_reader(folder)
        self._thread = ThreadPoolExecutor(1, f"read-{folder.name}")

    def close(self) -> None:
        """End the thread after the query that runs, then close."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._connection.close()

    async def contents(self, keys: list[int]) -> dict[int, bytes | Path | SpoolCorrupt]:
        """Content by message key; see ``content.read``. Raises SpoolError."""
        return await self._ask(lambda connection: self._contents(connection, keys))

    async def due(
        self, before: float, limit: int, known: set[tuple[int, int]], since: float
    ) -> list[Message]:
        """See ``Shard.due``. Raises SpoolError."""
        return await self._ask(lambda connection: self._due(connection, before, limit, known, since))

    async def parked_groups(self) -> list[ParkedGroup]:
        """See ``Shard.parked_groups``. Raises SpoolError."""
        return await self._ask(parked.groups)

    async def parked_pages(self, asks: Sequence[ParkedAsk], known: set[tuple[int, int]]) -> list[ParkedPage]:
        """See ``Shard.parked_pages``. Raises SpoolError."""
        return await self._ask(lambda connection: parked.pages(connection, self._number, asks, known))

    async def parked_late(
        self, asks: Sequence[ParkedAsk], now: float, known: set[tuple[int, int]]
    ) -> list[Message]:
        """See ``Shard.parked_late``. Raises SpoolError."""
        return await self._ask(lambda connection: parked.late(connection, self._number, asks, now, known))

    async def parked_untold(
        self, after: int, limit: int, arrived_before: float, now: float
    ) -> tuple[list[Message], int]:
        """See ``Shard.parked_untold``. Raises SpoolError."""
        return await self._ask(
            lambda connection: untold.page(connection, self._number, after, limit, arrived_before, now)
        )

    async def next_due(self) -> float | None:
        """When the earliest waiting recipient is due; None if none waits. Raises SpoolError."""
        sql = "SELECT min(due) FROM recipient WHERE state = 1"
        (due,) = await self._ask(lambda connection: connection.execute(sql).fetchone())
        return None if due is None else float(due)

    async def is_empty(self) -> bool:
        """No message is kept here. Raises SpoolError."""
        sql = "SELECT NOT EXISTS (SELECT 1 FROM message)"
        return bool(await self._ask(lambda connection: connection.execute(sql).fetchone()[0]))

    async def remains(self, key: int) -> tuple[list[tuple[str, str, str, str]], bytes | None]:
        """What is left of a damaged message: (address, notify, orcpt, last reply) of its recipients, and the
        bytes of its body if they can be read. Raises SpoolError."""
        return await self._ask(lambda connection: _remains(connection, key))

    async def _ask(self, question: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)
        except sqlite3.Error as error:
            raise SpoolError(f"cannot read {self._folder / schema.DATABASE}: {error}") from error

    def _answer(self, question: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """In the reader's thread."""
        generation = self._generation()
        if generation != self._opened:
            self._connection.close()
            self._connection = schema.open_reader(self._folder)
            self._opened = generation
        return question(self._connection)

    def _contents(
        self, connection: sqlite3.Connection, keys: list[int]
    ) -> dict[int, bytes | Path | SpoolCorrupt]:
        try:
            return content.read(connection, self._folder, keys)
        except sqlite3.DatabaseError as error:
            if fault_of(error) is not Fault.DAMAGE:
                raise
            if len(keys) == 1:
                return {keys[0]: SpoolCorrupt(f"the row of its content cannot be read: {error}")}
        return {key: found for one in keys for key, found in self._contents(connection, [one]).items()}

    def _due(
        self,
        connection: sqlite3.Connection,
        before: float,
        limit: int,
        known: set[tuple[int, int]],
        since: float,
    ) -> list[Message]:
        messages: dict[int, Message] = {}
        taken = 0
        cursor = connection.execute(
            f"SELECT {rows.RECIPIENT_COLUMNS}, {rows.MESSAGE_COLUMNS} FROM recipient r"  # noqa: S608
            " JOIN message m ON m.key = r.message WHERE r.state = 1 AND r.due BETWEEN ? AND ?"
            " ORDER BY r.due LIMIT ?",
            (since, before, limit + len(known)),
        )
        for row in cursor:
            if (row[10], row[0]) in known:
                continue
            message = messages.get(row[10])
            if message is None:
                message = messages[row[10]] = rows.message_of(row[11:], self._number)
            message.recipients.append(rows.recipient_of(row[:11]))
            taken += 1
            if taken >= limit:
                break
        cursor.close()
        return list(messages.values())


def _remains(
    connection: sqlite3.Connection, key: int
) -> tuple[list[tuple[str, str, str, str]], bytes | None]:
    recipients = connection.execute(
        "SELECT address, notify, orcpt, reply FROM recipient WHERE message = ?", (key,)
    ).fetchall()
    try:
        body = connection.execute("SELECT CAST(content AS BLOB) FROM body WHERE key = ?", (key,)).fetchone()
    except sqlite3.DatabaseError as error:
        log.warning("nothing can be read of a damaged body", extra={"key": key, "error": str(error)})
        body = None
    return recipients, None if body is None else body[0]
