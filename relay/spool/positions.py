"""How far each consumer of the event log has come: ``positions.db`` in the spool.

Names that begin with "relay/" are the relay's own consumers; the others belong to who made them.

Contract: ``set`` is on disk when it returns as far as a killed process goes; after a power cut a position may
be an earlier one, so that its consumer sees some events again, never too few. Any process may ask and set; a
consumer is one name, used by one process at a time. Blocking.

Of a damaged file everything raises SpoolCorrupt, until ``mend`` has set it aside, which the notifier does:
then the relay's own consumers go on where they are or, after a start, take all kept events again; other
consumers have to be set anew.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.spool.aside import FOLDER

log = logging.getLogger(__name__)

FILE = "positions.db"
OWN = "relay/"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS position (consumer TEXT NOT NULL, shard INTEGER NOT NULL,"
    " offset INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (consumer, shard)) WITHOUT ROWID"
)


_mending = threading.Lock()


class Positions:
    """The positions of one spool; opened for each question, so that nothing has to be closed."""

    def __init__(self, spool: Path) -> None:
        self._file = spool / FILE

    @property
    def is_there(self) -> bool:
        """Whether anybody has ever had a position."""
        return self._file.exists()

    def get(self, consumer: str) -> dict[int, int]:
        """Offsets by shard; empty for a consumer that has none. Raises SpoolError."""
        with self._open() as connection:
            rows = connection.execute("SELECT shard, offset FROM position WHERE consumer = ?", (consumer,))
            return dict(rows.fetchall())

    def set(self, consumer: str, offsets: Mapping[int, int], now: float) -> None:
        """Where the consumer has come to, at ``now`` (seconds since the epoch). Raises SpoolError."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)",
                [(consumer, shard, offset, now) for shard, offset in offsets.items()],
            )
            connection.execute("COMMIT")

    def forget(self, consumer: str) -> bool:
        """Whether there was such a consumer; it is no more. Raises SpoolError."""
        with self._open() as connection:
            return connection.execute("DELETE FROM position WHERE consumer = ?", (consumer,)).rowcount > 0

    def all(self) -> dict[str, dict[int, tuple[int, float]]]:
        """By consumer and shard: the offset, and when it was set. Raises SpoolError."""
        found: dict[str, dict[int, tuple[int, float]]] = {}
        with self._open() as connection:
            for consumer, shard, offset, at in connection.execute("SELECT * FROM position"):
                found.setdefault(consumer, {})[shard] = (offset, at)
        return found

    def mend(self) -> bool:
        """Set the file aside if it is damaged, so that there are no positions; whether it was. Raises
        SpoolError."""
        with _mending:
            try:
                with self._open() as connection:
                    if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                        return False
            except SpoolCorrupt:
                pass
            try:
                target = self._set_aside()
            except OSError as error:
                raise SpoolError(f"{self._file} is damaged and cannot be set aside: {error}") from error
        log.error(
            "the positions of consumers are damaged; set aside: the relay's own are written anew, those of "
            "others begin with the oldest event, unless `relay events seek` sets them",
            extra={"file": str(target)},
        )
        return True

    def _set_aside(self) -> Path:
        folder, number = self._file.parent / FOLDER, 1
        folder.mkdir(mode=0o700, exist_ok=True)
        while (target := folder / f"{FILE}-{number}").exists():
            number += 1
        for suffix in ("-wal", "-shm"):
            self._file.with_name(FILE + suffix).unlink(missing_ok=True)
        self._file.rename(target)
        return target

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._make()
            connection = sqlite3.connect(self._file, isolation_level=None, timeout=10)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(_TABLE)
                yield connection
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            is_damage = type(error) is sqlite3.DatabaseError  # its subclasses are about the disk, or are bugs
            raise (SpoolCorrupt if is_damage else SpoolError)(f"{self._file}: {error}") from error

    def _make(self) -> None:
        """Make the file for the owner of the spool: else one that root has made would be root's alone, and
        the relay could not write its own positions. SQLite gives what it makes beside it the same owner."""
        if os.geteuid() == 0 and not self._file.exists():
            owner = self._file.parent.stat()
            descriptor = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            finally:
                os.close(descriptor)
