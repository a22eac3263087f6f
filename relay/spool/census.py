"""How much waits in a shard and for how long, counted beside the one who writes it.

Contract: ``census`` counts the recipients of each state but fresh ones, finds the oldest message of each,
and measures the files. It reads one snapshot, blocks, and belongs into a thread: SQLite lets the interpreter
go on meanwhile. Raises SpoolError.

How it counts: an index of each state is read from end to end, which holds nothing but those recipients; keys
of messages grow with their arrival, so that the lowest is the oldest. Fresh ones have no index, for every
message on its way would pay for it: who has them in memory knows how many there are.

Cost: 0.3 s for a million recipients that wait, 1 ms for none.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.base.errors import SpoolError
from relay.spool import content, schema

STATES = ("due", "waiting", "parked", "held")

_WAITING = (
    "SELECT count(*), min(message) FROM recipient INDEXED BY recipient_due WHERE state = 1 AND due {} ?"
)
_OF_STATE = {
    "parked": "SELECT count(*), min(message) FROM recipient INDEXED BY recipient_parked WHERE state = 3",
    "held": "SELECT count(*), min(message) FROM recipient INDEXED BY recipient_held WHERE state = 2",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted. Times are seconds since the epoch, 0 for none."""

    recipients: Mapping[str, int]  # by state
    arrived: Mapping[str, float]  # the oldest message, by state
    uncertain: int
    events: int  # about: what was never used or dropped from the middle counts too
    first_event_at: float
    database_bytes: int
    log_bytes: int
    files_bytes: int


def census(folder: Path, now: float) -> Counted:
    """Count the shard in ``folder``. Raises SpoolError."""
    try:
        connection = schema.open_reader(folder)
        try:
            connection.execute("BEGIN")
            return _count(connection, folder, now)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"{folder} cannot be counted: {error}") from error


def _count(connection: sqlite3.Connection, folder: Path, now: float) -> Counted:
    found = {
        "due": connection.execute(_WAITING.format("<="), (now,)).fetchone(),
        "waiting": connection.execute(_WAITING.format(">"), (now,)).fetchone(),
        **{state: connection.execute(sql).fetchone() for state, sql in _OF_STATE.items()},
    }
    (uncertain,) = connection.execute("SELECT count(*) FROM uncertain").fetchone()
    first = connection.execute("SELECT offset, at FROM event ORDER BY offset LIMIT 1").fetchone()
    (last,) = connection.execute("SELECT max(offset) FROM event").fetchone()
    return Counted(
        recipients={state: count for state, (count, _) in found.items()},
        arrived={state: _arrived(connection, key) for state, (_, key) in found.items()},
        uncertain=uncertain,
        events=last - first[0] + 1 if first else 0,
        first_event_at=first[1] if first else 0.0,
        database_bytes=_size(folder / schema.DATABASE),
        log_bytes=_size(folder / (schema.DATABASE + "-wal")),
        files_bytes=_size_of_files(folder / content.FOLDER),
    )


def _arrived(connection: sqlite3.Connection, key: int | None) -> float:
    if key is None:
        return 0.0
    row = connection.execute("SELECT arrived FROM message WHERE key = ?", (key,)).fetchone()
    return float(row[0]) if row else 0.0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _size_of_files(folder: Path) -> int:
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    total += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue  # delivered meanwhile
    except FileNotFoundError:
        pass
    return total
