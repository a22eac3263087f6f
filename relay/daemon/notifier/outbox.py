"""The outbox: notifications that no one has taken yet, in ``notifications.db`` in the spool.

Contract: ``put`` stores notifications together with the position in the event log that they came from, in one
transaction: an event is either behind the position and its notifications are here (or were taken), or it will
be read again. ``settle`` removes what was taken. SQLite in WAL mode with ``synchronous=NORMAL``: a killed
process loses nothing, a power cut may undo the last moments as a whole, position included, so that some
notifications are posted twice and none is lost; and no fsync competes with those of mail.

A file that is damaged is set aside into ``corrupt/`` and begun anew: then all events that are kept are told
once more, with the same ids. Where that is found in use, or somebody has removed the file, ``attempt`` raises
SpoolCorrupt, and nothing more can be done with this instance: what its owner has in memory is numbered
otherwise than what a new file will hold.

Notifications put ``aside`` are kept for those who ask for them again (``revive``), for as long as ``prune``
is told.

Blocking, for one thread. Not here: what is posted when.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.verdict.post_queue import Pending

log = logging.getLogger(__name__)

FILE = "notifications.db"
_VERSION = 1
_TABLES = """
CREATE TABLE position (shard INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE pending (
  number INTEGER PRIMARY KEY AUTOINCREMENT, topic INTEGER NOT NULL, message_id TEXT NOT NULL,
  uid TEXT NOT NULL, since REAL NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL,
  aside INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX pending_topic ON pending (topic, aside, number);
CREATE TABLE trouble (topic INTEGER PRIMARY KEY, since REAL NOT NULL, said TEXT NOT NULL);
"""
_CHUNK = 500
_OF_DROPPED = 2  # pending.aside: waits for its topic to be activated; 1: was refused for too long itself


_Result = TypeVar("_Result")


class Notification(NamedTuple):
    """What is to be posted to a topic; ``uid`` is the same however often it is made."""

    topic_id: int
    message_id: str
    uid: str
    body: bytes


class Waiting(NamedTuple):
    """What a topic has in the outbox."""

    pending: int
    aside: int
    oldest: float  # since when, wall-clock seconds; 0 if nothing waits
    failing_since: float  # 0: it takes what it is given
    said: str  # what it last answered, where it did not take it


NOTHING = Waiting(0, 0, 0.0, 0.0, "")


class Outbox:
    """The outbox of one relay. Opened by ``open``."""

    def __init__(self, spool: Path) -> None:
        self.file = spool / FILE
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._connection is not None, "used before open"
        return self._connection

    def open(self, now: float) -> None:
        """Open, make or begin anew. Raises SpoolError."""
        try:
            try:
                self._connection = _connect(self.file)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # it is locked, or the disk has no room
                    raise
                log.error(
                    "the outbox of notifications is damaged; set aside, and all kept events are told again",
                    extra={"file": str(self._set_aside(now)), "why": str(error)},
                )
                self._connection = _connect(self.file)
            self._inode = self.file.stat().st_ino
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"{self.file}: {error}") from error

    def attempt(self, now: float, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Do one of the things below. Raises SpoolError if it could not be done now, as on a full disk, and
        SpoolCorrupt if it never can: the file is damaged, and set aside, or gone."""
        if self._connection is None:
            raise SpoolCorrupt(f"{self.file} is not open any more")
        try:
            if not self.file.exists() or self.file.stat().st_ino != self._inode:
                self.close()
                raise SpoolCorrupt(f"{self.file} was removed while it was in use")
            return work(*arguments)
        except (sqlite3.Error, OSError) as error:
            if type(error) is not sqlite3.DatabaseError:  # its subclasses are about the disk, or are bugs
                raise SpoolError(f"{self.file}: {error}") from error
            self.close()
            raise SpoolCorrupt(f"{error}; set aside as {self._set_aside(now)}") from error

    def _set_aside(self, now: float) -> Path:
        aside = self.file.parent / "corrupt" / f"{int(now)}-{FILE}"
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(self.file, aside)
        for suffix in ("-wal", "-shm"):
            self.file.with_name(FILE + suffix).unlink(missing_ok=True)
        return aside

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def position(self) -> dict[int, int]:
        """Offsets by shard, up to which events have been made notifications of."""
        return dict(self._open.execute("SELECT shard, offset FROM position").fetchall())

    def put(self, made: Sequence[Notification], reached: Mapping[int, int], now: float) -> list[int]:
        """Store them and the position, in one transaction; their numbers. Raises sqlite3.Error."""
        connection = self._open
        numbers = []
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for one in made:
                cursor = connection.execute(
                    "INSERT INTO pending (topic, message_id, uid, since, attempts, due, aside, body)"
                    " VALUES (?, ?, ?, ?, 0, 0, 0, ?)",
                    (one.topic_id, one.message_id, one.uid, now, one.body),
                )
                numbers.append(int(cursor.lastrowid or 0))
            connection.executemany("INSERT OR REPLACE INTO position VALUES (?, ?)", list(reached.items()))
        return numbers

    def load(self, topic_id: int, after: int, limit: int) -> list[Pending]:
        """Those of a topic that wait, behind number ``after``, oldest first."""
        rows = self._open.execute(
            "SELECT number, message_id, since, attempts, due, uid, body FROM pending"
            " WHERE topic = ? AND aside = 0 AND number > ? ORDER BY number LIMIT ?",
            (topic_id, after, limit),
        )
        return [Pending(*row) for row in rows]

    def body(self, number: int) -> bytes | None:
        """The content of one; None if it is gone."""
        row = self._open.execute("SELECT body FROM pending WHERE number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def settle(
        self,
        taken: Sequence[int],
        retried: Sequence[tuple[int, int, float]] = (),
        aside: Sequence[int] = (),
    ) -> None:
        """``taken`` are gone; ``retried`` have (number, attempts, due); ``aside`` are not tried again."""
        connection = self._open
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for at in range(0, len(taken), _CHUNK):
                part = taken[at : at + _CHUNK]
                marks = ",".join("?" * len(part))
                connection.execute(f"DELETE FROM pending WHERE number IN ({marks})", part)  # noqa: S608
            connection.executemany(
                "UPDATE pending SET attempts = ?, due = ? WHERE number = ?",
                [(attempts, due, number) for number, attempts, due in retried],
            )
            connection.executemany("UPDATE pending SET aside = 1 WHERE number = ?", [(n,) for n in aside])

    def note_trouble(self, topic_id: int, since: float, said: str) -> None:
        """The topic has taken nothing since then (0: it does again), and what it says."""
        with self._open as connection:
            if since:
                connection.execute("INSERT OR REPLACE INTO trouble VALUES (?, ?, ?)", (topic_id, since, said))
            else:
                connection.execute("DELETE FROM trouble WHERE topic = ?", (topic_id,))

    def put_aside(self, topic_id: int) -> int:
        """All that waits for a topic waits until it is revived; how much that is."""
        with self._open as connection:
            return connection.execute(
                f"UPDATE pending SET aside = {_OF_DROPPED} WHERE topic = ? AND aside = 0",  # noqa: S608
                (topic_id,),
            ).rowcount

    def revive(self, topic_id: int) -> int:
        """What waited for a dropped topic is tried again, from the beginning; how much that is."""
        with self._open as connection:
            count = connection.execute(
                "UPDATE pending SET aside = 0, attempts = 0, due = 0"  # noqa: S608
                f" WHERE topic = ? AND aside = {_OF_DROPPED}",
                (topic_id,),
            ).rowcount
            if count:
                connection.execute("DELETE FROM trouble WHERE topic = ?", (topic_id,))
            return count

    def keep_only(self, topics: Collection[int]) -> int:
        """Remove what is for topics that are no more; how much that was."""
        known = {topic for (topic,) in self._open.execute("SELECT DISTINCT topic FROM pending")}
        gone = [(topic,) for topic in known - set(topics)]
        with self._open as connection:
            connection.executemany("DELETE FROM trouble WHERE topic = ?", gone)
            return connection.executemany("DELETE FROM pending WHERE topic = ?", gone).rowcount if gone else 0

    def prune(self, before: float) -> int:
        """Remove what was put aside and is older than that; how much that was."""
        with self._open as connection:
            sql = "DELETE FROM pending WHERE aside > 0 AND since < ?"
            return connection.execute(sql, (before,)).rowcount

    def waiting(self) -> dict[int, Waiting]:
        """By topic, what is here."""
        return waiting(self._open)


def waiting(connection: sqlite3.Connection) -> dict[int, Waiting]:
    """What each topic has in the outbox; for the operator's look, too."""
    troubles = {topic: (since, said) for topic, since, said in connection.execute("SELECT * FROM trouble")}
    found = {
        topic: Waiting(pending, aside, oldest or 0.0, *troubles.get(topic, (0.0, "")))
        for topic, pending, aside, oldest in connection.execute(
            "SELECT topic, sum(aside = 0), sum(aside > 0), min(CASE aside WHEN 0 THEN since END)"
            " FROM pending GROUP BY topic"
        )
    }
    for topic, (since, said) in troubles.items():
        found.setdefault(topic, Waiting(0, 0, 0.0, since, said))
    return found


def look(spool: Path) -> dict[int, Waiting]:
    """What is in the outbox of a spool, beside the process that owns it. Raises SpoolError."""
    file = spool / FILE
    if not file.exists():
        return {}
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
        try:
            return waiting(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SpoolError(f"{file}: {error}") from error


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=FAST")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={_VERSION};COMMIT;")
        elif version != _VERSION:
            raise sqlite3.OperationalError(f"version {version}; this relay knows {_VERSION}")
        connection.execute("SELECT count(*) FROM pending").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
