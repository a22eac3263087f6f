"""A damaged database: all rows that can be read go into a new one, the damaged one into ``corrupt/``.

The new database is built beside the damaged one and takes its place by renames, so that a crash at any point
leaves one of the two in place and the next opening goes on (``finish``). A first page that was overwritten
is replaced by that of an empty database of the same layout (its root pages are the same, since one script
makes them all); the bytes it replaces are kept. Within a table rows are copied up to the damage from both
ends, then the gap is halved until nothing more can be read.

Not done: content whose message row is lost, and large files that no row names, are not sent; they stay in
``corrupt/`` for a person to look at.

The offsets of events go on far behind all that can have been used, with an event that tells of the gap: else
those who follow the log would take new events for old ones that they have seen.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from relay.base.errors import SpoolError
from relay.base.events import EventKind
from relay.spool import content, schema
from relay.spool.positions import Positions

log = logging.getLogger(__name__)

_NEW = schema.DATABASE + ".rebuilt"  # complete; only the renames are missing
_BUILDING = "rebuilding"
_PAGE_BYTES = 16384
_KEYS = {
    "message": "key",
    "body": "key",
    "recipient": "message",
    "event": "offset",
    "uncertain": "",
    "transcript": "message",
}
_MOST_GAPS = 4096  # looked into per table: bounds the time, since each looks at a page or two
_LAST_KEY = 2**63 - 1
GAP_EVENTS = 100_000_000  # more than the log of a shard holds


def rebuild(folder: Path, now: float) -> sqlite3.Connection:
    """Set the damaged database aside and open the one made from what could be read. Raises sqlite3.Error or
    OSError, with the damaged one still in place, if there is no room for it."""
    building = folder / _BUILDING
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    aside = _aside(folder, now)
    connection = schema.open_writer(building)
    try:
        _save_all(folder, connection, aside)
        _drop_halves(connection)
        leave_gap(folder, connection, now)
    finally:
        connection.close()
    (building / schema.DATABASE).rename(folder / _NEW)
    content.sync_folder(folder)
    _swap(folder, aside)
    shutil.rmtree(building, ignore_errors=True)
    connection = schema.open_writer(folder)
    keep_unnamed_files(folder, connection, aside)
    return connection


def finish(folder: Path, now: float) -> bool:
    """Complete a rebuild that a crash cut off between its renames; say whether there was one."""
    if not (folder / _NEW).exists():
        return False
    _swap(folder, _aside(folder, now))
    return True


def keep_unnamed_files(folder: Path, connection: sqlite3.Connection, aside: Path | None = None) -> int:
    """Move large files that no row names into ``corrupt/``: their rows may be what was lost."""
    named = {name for (name,) in connection.execute("SELECT id FROM message WHERE flags & 1")}
    target = aside or folder / "corrupt"
    moved = 0
    for file in (folder / content.FOLDER).iterdir():
        if file.name not in named:
            file.rename(target / (file.name + ".eml"))
            moved += 1
    return moved


def _aside(folder: Path, now: float) -> Path:
    """A new folder in ``corrupt/``, or the one of the rebuild that was cut off."""
    number, aside = 0, folder / "corrupt" / f"{int(now)}"
    while (aside / schema.DATABASE).exists():
        number += 1
        aside = aside.with_name(f"{int(now)}-{number}")
    aside.mkdir(mode=0o700, exist_ok=True, parents=True)
    return aside


def _swap(folder: Path, aside: Path) -> None:
    """Order: the log before its database, since a new database must not meet an old log."""
    for suffix in ("-wal", "-shm", ""):
        file = folder / (schema.DATABASE + suffix)
        if file.exists():
            file.rename(aside / file.name)
    (folder / _NEW).rename(folder / schema.DATABASE)
    content.sync_folder(folder)


def _save_all(folder: Path, connection: sqlite3.Connection, aside: Path) -> None:
    damaged = sqlite3.connect(folder / schema.DATABASE, isolation_level=None)
    damaged.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        try:
            (known,) = damaged.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()
        except sqlite3.DatabaseError:
            known = 0
        if known < len(_KEYS):
            damaged.close()
            _replace_first_page(folder, aside)
            damaged = sqlite3.connect(folder / schema.DATABASE, isolation_level=None)
            damaged.text_factory = lambda text: text.decode("utf-8", "replace")
        for table, key in _KEYS.items():
            connection.execute("BEGIN")
            saved = _Rescue(damaged, connection, table, key).save()
            connection.execute("COMMIT")
            log.warning("rows saved from the damaged database", extra={"table": table, "rows": saved})
    finally:
        damaged.close()


def _replace_first_page(folder: Path, aside: Path) -> None:
    """Header and table of contents, from an empty database; free pages are forgotten, not reused."""
    pattern = folder / _BUILDING / "pattern"
    pattern.mkdir()
    schema.open_writer(pattern).close()
    page = bytearray((pattern / schema.DATABASE).read_bytes()[:_PAGE_BYTES])
    file = folder / schema.DATABASE
    page[28:32] = (file.stat().st_size // _PAGE_BYTES).to_bytes(4, "big")  # pages in the file
    with file.open("r+b") as stream:
        (aside / "page-1").write_bytes(stream.read(_PAGE_BYTES))
        stream.seek(0)
        stream.write(page)
        stream.flush()
        os.fsync(stream.fileno())


class _Rescue:
    """The rows of one table, on their way from the damaged database to the new one."""

    def __init__(
        self, damaged: sqlite3.Connection, connection: sqlite3.Connection, table: str, key: str
    ) -> None:
        self._damaged = damaged
        self._connection = connection
        self._table = table
        self._key = key
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        self._defaults = tuple(0 if column[4] == "0" else "" for column in columns)
        self._insert = f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(columns))})"  # noqa: S608
        self._saved = 0
        self._is_damage_told = False

    def save(self) -> int:
        """Copy what can be read; returns how many rows that were."""
        if not self._key:
            self._copy("", ())
            return self._saved
        gaps, looked = [(-1, _LAST_KEY)], 0
        while gaps and looked < _MOST_GAPS:
            looked += 1
            low, high = gaps.pop(0)
            reached, is_whole = self._copy(f"{self._key} BETWEEN ? AND ?", (low, high))
            if is_whole:
                continue
            low = max(low, reached if reached is not None else low)
            back, _ = self._copy(f"{self._key} BETWEEN ? AND ?", (low, high), " DESC")
            high = min(high, back if back is not None else high)
            middle = (low + high) // 2
            if low < middle < high:
                gaps += [(low, middle), (middle, high)]
        return self._saved

    def _padded(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row as the table is now: those of an older version lack the columns that came at the end."""
        return row + self._defaults[len(row) :]

    def _copy(self, where: str, bounds: tuple[int, ...], order: str = "") -> tuple[int | None, bool]:
        """Copy rows until the end or the damage; returns the last key seen, and whether it was the end."""
        sql = f"SELECT * FROM {self._table}"  # noqa: S608
        if where:
            sql += f" WHERE {where} ORDER BY {self._key}{order}"
        last: int | None = None
        try:
            for row in self._damaged.execute(sql, bounds):
                last = row[0]
                try:
                    self._saved += self._connection.execute(self._insert, self._padded(row)).rowcount
                except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError):
                    log.warning("a row that is none", extra={"table": self._table})
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise
            if not self._is_damage_told:
                self._is_damage_told = True
                log.warning("damage reached", extra={"table": self._table, "error": str(error)})
            return last if isinstance(last, int) else None, False
        return last if isinstance(last, int) else None, True


def leave_gap(folder: Path, connection: sqlite3.Connection, now: float) -> None:
    """What was lost may have been seen: by how far each consumer has come, and by more than a log holds."""
    (last,) = connection.execute("SELECT coalesce(max(offset), 0) FROM event").fetchone()
    positions, seen = Positions(folder.parent), [0]
    try:
        known = positions.all().values() if positions.is_there else []
        seen += [of[shard][0] for of in known for shard in of if f"shard-{shard:06x}" == folder.name]
    except SpoolError as error:
        log.error("offsets of events may be used again", extra={"why": str(error)})
    gap = (max([last, *seen]) + GAP_EVENTS, now, EventKind.GAP.value, "", 0, "{}")
    connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", gap)


def _drop_halves(connection: sqlite3.Connection) -> None:
    """Rows whose other half was lost; the damaged database keeps them."""
    connection.execute("BEGIN")
    connection.execute("DELETE FROM recipient WHERE message NOT IN (SELECT key FROM message)")
    connection.execute("DELETE FROM message WHERE key NOT IN (SELECT message FROM recipient)")
    connection.execute("DELETE FROM body WHERE key NOT IN (SELECT key FROM message)")
    connection.execute("DELETE FROM transcript WHERE message NOT IN (SELECT key FROM message)")
    connection.execute(schema.COPY_TO_RECIPIENTS)  # rows of an older version lack them
    connection.execute("COMMIT")
