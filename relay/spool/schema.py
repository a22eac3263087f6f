"""The tables of a shard, and how its database is opened.

Contract: SQLite in WAL mode with ``synchronous=FULL``: when COMMIT returns, the write-ahead log has been
fsynced, and the rows are there after a power cut. One connection writes (the commit thread's), others read.

A page is 16 KiB. At full speed 16 and 32 KiB are equally fast (``python -m bench --only relay``), smaller are
slower, because content then needs many overflow pages; at half speed, where a commit carries few messages,
860 messages a second write 49 MB/s with 16 KiB and 66 MB/s with 32 KiB.

Why these tables: a message's content is in a table of its own so that a scan of the queue does not read it.
``recipient`` is clustered by message and has no other index than the one on those that wait (``due``), so
that a message which leaves at once never touches an index of the backlog. Keys are never used twice: they
start from the clock at each opening. ``account`` and ``rank`` (the moment after which it is late) of a
message stand with its recipients too, so that the next of those that are parked is found by an index. Events
that are rare are found by their message, long after it has left: what comes back names it. How the others
are found, and what an index on all of them costs, is in ``message_events``.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from pathlib import Path

VERSION = 4
DATABASE = "spool.db"

_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24

FRESH, DEFERRED, HELD, PARKED = 0, 1, 2, 3  # recipient.state

COPY_TO_RECIPIENTS = (
    "UPDATE recipient SET account = m.account, rank = CASE WHEN m.deadline > 0 AND m.deadline < m.expires"
    " THEN m.deadline ELSE m.expires END FROM message m WHERE m.key = recipient.message"
)

RARE = "kind NOT IN ('Send', 'Delivery')"  # as in the index; SQLite wants the same words

_TABLES = """
CREATE TABLE message (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL, account INTEGER NOT NULL, sender TEXT NOT NULL,
  size INTEGER NOT NULL, checksum INTEGER NOT NULL, arrived REAL NOT NULL, expires REAL NOT NULL,
  flags INTEGER NOT NULL, ret TEXT NOT NULL, envid TEXT NOT NULL,
  return_path TEXT NOT NULL DEFAULT '', control TEXT NOT NULL DEFAULT '', deadline REAL NOT NULL DEFAULT 0,
  identity TEXT NOT NULL DEFAULT ''
);
CREATE INDEX message_id ON message (id);
CREATE TABLE body (key INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE recipient (
  message INTEGER NOT NULL, number INTEGER NOT NULL, address TEXT NOT NULL, domain TEXT NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL, notify TEXT NOT NULL,
  orcpt TEXT NOT NULL, reply TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0,
  account INTEGER NOT NULL DEFAULT 0, rank REAL NOT NULL DEFAULT 0, PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (due) WHERE state = 1;
CREATE INDEX recipient_parked ON recipient (domain, account, rank) WHERE state = 3;
CREATE TABLE transcript (
  message INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, dialogue TEXT NOT NULL,
  PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE TABLE event (
  offset INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, message_id TEXT NOT NULL,
  account INTEGER NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX event_message ON event (message_id) WHERE kind NOT IN ('Send', 'Delivery');
CREATE TABLE uncertain (
  message_id TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (message_id, address)
) WITHOUT ROWID;
"""

# Needed for counting only: an older relay keeps it too, so that it is no version of its own.
_HELD = "CREATE INDEX IF NOT EXISTS recipient_held ON recipient (message) WHERE state = 2"

_UPGRADES = {  # from the version, to the next
    1: "ALTER TABLE message ADD COLUMN return_path TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE message ADD COLUMN control TEXT NOT NULL DEFAULT '';",
    2: "ALTER TABLE message ADD COLUMN deadline REAL NOT NULL DEFAULT 0;"
    "ALTER TABLE recipient ADD COLUMN told INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE recipient ADD COLUMN account INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE recipient ADD COLUMN rank REAL NOT NULL DEFAULT 0;"
    f"{COPY_TO_RECIPIENTS};"
    "CREATE INDEX recipient_parked ON recipient (domain, account, rank) WHERE state = 3;"
    "CREATE TABLE transcript (message INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,"
    " dialogue TEXT NOT NULL, PRIMARY KEY (message, number)) WITHOUT ROWID;",
    3: "ALTER TABLE message ADD COLUMN identity TEXT NOT NULL DEFAULT '';"
    f"CREATE INDEX event_message ON event (message_id) WHERE {RARE};",
}


def open_writer(folder: Path, page_size: int = 16384) -> sqlite3.Connection:
    """Open a shard's database for the one who writes it, making it if need be.

    The connection may be handed to the commit thread. Raises sqlite3.DatabaseError if the file is damaged or
    from a newer version.
    """
    connection = sqlite3.connect(
        folder / DATABASE, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # the commit thread decides when
        connection.execute("PRAGMA cache_size=-16384")
        connection.execute("PRAGMA temp_store=MEMORY")
        # Debian builds SQLite with secure_delete on, which writes each freed page once more, as zeros: as
        # much log for a message's end as for its beginning. FAST clears only what is written anyway.
        connection.execute("PRAGMA secure_delete=FAST")
        # The log's file keeps its size when the log starts again: cut and grown anew, each of its fsyncs
        # would have to wait for the file system's own journal, and, where it is mounted with ``discard``, for
        # the disk to forget what was cut.
        connection.execute("PRAGMA journal_size_limit=-1")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={VERSION};COMMIT;")
        elif version in _UPGRADES:
            steps = "".join(_UPGRADES[one] for one in range(version, VERSION))
            connection.executescript(f"BEGIN;{steps}PRAGMA user_version={VERSION};COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(
                f"{folder / DATABASE} has version {version}, this relay knows {VERSION}"
            )
        connection.execute(_HELD)
    except BaseException:
        connection.close()
        raise
    return connection


def log_bytes(folder: Path) -> int:
    """How many bytes of the write-ahead log are in use: less than its file has, which is never cut.

    Each frame carries the salt of the log that it was written for, and a log is written from its beginning:
    those in use come first, and a binary search finds where they end (sqlite.org/walformat.html, section 1).
    The index of the log (``-shm``) would say it outright, but whoever closes that file takes SQLite's locks
    on it from the whole process (fcntl(2)); another process then cuts it under our feet. Raises OSError.
    """
    descriptor = os.open(folder / (DATABASE + "-wal"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = os.pread(descriptor, _LOG_HEADER_BYTES, 0)
        if len(header) < _LOG_HEADER_BYTES:
            return 0
        page: int = struct.unpack_from(">I", header, 8)[0]
        frame, salt = page + _FRAME_HEADER_BYTES, header[16:24]
        used, end = 0, (os.fstat(descriptor).st_size - _LOG_HEADER_BYTES) // frame
        while used < end:
            middle = (used + end) // 2
            if os.pread(descriptor, 8, _LOG_HEADER_BYTES + middle * frame + 8) == salt:
                used = middle + 1
            else:
                end = middle
        return used * frame
    finally:
        os.close(descriptor)


def touch(connection: sqlite3.Connection) -> None:
    """Write to the open transaction something that changes nothing: its COMMIT then shows that the disk takes
    writes again. Raises sqlite3.Error."""
    connection.execute(f"PRAGMA user_version={VERSION}")


def open_reader(folder: Path) -> sqlite3.Connection:
    """Open a shard's database to read; it never blocks the writer, nor the writer it."""
    connection = sqlite3.connect(
        f"file:{folder / DATABASE}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10,
    )
    try:
        connection.execute("PRAGMA query_only=1")
        # joins the log now and not at the first question: the log's index, which knows what was committed,
        # lives as long as one connection does (see Committer._renew)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def open_beside(folder: Path) -> sqlite3.Connection:
    """Open a shard's database beside the one who writes it, to move its log; writes no rows."""
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None, timeout=0)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection
