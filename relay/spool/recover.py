"""Opening a shard: what a crash left is put in order before anything else happens.

In this order: lock the shard; open the database, or, if it is damaged, have it rebuilt from the rows that
can still be read; list as uncertain the recipients whose dot was sent and whose outcome is not there (or was
a deferral committed in the last instant before the crash: the list errs on that side); make all fresh
recipients due now; remove large files that no row names. Nothing is deleted that might be a message: where
rows may have been lost, files without a row are set aside instead.

Cost: one scan of the recipients and one of the messages, without content; about a second a million.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from pathlib import Path

from relay.base.errors import SpoolError
from relay.spool import content, rebuild, schema
from relay.spool.faults import Fault, fault_of
from relay.spool.journal import DotJournal

log = logging.getLogger(__name__)


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
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_database(folder: Path, now: float) -> tuple[sqlite3.Connection, bool]:
    """Open the database for writing, saving what can be saved if it is damaged; say whether it was."""
    was_cut_off = rebuild.finish(folder, now)
    is_new = not (folder / schema.DATABASE).exists()
    try:
        connection = schema.open_writer(folder)
    except sqlite3.DatabaseError as error:
        if fault_of(error) is not Fault.DAMAGE:
            raise  # locked, full, no permission, a newer version
        log.error("spool database is damaged", extra={"folder": str(folder), "error": str(error)})
        return rebuild.rebuild(folder, now), True
    try:
        connection.execute("SELECT max(key), total(flags & 1) FROM message").fetchone()
        connection.execute("SELECT count(*), total(state) FROM recipient").fetchone()
        connection.execute("SELECT max(offset) FROM event").fetchone()
        is_emptied = is_new and any((folder / content.FOLDER).iterdir())
        if is_emptied or was_cut_off:
            moved = rebuild.keep_unnamed_files(folder, connection)
            log.error("large files without a row are set aside", extra={"files": moved})
    except BaseException as error:
        connection.close()
        if fault_of(error) is not Fault.DAMAGE:
            raise
        log.error("spool database is damaged", extra={"folder": str(folder), "error": str(error)})
        return rebuild.rebuild(folder, now), True
    return connection, is_emptied or was_cut_off


def recover(folder: Path, connection: sqlite3.Connection, journal: DotJournal, now: float) -> tuple[int, int]:
    """Put the rows in order; returns (recipients found uncertain, recipients waiting)."""
    pending = journal.pending()
    connection.execute("BEGIN IMMEDIATE")
    uncertain = 0
    for key, number in {(key, number) for _, key, number in pending}:  # two sessions may have tried
        uncertain += connection.execute(
            "INSERT OR REPLACE INTO uncertain SELECT m.id, r.address, ?, 'crash' FROM recipient r"
            " JOIN message m ON m.key = r.message WHERE r.message = ? AND r.number = ?",
            (now, key, number),
        ).rowcount
    connection.execute("UPDATE recipient SET state = 1, due = ? WHERE state = 0", (now,))
    (waiting,) = connection.execute("SELECT count(*) FROM recipient").fetchone()
    connection.execute("COMMIT")
    journal.clear([place for place, _, _ in pending])  # after the commit: a crash between repeats the list
    large = {name for (name,) in connection.execute("SELECT id FROM message WHERE flags & 1")}
    content.remove_files(folder, {file.name for file in (folder / content.FOLDER).iterdir()} - large)
    return uncertain, waiting
