"""Copies of SQLite files and of others: made while they are in use, and on the disk once they are said to be.

Contract: ``copy_database`` writes one moment of a database, whatever its writer does meanwhile: it reads in a
single transaction, which in WAL mode holds nobody up. (Without that transaction SQLite's backup would begin
anew at each commit of another process, and never end under load.) Until it is done the write-ahead log of the
source cannot start again from its beginning, so it grows by what is committed meanwhile. A copy is complete
and fsynced on return, its name is not: ``content.sync_folder`` is the caller's. Raises sqlite3.Error or
OSError, and leaves a part of a copy behind, which has a name of its own.

``Pace`` keeps the copier to a part of the disk's time: it rests for as long as each step of a megabyte took,
and has the disk write every few megabytes, since a gigabyte at the end would hold up each commit beside it.

``schema_of`` is the one place that knows how any of our databases says what its schema is.

Not here: which files there are, and what is done with copies.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic

from relay.spool import content

_STEP_PAGES = 64
_STEP_BYTES = 1 << 20
_SYNC_EVERY = 8  # steps
_LONGEST_REST_S = 0.5
UNREADABLE = 1_000_000  # a revision of a name that none of ours has: from a relay that we do not know


class Pace:
    """Rests between steps; ``share`` of the time is work, at most 1 (no rests)."""

    def __init__(self, share: float = 0.5) -> None:
        self._rest = (1 - share) / share
        self._never = threading.Event()
        self._since = monotonic()
        self._steps = 0

    def step(self, descriptor: int) -> None:
        """A step was written to the file of that descriptor."""
        self._steps += 1
        if self._steps % _SYNC_EVERY == 0:
            os.fdatasync(descriptor)
        if self._rest:
            self._never.wait(min((monotonic() - self._since) * self._rest, _LONGEST_REST_S))
        self._since = monotonic()


def copy_database(source: Path, target: Path, pace: Pace | None = None) -> None:
    """Write one moment of ``source`` as ``target``, which must not be there yet."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with closing(_read_only(source)) as reading, closing(_bare(target)) as writing:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from now on it is one moment
            progress: Callable[..., None] | None = None
            if pace is not None:
                progress = lambda *_: pace.step(descriptor)  # noqa: E731
            reading.backup(writing, pages=_STEP_PAGES, progress=progress)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_file(source: Path, target: Path, pace: Pace | None = None) -> None:
    """Copy a file that nobody writes to any more. Raises FileNotFoundError if it is gone."""
    with source.open("rb") as reading:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while part := reading.read(_STEP_BYTES):
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                if pace is not None:
                    pace.step(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync(file: Path) -> None:
    """Make what was written to a file durable, and its name."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    content.sync_folder(file.parent)


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def empty_log(file: Path) -> None:
    """Move what a database's log holds into the database, as far as nobody reads it."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def check(file: Path) -> str:
    """ "ok", or what SQLite finds wrong with a copy that nobody writes to; makes no files beside it."""
    try:
        with closing(frozen(file)) as connection:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return str(state)
    except sqlite3.Error as error:
        return str(error)


def schema_of(file: Path) -> int | None:
    """Which schema a database has: its user_version, or its revision where Alembic keeps it; 0 if it has no
    tables yet; None if there is no such file, or it cannot be read (which its owner deals with)."""
    if not file.exists():
        return None
    try:
        with closing(_read_only(file)) as connection:
            return _schema(connection)
    except sqlite3.Error:
        return None


def frozen_schema_of(file: Path) -> int | None:
    """The same, of a copy that nobody writes to; makes no files beside it."""
    try:
        with closing(frozen(file)) as connection:
            return _schema(connection)
    except sqlite3.Error:
        return None


def frozen(file: Path) -> sqlite3.Connection:
    """Open a copy that nobody writes to, to read it."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def _schema(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version:
        return int(version)
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone():
        return 0
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        return 0
    return int(row[0]) if str(row[0]).isdigit() else UNREADABLE


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)


def _bare(file: Path) -> sqlite3.Connection:
    """To write a new file: a crash leaves a part of it, which its name tells; the fsync is ours."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    return connection
