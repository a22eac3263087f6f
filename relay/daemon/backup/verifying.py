"""Is a backup whole? Every file is there, is what it was, and nothing else is; databases are sound.

Contract: ``verify`` returns what is wrong, one line each; nothing means that it can be restored. It reads all
of it. Databases in a tar file are unpacked to check them, one at a time, into TMPDIR. Blocking.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.daemon import stores
from relay.daemon.backup.archive_reader import ArchiveReader
from relay.daemon.backup.manifest import FILE, Entry
from relay.spool import content, copies, schema, shard_copy


def verify(archive: ArchiveReader, *, are_databases_known: bool = False) -> list[str]:
    """What is wrong; ``are_databases_known``: SQLite has looked at them, their sums are enough."""
    manifest = archive.manifest
    faults = [
        f"{name} is not in {FILE}"
        for name in sorted(archive.names() - {FILE, *(one.name for one in manifest.files)})
    ]
    whole = []
    for entry in manifest.files:
        fault = compare(archive, entry)
        if fault:
            faults.append(fault)
        else:
            whole.append(entry)
    if are_databases_known or faults:
        return faults
    names = {*manifest.lacking, *(one.name for one in manifest.files)}
    states: Counter[str] = Counter()
    messages = 0
    for entry in whole:
        if not entry.is_database:
            continue
        with _as_file(archive, entry) as file:
            state = copies.check(file)
            if state != "ok":
                faults.append(f"{entry.name}: {state}")
                continue
            if Path(entry.name).name == schema.DATABASE:
                counted = shard_copy.count(file)
                messages += counted.messages
                states.update(counted.by_state)
                base = f"{Path(entry.name).parent}/{content.FOLDER}"
                missing = [one for one in counted.large if f"{base}/{one}" not in names]
                faults += [f"{base}/{one} is missing" for one in missing]
    if not faults and (messages, states.total()) != (manifest.messages, manifest.recipients):
        faults.append(
            f"there are {messages} messages to {states.total()} recipients, {FILE} says {manifest.messages} "
            f"to {manifest.recipients}"
        )
    return faults


def newer(archive: ArchiveReader) -> list[str]:
    """Which databases have a schema that this version does not know."""
    found = []
    for name, version in archive.manifest.schemas.items():
        known = stores.known_schema(Path(name).name)
        if version > known:
            found.append(f"{name} has schema {version}, this relay knows up to {known}")
    return found


def compare(archive: ArchiveReader, entry: Entry, to: Path | None = None) -> str:
    """What is wrong with a file, "" if nothing; ``to`` gets a copy as it is read. Raises OSError for that."""
    try:
        stream = archive.open(entry.name)
    except (OSError, KeyError):
        return f"{entry.name} is missing"
    with stream:
        digest, size = hashlib.sha256(), 0
        target = None if to is None else to.open("xb")
        try:
            while True:
                try:
                    part = stream.read(1 << 20)
                except (OSError, tarfile.TarError, EOFError) as error:
                    return f"{entry.name} cannot be read: {error}"
                if not part:
                    break
                digest.update(part)
                size += len(part)
                if size > entry.size:  # it may have no end
                    return f"{entry.name} has more than {entry.size} bytes"
                if target is not None:
                    target.write(part)
        finally:
            if target is not None:
                target.close()
    if size != entry.size:
        return f"{entry.name} has {size} bytes, not {entry.size}"
    return (
        "" if digest.hexdigest() == entry.sha256 else f"{entry.name} is not what it was: its SHA-256 differs"
    )


@contextmanager
def _as_file(archive: ArchiveReader, entry: Entry) -> Iterator[Path]:
    place = archive.place_of(entry.name)
    if place is not None:
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="relay-verify-") as folder:
        file = Path(folder) / "copy.db"
        with archive.open(entry.name) as stream, file.open("xb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
        yield file
