"""Databases as older versions of the relay left them, with mail or accounts in them.

``shard`` writes a shard of schema 1, 2 or 3, as its own tables were; ``directory`` a directory of an older
revision, made by the migrations up to it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import alembic.command
import alembic.config
import sqlalchemy

from relay.directory import database

MESSAGES = 3
_ID = "0000019a8c3b1f20-5b1c3a52-0c5f-4d0e-9d59-5a2f8e1c7a{:02x}-000001"

_SHARD_1 = """
CREATE TABLE message (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL, account INTEGER NOT NULL, sender TEXT NOT NULL,
  size INTEGER NOT NULL, checksum INTEGER NOT NULL, arrived REAL NOT NULL, expires REAL NOT NULL,
  flags INTEGER NOT NULL, ret TEXT NOT NULL, envid TEXT NOT NULL
);
CREATE INDEX message_id ON message (id);
CREATE TABLE body (key INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE recipient (
  message INTEGER NOT NULL, number INTEGER NOT NULL, address TEXT NOT NULL, domain TEXT NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL, notify TEXT NOT NULL,
  orcpt TEXT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (due) WHERE state = 1;
CREATE TABLE event (
  offset INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, message_id TEXT NOT NULL,
  account INTEGER NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE uncertain (
  message_id TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (message_id, address)
) WITHOUT ROWID;
"""
_SHARD_2 = """
ALTER TABLE message ADD COLUMN return_path TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN control TEXT NOT NULL DEFAULT '';
"""
_SHARD_3 = """
ALTER TABLE message ADD COLUMN deadline REAL NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN account INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN rank REAL NOT NULL DEFAULT 0;
CREATE INDEX recipient_parked ON recipient (domain, account, rank) WHERE state = 3;
CREATE TABLE transcript (
  message INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, dialogue TEXT NOT NULL,
  PRIMARY KEY (message, number)
) WITHOUT ROWID;
"""
CONTENT = b"Subject: old\r\n\r\nwaits for long\r\n"


def shard(file: Path, version: int, now: float = 1_800_000_000.0) -> list[str]:
    """Make it, closed in good order; the ids of its messages, which wait."""
    from relay.spool.content import checksum

    ids = [_ID.format(number) for number in range(MESSAGES)]
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size=16384")
        connection.execute("PRAGMA journal_mode=WAL")
        for text in (_SHARD_1, _SHARD_2, _SHARD_3)[:version]:
            connection.executescript(text)
        for key, message_id in enumerate(ids, 1):
            connection.execute(
                "INSERT INTO message (key, id, account, sender, size, checksum, arrived, expires, flags, ret,"
                " envid) VALUES (?, ?, 1, 'a@example.com', ?, ?, ?, ?, 0, '', '')",
                (key, message_id, len(CONTENT), checksum(CONTENT), now, now + 1e6),
            )
            connection.execute("INSERT INTO body VALUES (?, ?)", (key, CONTENT))
            connection.execute(
                "INSERT INTO recipient (message, number, address, domain, state, attempts, due, notify,"
                " orcpt, reply) VALUES (?, 0, 'b@example.org', 'example.org', 1, 1, ?, '', '', '450 later')",
                (key, now),
            )
            connection.execute(
                "INSERT INTO event (at, kind, message_id, account, detail) VALUES (?, 'Send', ?, 1, '{}')",
                (now, message_id),
            )
        connection.execute(f"PRAGMA user_version={version}")
    return ids


def directory(file: Path, revision: str) -> None:
    """Make one of that revision, with an account, and close it."""
    scripts = alembic.config.Config()
    scripts.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = sqlalchemy.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        scripts.attributes["connection"] = connection
        alembic.command.upgrade(scripts, revision)
    engine.dispose()
