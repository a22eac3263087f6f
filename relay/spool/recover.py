"""Opening a shard: what a crash left is put in order before anything else happens.

In this order: lock the shard; open the database, or, if it is damaged, set it aside in ``corrupt/`` and save
every row that can still be read into a new one; list as uncertain the recipients whose dot was sent and
whose outcome is not there; make all fresh recipients due now; remove large files that no row names.
Nothing is deleted that might be a message.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from relay.base.errors import SpoolError
from relay.spool import content, schema
from relay.spool.journal import DotJournal

log = logging.getLogger(__name__)

_TABLES = ("message", "body", "recipient", "event", "uncertain")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What opening found."""

    uncertain: int
    waiting: int
    was_damaged: bool


def shard_folder(path: Path, shard: int) -> Path:
    """Where a shard lives below the spool's path."""
    return path / f"shard-{shard:06x}"


def shards_in(path: Path) -> list[int]:
    """The shards below the spool's path."""
    return sorted(
        int(one.name[6:], 16) for one in path.glob("shard-[0-9a-f]*") if (one / schema.DATABASE).exists()
    )


def lock(folder: Path) -> int:
    """Own the shard until the returned descriptor is closed. Raises SpoolError if another process owns it."""
    for one in (folder, folder / content.FOLDER, folder / "corrupt"):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolError(f"{folder} is in use by another process; is a relay running?") from None
    return descriptor


def open_database(folder: Path, now: float) -> tuple[sqlite3.Connection, bool]:
    """Open the database for writing, saving what can be saved if it is damaged; say whether it was."""
    try:
        connection = schema.open_writer(folder)
        connection.execute(
            "SELECT count(*) FROM (SELECT key FROM message ORDER BY key DESC LIMIT 1)"
        ).fetchone()
        return connection, False
    except sqlite3.OperationalError:
        raise  # locked, full, no permission: not damage
    except sqlite3.DatabaseError as error:
        if "malformed" not in str(error) and "not a database" not in str(error):
            raise
        log.error("spool database is damaged; set aside and rebuilt", extra={"folder": str(folder)})
        return _rebuild(folder, now), True


def _rebuild(folder: Path, now: float) -> sqlite3.Connection:
    aside = folder / "corrupt" / f"{int(now)}"
    aside.mkdir(mode=0o700, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        file = folder / (schema.DATABASE + suffix)
        if file.exists():
            file.rename(aside / file.name)
    connection = schema.open_writer(folder)
    try:
        damaged = sqlite3.connect(aside / schema.DATABASE, isolation_level=None)
        for table in _TABLES:
            saved = _save(damaged, connection, table)
            log.warning("rows saved from the damaged database", extra={"table": table, "rows": saved})
        damaged.close()
    except sqlite3.DatabaseError:
        log.exception(
            "nothing more could be saved; the damaged database is kept", extra={"aside": str(aside)}
        )
    return connection


def _save(damaged: sqlite3.Connection, connection: sqlite3.Connection, table: str) -> int:
    """Copy the rows of a table from both ends up to the damage."""
    saved = 0
    key = {"message": "key", "body": "key", "event": "offset"}.get(table)
    orders = (f" ORDER BY {key}", f" ORDER BY {key} DESC") if key else ("",)
    for order in orders:
        connection.execute("BEGIN")
        try:
            for row in damaged.execute(f"SELECT * FROM {table}{order}"):  # noqa: S608
                marks = ",".join("?" * len(row))
                cursor = connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
                saved += cursor.rowcount
            connection.execute("COMMIT")
            break
        except sqlite3.DatabaseError as error:
            log.warning("damage reached", extra={"table": table, "error": str(error)})
            connection.execute("COMMIT")
    return saved


def recover(folder: Path, connection: sqlite3.Connection, journal: DotJournal, now: float) -> tuple[int, int]:
    """Put the rows in order; returns (recipients found uncertain, recipients waiting)."""
    pending = journal.pending()
    connection.execute("BEGIN IMMEDIATE")
    uncertain = 0
    for _, key, number in pending:
        uncertain += connection.execute(
            "INSERT OR REPLACE INTO uncertain SELECT m.id, r.address, ?, 'crash' FROM recipient r"
            " JOIN message m ON m.key = r.message WHERE r.message = ? AND r.number = ?",
            (now, key, number),
        ).rowcount
    connection.execute("UPDATE recipient SET state = 1, due = ? WHERE state = 0", (now,))
    # a message whose last recipient is settled but whose row survived (a rebuilt database), and the reverse
    connection.execute("DELETE FROM message WHERE key NOT IN (SELECT message FROM recipient)")
    connection.execute("DELETE FROM body WHERE key NOT IN (SELECT key FROM message)")
    connection.execute("DELETE FROM recipient WHERE message NOT IN (SELECT key FROM message)")
    (waiting,) = connection.execute("SELECT count(*) FROM recipient").fetchone()
    connection.execute("COMMIT")
    journal.clear([place for place, _, _ in pending])  # after the commit: a crash between repeats the list
    large = {name for (name,) in connection.execute("SELECT id FROM message WHERE flags & 1")}
    content.remove_files(folder, {file.name for file in (folder / content.FOLDER).iterdir()} - large)
    return uncertain, waiting
