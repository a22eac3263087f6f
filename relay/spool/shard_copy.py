"""A shard as it goes into a backup, and what is done to it when it comes back.

``take``: the database at one moment, then the files of its large messages. A file goes only after its row has
gone, so each row of the copy has its file, or its message was finished meanwhile: then its rows are taken out
of the copy. Where the row is still there and the file is not, that is damage, and is left for the relay to
find and set aside as such.

``put_back``: what is delivered, held or deleted after the copy was made is not known to it. Hence its waiting
recipients are held, unless the caller wants them to go (some would get their mail twice); and offsets of
events go on behind a gap, since those that came after the copy may have been seen.

The journal of dots is copied before the database: a dot that was sent before the copy began is listed as
uncertain, as after a crash. Blocking. Raises sqlite3.Error and OSError.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from relay.spool import content, copies, rebuild, schema
from relay.spool.choosing import STATES

_LARGE = "SELECT key, id FROM message WHERE flags & 1 ORDER BY key"


class Counted(NamedTuple):
    """What waits in a shard."""

    messages: int
    recipients: int
    by_state: dict[str, int]
    large: list[str]  # ids of the messages that have a file


def take(
    folder: Path, staged: Path, add_file: Callable[[Path], None], pace: copies.Pace | None = None
) -> list[str]:
    """Write the database as ``staged`` and hand each large file to ``add_file``, which raises
    FileNotFoundError if it is gone; the ids of the messages that were finished meanwhile."""
    copies.copy_database(folder / schema.DATABASE, staged, pace)
    with closing(copies.frozen(staged)) as connection:
        large = connection.execute(_LARGE).fetchall()
    gone = []
    for key, message_id in large:
        try:
            add_file(content.file_of(folder, message_id))
        except FileNotFoundError:
            gone.append((key, message_id))
    if not gone:
        return []
    with closing(schema.open_reader(folder)) as live:
        known = {
            key for key, _ in gone if live.execute("SELECT 1 FROM message WHERE key = ?", (key,)).fetchone()
        }
    finished = [(key, message_id) for key, message_id in gone if key not in known]
    _drop(staged, [key for key, _ in finished])
    return [message_id for _, message_id in finished]


def count(database: Path) -> Counted:
    """What waits, in a copy that nobody writes to."""
    names = {number: name for name, number in STATES.items()}
    with closing(copies.frozen(database)) as connection:
        (messages,) = connection.execute("SELECT count(*) FROM message").fetchone()
        rows = connection.execute("SELECT state, count(*) FROM recipient GROUP BY state").fetchall()
        large = [message_id for _, message_id in connection.execute(_LARGE)]
    by_state = dict.fromkeys(STATES, 0) | {names[state]: number for state, number in rows}
    return Counted(messages, sum(by_state.values()), by_state, large)


def put_back(folder: Path, now: float, *, hold: bool) -> int:
    """Prepare the database in a shard's folder for its first start; how many recipients were put on hold."""
    with closing(sqlite3.connect(folder / schema.DATABASE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        held = 0
        if hold:
            held = connection.execute(
                f"UPDATE recipient SET state = {schema.HELD} WHERE state != {schema.HELD}"  # noqa: S608
            ).rowcount
        rebuild.leave_gap(folder, connection, now)
        connection.execute("COMMIT")
    return held


def _drop(database: Path, keys: list[int]) -> None:
    """Take finished messages out of a copy."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # no log may stay beside the copy
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
        connection.execute("BEGIN IMMEDIATE")
        for table, column in (("transcript", "message"), ("recipient", "message"), ("message", "key")):
            if table in tables:
                sql = f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608
                connection.executemany(sql, [(key,) for key in keys])
        connection.execute("COMMIT")
    copies.sync(database)
