"""Putting a backup back.

Contract: ``restore`` changes nothing before it has read the whole backup and found it sound. It refuses while
a relay runs on the spool, and where something is in the way that differs; with ``force`` that is moved aside,
never deleted: files as ``NAME.before-DATE``, a spool into ``before-DATE`` within its folder (which may be a
mount point, and stays where it is).

Order: lock the spool, as a relay would; write everything beside its place (the spool into ``restoring``,
files as ``NAME.restoring``), each compared with its sum; check the databases, hold the recipients; then move
by renames: files first, the spool last. Killed before the renames, nothing has changed but for what is named
``restoring``; killed between them, ``restoring`` is still in the spool, a relay refuses to start on it
(``relay.daemon.upgrades``), and the same command with ``--force`` does all of it again.

What was delivered after the backup was made waits in it, and would go out again: hence recipients are held
unless the caller says otherwise. What came in after it is not in it. Usage of limits since is not counted.

Blocking. Raises BackupError.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from relay.base.errors import BackupError, RelayError
from relay.daemon import upgrades
from relay.daemon.backup import owners, verifying
from relay.daemon.backup.archive_reader import ArchiveReader
from relay.daemon.backup.manifest import SPOOL, Entry, Folder, Manifest
from relay.daemon.backup.places import Places, is_there
from relay.spool import content, copies, recover, schema, shard_copy

ASIDE = "before-"
_STAYS = frozenset(("lock", "lost+found", upgrades.RESTORING))
_LOGS = ("-wal", "-shm")


@dataclass(slots=True)
class Restored:
    """What was done."""

    spool: str
    held: int = 0
    held_before: int = 0
    files: int = 0
    as_they_were: int = 0
    aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def restore(
    archive: ArchiveReader, places: Places, parts: frozenset[str], now: float, *, hold: bool, force: bool
) -> Restored:
    """Put these parts of a backup back. Raises BackupError, and then nothing has changed."""
    manifest = archive.manifest
    if newer := verifying.newer(archive):
        raise BackupError(
            f"made by relay {manifest.relay}: {newer[0]}; restore it with that version, or a later one"
        )
    with _explained(), ExitStack() as stack:
        work = _Restore(archive, manifest, places, parts, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)))
        work.choose(force=force)
        work.make_folders()
        stack.enter_context(_owned(places.spool, manifest.spool, work.has_spool))
        if work.is_for_the_old_spool:
            stack.enter_context(_owned(Path(manifest.spool.path), manifest.spool, False))
        stack.callback(work.clean)
        work.stage(now, hold=hold)
        work.put()
        return work.done


class _Restore:
    """One restore on its way."""

    def __init__(
        self, archive: ArchiveReader, manifest: Manifest, places: Places, parts: frozenset[str], stamp: str
    ) -> None:
        self._archive, self._manifest, self._places = archive, manifest, places
        self._stamp = stamp
        self._entries = [(one, places.of_entry(one)) for one in manifest.files if one.part in parts]
        self._folders = [
            pair for pair, part in zip(places.folders(manifest), _FOLDER_PARTS, strict=False) if part in parts
        ]
        self._files: list[tuple[Entry, Path]] = []
        self._restoring = places.spool / upgrades.RESTORING
        self._is_moving = False
        self.has_spool = SPOOL in parts
        self.done = Restored(str(places.spool), held_before=manifest.by_state.get("held", 0))

    def choose(self, *, force: bool) -> None:
        """What is there already, and as it was, stays; what differs is in the way."""
        in_the_way = []
        for entry, place in self._entries:
            if entry.part == SPOOL:
                continue
            if is_there(place):
                if place.is_file() and copies.digest(place) == entry.sha256 and not _has_log(place):
                    self.done.as_they_were += 1
                    continue
                in_the_way.append(place)
            self._files.append((entry, place))
        if self.has_spool:
            in_the_way += [one for one in _spool_entries(self._places.spool) if _is_mail(one)][:1]
        if in_the_way and not force:
            more = f" and {len(in_the_way) - 1} more" if len(in_the_way) > 1 else ""
            raise BackupError(
                f"{in_the_way[0]}{more} would be replaced; --force moves aside what is there and deletes "
                "nothing, --only restores a part, --to-spool, --to-directory, --to-configuration name others"
            )

    @property
    def is_for_the_old_spool(self) -> bool:
        """The spool goes elsewhere, and yet files change that a relay on its old place may have in use."""
        old = Path(self._manifest.spool.path)
        return self._places.spool != old and any(str(place) == one.path for one, place in self._files)

    def make_folders(self) -> None:
        """Those that are missing, as they were; empty so far."""
        for place, folder in self._folders:
            _make_folder(place, folder)

    def stage(self, now: float, *, hold: bool) -> None:
        """Write everything beside its place, and look at it."""
        self._check_room()
        for entry, place in self._files:
            _make_folder(place.parent, self._manifest.configuration)
            self._write(entry, _beside(place))
        if not self.has_spool:
            return
        if self._restoring.exists():  # what an earlier restore had written when it was cut off
            shutil.rmtree(self._restoring)
        _make_folder(self._restoring, self._manifest.spool, 0o700)
        for entry, place in self._entries:
            if entry.part == SPOOL:
                staged = self._restoring / place.relative_to(self._places.spool)
                self._make_parents(staged.parent)
                self._write(entry, staged)
        for number in recover.shards_in(self._restoring):
            shard = recover.shard_folder(self._restoring, number)
            self._make_parents(shard / content.FOLDER)
            counted = shard_copy.count(shard / schema.DATABASE)
            known = {Path(one).name for one in self._manifest.lacking}
            missing = [
                one for one in counted.large if one not in known and not content.file_of(shard, one).exists()
            ]
            if missing:
                raise BackupError(f"the backup is damaged: {missing[0]} of {shard.name} has no content")
            self.done.held += shard_copy.put_back(shard, now, hold=hold)
            copies.sync(shard / schema.DATABASE)
        for walked, _, _ in os.walk(self._restoring, topdown=False):
            content.sync_folder(Path(walked))

    def _write(self, entry: Entry, to: Path) -> None:
        to.unlink(missing_ok=True)
        fault = verifying.compare(self._archive, entry, to)
        if not fault and entry.is_database and (state := copies.check(to)) != "ok":
            fault = f"{entry.name}: {state}"
        if fault:
            raise BackupError(f"the backup is damaged, and nothing was changed: {fault}")
        owners.give(to, entry.user, entry.group, entry.mode)
        copies.sync(to)

    def _make_parents(self, folder: Path) -> None:
        """Folders within the spool are for its owner alone."""
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for one in reversed(missing):
            one.mkdir(mode=0o700)
            owners.give(one, self._manifest.spool.user, self._manifest.spool.group, 0o700)

    def _check_room(self) -> None:
        needed: dict[int, int] = {}
        where: dict[int, Path] = {}
        for entry, place in self._entries:
            folder = place.parent
            while not folder.exists():
                folder = folder.parent
            device = folder.stat().st_dev
            needed[device] = needed.get(device, 0) + entry.size
            where.setdefault(device, folder)
        for device, size in needed.items():
            room = shutil.disk_usage(where[device]).free
            if room < size:
                raise BackupError(
                    f"{where[device]} has {room / 1e6:.0f} MB free, the restore needs {size / 1e6:.0f} MB; "
                    "make room"
                )

    def put(self) -> None:
        """Move by renames: what was there aside, what was written into its place."""
        self._is_moving = True
        for _, place in self._files:
            for suffix in ("", *_LOGS):
                old = place.with_name(place.name + suffix)
                if is_there(old):
                    self._move_aside(old, place.with_name(f"{place.name}.{ASIDE}{self._stamp}{suffix}"))
            _beside(place).rename(place)
            content.sync_folder(place.parent)
        self.done.files = len(self._files)
        if not self.has_spool:
            return
        spool = self._places.spool
        aside = spool / f"{ASIDE}{self._stamp}"
        old_ones = list(_spool_entries(spool))
        if old_ones:
            aside = _unused(aside)
            _make_folder(aside, self._manifest.spool, 0o700)
            for one in old_ones:
                one.rename(aside / one.name)
            self.done.aside.append(str(aside))
            content.sync_folder(spool)
        for one in list(self._restoring.iterdir()):
            one.rename(spool / one.name)
        content.sync_folder(spool)
        self._restoring.rmdir()
        content.sync_folder(spool)

    def _move_aside(self, old: Path, to: Path) -> None:
        to = _unused(to)
        old.rename(to)
        self.done.aside.append(str(to))

    def clean(self) -> None:
        """Remove what was written beside; once things are being moved, it stays for the next try."""
        for _, place in self._files:
            _beside(place).unlink(missing_ok=True)
        if self.has_spool and not self._is_moving:
            shutil.rmtree(self._restoring, ignore_errors=True)


_FOLDER_PARTS = ("configuration", "spool", "directory")


@contextmanager
def _owned(spool: Path, folder: Folder, is_restored: bool) -> Iterator[None]:
    """The locks of the spool and of its shards: no relay runs, and none starts meanwhile."""
    if not is_restored and not spool.exists():
        yield
        return
    with ExitStack() as stack:
        _make_folder(spool, folder)
        file = spool / "lock"
        is_new = not file.exists()
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, descriptor)
        if is_new:
            owners.give(file, folder.user, folder.group, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for number in recover.shards_in(spool):
                stack.callback(os.close, recover.lock(recover.shard_folder(spool, number)))
        except (BlockingIOError, RelayError):
            other = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise BackupError(f"a relay runs on {spool} (pid {other}); stop it first") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield


def _spool_entries(spool: Path) -> Iterable[Path]:
    """What is in a spool's folder, but for what a restore leaves in it."""
    if not spool.is_dir():
        return []
    return [
        one for one in sorted(spool.iterdir()) if one.name not in _STAYS and not one.name.startswith(ASIDE)
    ]


def _is_mail(one: Path) -> bool:
    """It makes a folder a spool."""
    return one.name.startswith("shard-") or one.suffix == ".db"


def _has_log(place: Path) -> bool:
    log_file = place.with_name(place.name + "-wal")
    return log_file.exists() and log_file.stat().st_size > 0


def _beside(place: Path) -> Path:
    return place.with_name(place.name + ".restoring")


def _unused(path: Path) -> Path:
    number, found = 0, path
    while is_there(found):
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _make_folder(path: Path, like: Folder, mode: int | None = None) -> None:
    if path.exists():
        return
    for parent in reversed([one for one in path.parents if not one.exists()]):
        parent.mkdir()
        parent.chmod(0o755)  # whatever the umask is: the relay's user has to pass
    path.mkdir(mode=0o700)
    owners.give(path, like.user, like.group, like.mode if mode is None else mode)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RelayError:
        raise
    except PermissionError as error:
        raise BackupError(f"{error.filename}: {error.strerror}; restore as root") from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"not restored: {error}") from error
