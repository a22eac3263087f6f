"""Content on disk: rows of the shard's database, or files of their own for large messages.

A file is written and fsynced, and its directory fsynced, before the row that names it is committed; so a
row without its file cannot be, and a file without its row is what a crash left of a message that got no
250: recovery removes it. Content proves itself by length and XXH3 (of 100 KB in 6 microseconds, where
zlib's CRC-32 takes 100); what does not is SpoolCorrupt.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import xxhash

from relay.base.errors import SpoolCorrupt

FOLDER = "large"


def checksum(content: bytes) -> int:
    """XXH3 of the content as an integer that SQLite can hold (63 bits)."""
    return xxhash.xxh3_64_intdigest(content) >> 1


def file_of(folder: Path, message_id: str) -> Path:
    """Where a large message's content is."""
    return folder / FOLDER / message_id


def write_files(folder: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write (message id, content) pairs as files and make them durable. Raises OSError."""
    wrote = False
    for message_id, content in contents:
        descriptor = os.open(file_of(folder, message_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        wrote = True
    if wrote:
        sync_folder(folder / FOLDER)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_files(folder: Path, message_ids: Iterable[str]) -> None:
    """Remove large content that no row names any more. Not fsynced: recovery removes what comes back."""
    for message_id in message_ids:
        file_of(folder, message_id).unlink(missing_ok=True)


def read(
    connection: sqlite3.Connection, folder: Path, keys: list[int]
) -> dict[int, bytes | SpoolCorrupt | Path]:
    """The content of small messages as bytes and of large ones as a path, by key; damage as a value, since
    one damaged message must not stop the others of its batch. Keys without a row are left out."""
    marks = ",".join("?" * len(keys))
    rows = connection.execute(
        "SELECT m.key, m.id, m.size, m.checksum, b.content FROM message m LEFT JOIN body b USING (key)"  # noqa: S608
        f" WHERE m.key IN ({marks})",
        keys,
    )
    found: dict[int, bytes | SpoolCorrupt | Path] = {}
    for key, message_id, size, proof, content in rows:
        if content is None:
            found[key] = _check_file(file_of(folder, message_id), size, proof)
        elif not isinstance(content, bytes) or len(content) != size or checksum(content) != proof:
            found[key] = SpoolCorrupt(
                f"content of {message_id} has length {len(content)} and a wrong checksum"
            )
        else:
            found[key] = content
    return found


def _check_file(path: Path, size: int, proof: int) -> SpoolCorrupt | Path:
    """Read the file through once, in bounded memory."""
    try:
        length, total = 0, xxhash.xxh3_64()
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                length += len(chunk)
                total.update(chunk)
    except OSError as error:
        return SpoolCorrupt(f"{path}: {error.strerror}")
    if length != size or total.intdigest() >> 1 != proof:
        return SpoolCorrupt(f"{path}: {length} of {size} bytes, or a wrong checksum")
    return path
