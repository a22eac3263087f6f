"""The databases that a relay keeps, and which schema of each this version knows.

One list for what must look at all of them: the start (is one of them newer than we are, or older?), backup
and restore. Each store still belongs to its own module, which makes its tables and migrates them.

A schema of 0 is a file whose tables carry no number so far: whoever changes them begins with 1, and a relay
that knows only 0 then refuses the file.

Pure but for looking which shards there are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from relay.daemon.settings.config import Config
from relay.directory.database import HEAD, file_of
from relay.spool import positions, schema, statistics
from relay.spool.recover import shard_folder, shards_in
from relay.transport import tls_records

LIMITS, LIMITS_SCHEMA = "limits.db", 1
NOTIFICATIONS, NOTIFICATIONS_SCHEMA = "notifications.db", 1
DIRECTORY = "directory.db"

BOOKS = {
    NOTIFICATIONS: NOTIFICATIONS_SCHEMA,
    statistics.FILE: 0,
    positions.FILE: 0,
    tls_records.FILE: 0,
}
"""What is made of the shards' events, or can be done without."""


class Store(NamedTuple):
    """A database: where it is, the newest schema of it that we know, and the setting that places it."""

    file: Path
    known: int
    setting: str


def shard_stores(spool: Path) -> list[Store]:
    """The shards of a spool."""
    return [
        Store(shard_folder(spool, number) / schema.DATABASE, schema.VERSION, "[spool] path")
        for number in shards_in(spool)
    ]


def stores_of(config: Config) -> list[Store]:
    """All that may be there; the directory only where it is a file."""
    spool = config.spool.path
    found = shard_stores(spool)
    found += [Store(spool / name, known, "[spool] path") for name, known in BOOKS.items()]
    found.append(Store(spool / LIMITS, LIMITS_SCHEMA, "[spool] path"))
    directory = file_of(config.directory.url)
    if directory is not None:
        found.append(Store(directory, int(HEAD), "[directory] url"))
    return found


def known_schema(name: str) -> int:
    """The newest schema that we know of a database of that name; of others any, since nobody here asks."""
    if name == schema.DATABASE:
        return schema.VERSION
    if name == DIRECTORY:
        return int(HEAD)
    return {LIMITS: LIMITS_SCHEMA, **BOOKS}.get(name, sys.maxsize)
