"""Spools that are full before the relay starts: shards written offline, with the spool's own statements.

Rows are those of messages that were tried once and wait (``due_at``), in transactions of some thousand
without fsync. The shards of worker n are numbered from n + 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from bench.content import SENDER, make_template
from relay.base.events import Change
from relay.base.ids import MessageIds
from relay.base.message import Message, Recipient, RecipientState
from relay.spool import recover, rows, schema

_BATCH = 4000
_MAX_AGE_S = 14 * 3600.0


def messages(
    shard: int,
    count: int,
    address: Callable[[int], str],
    due_at: float,
    sizes: tuple[int, ...] = (1024, 2048, 4096),
    first: int = 0,
    account: int = 1,
) -> Iterator[Message]:
    """``count`` messages to one recipient each, ``address(number)``, numbered from ``first``."""
    templates = [make_template(size) for size in sizes]
    contents = [one.fill(0, 0, 0).removesuffix(b".\r\n") for one in templates]
    now, ids = time.time(), MessageIds(shard)
    for number in range(first, first + count):
        to = address(number)
        recipient = Recipient(0, to, to.rpartition("@")[2], state=RecipientState.DEFERRED, due_at=due_at)
        content = contents[number % len(contents)]
        yield Message(
            id=ids.make(now), shard=shard, account_id=account, sender=SENDER, recipients=[recipient],
            size_bytes=len(content), arrived_at=now, expires_at=now + _MAX_AGE_S, content=content,
            key=number + 1,
        )  # fmt: skip


def fill(spool: Path, shard: int, some: Iterable[Message]) -> float:
    """Write the messages into the shard; returns the seconds that took."""
    began = time.monotonic()
    folder = recover.shard_folder(spool, shard)
    folder.mkdir(parents=True, exist_ok=True)
    connection = schema.open_writer(folder)
    connection.execute("PRAGMA synchronous=OFF")
    left = iter(some)
    while batch := list(islice(left, _BATCH)):
        connection.execute("BEGIN")
        rows.write(connection, [Change(stored=batch)])
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    return time.monotonic() - began
