"""Before a relay touches its databases: none may be newer than it, and of older ones it keeps a copy.

Contract, for ``prepare`` of the supervisor, which holds the lock of the spool:

newer     a ConfigError (exit status 78) that names each such file, its schema and ours, the version that ran
          here last, and the copies that are there. Nothing is written.
older     a copy beside it, ``NAME.schema-N.DATE.bak``, before anyone migrates it. No room for the copies, or
          a worker of a relay that was killed still at work in the shard: a StartError (75).

A copy is written under another name and renamed when it is on the disk, so that what has the name is whole.
The migration follows when the store is opened, in a transaction of its own: a crash leaves the old schema or
the new one. A crash between copy and migration makes no second copy, as long as nothing was written since:
a copy has the time of what it is a copy of.

Copies are never removed here: an administrator does, once the new version has proved itself.

The version that runs is noted in ``last-run-by`` in the spool, for the text of an older one.

Blocking. A start at which nothing is to be done opens each database once to ask for its schema.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import relay
from relay.base.errors import ConfigError, SpoolError, StartError
from relay.daemon import systemd
from relay.daemon.settings.config import Config
from relay.daemon.stores import Store, stores_of
from relay.directory.database import HEAD
from relay.spool import content, copies, recover, schema

log = logging.getLogger(__name__)

LAST_RUN_BY = "last-run-by"
RESTORING = "restoring"
_COPY = re.compile(r".+\.schema-(\d+)\.(\d{8}T\d{6}Z)(-\d+)?\.bak")
_STAMP = "%Y%m%dT%H%M%SZ"
_SLOW_BYTES_A_S = 10e6  # a disk that is slower than that may fail the start


def check(config: Config, now: float) -> list[Path]:
    """See above; returns the copies that were made. Raises ConfigError or StartError."""
    spool = config.spool.path
    if (spool / RESTORING).exists():
        raise ConfigError(
            f"[spool] path: {spool / RESTORING}: a restore was cut off here: run `relay restore` "
            "again, with --force, or, if the spool is to stay as it is, remove that folder"
        )
    stores = [(store, copies.schema_of(store.file)) for store in stores_of(config)]
    _refuse_newer(spool, stores)
    older = [(store, found) for store, found in stores if found and found < store.known]
    return _keep(older, config.spool.disk_reserve, now)


def check_directory(file: Path, now: float) -> list[Path]:
    """The same for a directory alone, which `relay init` may find. Raises ConfigError or StartError."""
    store, found = Store(file, int(HEAD), "[directory] url"), copies.schema_of(file)
    _refuse_newer(file.parent, [(store, found)])
    return _keep([(store, found)] if found and found < store.known else [], 0, now)


def note_version(spool: Path) -> None:
    """From here on what is in the spool is this version's."""
    file = spool / LAST_RUN_BY
    text = f"{relay.__version__}\n"
    try:
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    except OSError as error:
        log.warning("cannot note which version runs", extra={"file": str(file), "why": str(error)})


def copies_of(file: Path) -> list[tuple[int, Path]]:
    """The copies that were kept of a database: (schema, file), newest last."""
    found = [
        (match, one)
        for one in file.parent.glob(f"{file.name}.schema-*.bak")
        if (match := _COPY.fullmatch(one.name))
    ]
    return [(int(match[1]), one) for match, one in sorted(found, key=lambda pair: pair[1].stat().st_mtime_ns)]


def all_copies(config: Config) -> list[Path]:
    """Every copy that upgrades have left, of all stores."""
    return [copy for store in stores_of(config) for _, copy in copies_of(store.file)]


def aged_copies(config: Config, before: float) -> list[Path]:
    """Copies that were made before then, oldest first; by name: they have the times of the originals."""
    limit = time.strftime(_STAMP, time.gmtime(before))
    found = [(match[2], one) for one in all_copies(config) if (match := _COPY.fullmatch(one.name))]
    return [one for stamp, one in sorted(found) if stamp < limit]


def _refuse_newer(spool: Path, stores: Sequence[tuple[Store, int | None]]) -> None:
    newer = [(store, found) for store, found in stores if found is not None and found > store.known]
    if not newer:
        return
    try:
        last = (spool / LAST_RUN_BY).read_text().strip()
    except OSError:
        last = ""
    install = (
        f"install relay {last} again" if last and last != relay.__version__ else "install that version again"
    )
    lines = []
    for store, found in newer:
        schema_text = "a schema" if found == copies.UNREADABLE else f"schema {found}"
        line = (
            f"{store.setting}: {store.file} has {schema_text}, this relay {relay.__version__} knows up to "
            f"{store.known}: a newer version wrote it; {install}"
        )
        kept = [copy for number, copy in copies_of(store.file) if number <= store.known]
        if kept:
            line += (
                f"; or put back the copy that it kept, {kept[-1]}: first move {store.file.name}, -wal and "
                "-shm aside; what came in since is not in it, and what was delivered since would go out again"
            )
        lines.append(line)
    raise ConfigError("\n".join(lines))


def _keep(older: Sequence[tuple[Store, int]], reserve: int, now: float) -> list[Path]:
    kept = []
    with ExitStack() as stack:
        for store, _ in older:
            if store.file.name == schema.DATABASE:
                try:
                    stack.callback(os.close, recover.lock(store.file.parent))
                except SpoolError as error:
                    raise StartError(f"{store.setting}: {error}") from error
        try:
            for store, _ in older:
                copies.empty_log(store.file)
            needed = [one for one in older if not _is_kept(one[0].file, one[1])]
            _check_room([store.file for store, _ in needed], reserve)
            for store, found in needed:
                systemd.extend(60 + store.file.stat().st_size / _SLOW_BYTES_A_S)
                kept.append(_copy(store.file, found, now))
                log.warning(
                    "the tables of a new version; a copy of the old ones is kept",
                    extra={"file": str(store.file), "had": found, "gets": store.known, "copy": str(kept[-1])},
                )
        except (OSError, sqlite3.Error) as error:
            raise StartError(
                f"a copy before the upgrade cannot be made: {error}; nothing was changed"
            ) from error
    return kept


def _is_kept(file: Path, version: int) -> bool:
    moment = _moment(file)
    return any(number == version and one.stat().st_mtime_ns == moment for number, one in copies_of(file))


def _moment(file: Path) -> int:
    """When the database was last written to."""
    log_file = file.with_name(file.name + "-wal")
    times = [file.stat().st_mtime_ns]
    if log_file.exists() and log_file.stat().st_size:
        times.append(log_file.stat().st_mtime_ns)
    return max(times)


def _check_room(files: Sequence[Path], reserve: int) -> None:
    """For the copies, and what the spool keeps free in any case: else the relay would then take no mail."""
    needed: dict[int, int] = {}
    where: dict[int, Path] = {}
    for file in files:
        device = file.stat().st_dev
        needed[device] = needed.get(device, 0) + file.stat().st_size
        where[device] = file.parent
    for device, size in needed.items():
        room = shutil.disk_usage(where[device]).free
        if room < size + reserve:
            raise StartError(
                f"{where[device]}: the upgrade keeps a copy of {size / 1e6:.0f} MB and leaves [spool] "
                f"disk_reserve ({reserve / 1e6:.0f} MB) free, but there are {room / 1e6:.0f} MB: make room "
                "(older *.bak copies may go) or enlarge the disk, and start again; nothing was changed"
            )


def _copy(file: Path, version: int, now: float) -> Path:
    stamp = time.strftime(_STAMP, time.gmtime(now))
    name = f"{file.name}.schema-{version}.{stamp}"
    target, number = file.with_name(f"{name}.bak"), 0
    while target.exists():
        number += 1
        target = file.with_name(f"{name}-{number}.bak")
    part = file.with_name(f"{file.name}.copying")
    part.unlink(missing_ok=True)
    moment = _moment(file)
    try:
        copies.copy_database(file, part)
        os.utime(part, ns=(moment, moment))
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    content.sync_folder(file.parent)
    return target
