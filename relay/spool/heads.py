"""The header of a message that waits, read beside the worker that owns its shard.

Contract: ``head`` returns the first ``HEAD_BYTES`` of the content as it will leave, signatures included; None
where the message has left meanwhile. Read-only. Raises SpoolError if the shard, or a file, cannot be read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from relay.base.errors import SpoolError
from relay.base.message import Message
from relay.spool import schema
from relay.spool.content import file_of
from relay.spool.recover import shard_folder

HEAD_BYTES = 65_536


def head(path: Path, message: Message) -> bytes | None:
    """The beginning of the content of a message, as ``views.show`` gave it."""
    folder = shard_folder(path, message.shard)
    try:
        with closing(schema.open_reader(folder)) as connection:
            sql = "SELECT substr(content, 1, ?) FROM body WHERE key = ?"
            row = connection.execute(sql, (HEAD_BYTES, message.key)).fetchone()
        if row is not None:
            return bytes(row[0])
        with file_of(folder, message.id).open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except FileNotFoundError:
        return None
    except (sqlite3.Error, OSError) as error:
        raise SpoolError(f"cannot read the content of {message.id}: {error}") from error
