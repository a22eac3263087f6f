"""What the commit thread does between transactions: move the log into the database, drop the oldest events.

When events go is decided in ``retention``.

The write-ahead log is moved when about 48 MB of content went through it, or when it holds more than 192 MB of
pages: a retry of one recipient dirties two or three of them, which content does not tell. Most of it is moved
beside the commits (``checkpoint``), the rest between two of them. Its file then keeps its size (``schema``).

On a disk with little room the log is looked at after every transaction, and moved before its file takes more
than half of what is left: moving it may make the database grow by as much, and a log that has taken all the
room could never be moved again. It is then cut to nothing, so that its room is the disk's again. Free pages
inside the database are room that the file system does not show: ``reusable_bytes``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from relay.base.events import Change
from relay.spool import schema
from relay.spool.checkpoint import Checkpoint
from relay.spool.retention import Retention

_CHECKPOINT_BYTES = 48 << 20  # of content; measured at 100 KB messages, see bench
_LARGEST_LOG_BYTES = 192 << 20
_LOOK_EVERY = 64  # transactions between two looks at the size of the log
_LITTLE_ROOM_BYTES = 1 << 30  # below it each transaction looks, about 15 microseconds


class Upkeep:
    """Owned by the commit thread."""

    def __init__(self, folder: Path, retention: Retention) -> None:
        self._log = folder / (schema.DATABASE + "-wal")
        self.retention = retention
        self._written_bytes = 0
        self._transactions = _LOOK_EVERY
        self._is_tight = False
        self._folder = folder
        self.checkpoint = Checkpoint(folder)
        self.reusable_bytes = 0  # as of the last look; counted only while there is little room

    def wrote(self, changes: Sequence[Change]) -> None:
        """These changes were committed."""
        for change in changes:
            if change.events:
                self.retention.wrote(change.events)
            self._written_bytes += 4096
            for message in change.stored:
                self._written_bytes += message.size_bytes
        self._transactions += 1

    def keep(self, connection: sqlite3.Connection) -> None:
        """Do what is due. Raises sqlite3.Error or OSError; what was not done is done the next time."""
        self.retention.step(connection)
        if self._is_tight or self._transactions >= _LOOK_EVERY:
            self._transactions = 0
            self._look_at_room(connection)
        if self.checkpoint.is_over:
            self.checkpoint.forget()
            self._written_bytes = 0
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        elif self._written_bytes >= _CHECKPOINT_BYTES and not self.checkpoint.is_running:
            if self._is_tight:
                self._written_bytes = 0
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            else:
                self.checkpoint.begin()

    def _look_at_room(self, connection: sqlite3.Connection) -> None:
        state = os.statvfs(self._folder)
        room = state.f_bavail * state.f_frsize
        self._is_tight = room < _LITTLE_ROOM_BYTES
        if os.stat(self._log).st_size > room // 2 or schema.log_bytes(self._folder) > _LARGEST_LOG_BYTES:
            self._written_bytes = _CHECKPOINT_BYTES
        self.reusable_bytes = 0
        if self._is_tight:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            self.reusable_bytes = int(free) * int(page)
