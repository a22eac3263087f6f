"""Where a backup is written: a folder, or a tar file. Until it is complete it has another name.

Contract: everything is made in ``TARGET.part``, a folder for its owner alone; ``finish`` makes all of it
durable and gives it its name by a rename. Whatever ends the process before leaves ``TARGET.part`` at most,
which the next backup to the same target removes; two at once are told apart by a lock on that folder.

``stage`` names a place to write a database at, ``keep`` takes it in; ``add`` takes in a file as it is. In a
folder a large message is a hard link where the file system allows it, since such a file never changes: that
costs no room, but protects from no damage of the disk, from which no backup on that disk does.

Blocking. Raises OSError; ``add`` raises FileNotFoundError if the file is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from typing import BinaryIO

from relay.base import credential
from relay.base.errors import BackupError
from relay.daemon.backup.manifest import FILE, Entry, Manifest
from relay.daemon.backup.owners import owner_names, whereabouts
from relay.spool import content, copies

_STEP_BYTES = 1 << 20


class ArchiveWriter:
    """See above. A context: leaving it removes what is not finished."""

    def __init__(self, target: Path, pace: copies.Pace | None = None) -> None:
        self.target = target
        self.is_tar = target.name.endswith(".tar")
        self.files: list[Entry] = []
        self.finished = False
        self._part = target.with_name(target.name + ".part")
        self._pace = pace
        self._lock = -1
        self._tar: tarfile.TarFile | None = None
        self._stream: BinaryIO | None = None

    def __enter__(self) -> ArchiveWriter:
        """Raises BackupError if the target is there, or another backup is at work."""
        if os.path.lexists(self.target):
            raise BackupError(f"{self.target} exists; give each backup a name of its own, e.g. with the date")
        self._part.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(self._part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise BackupError(f"{self._part} is in use: another backup to {self.target} runs") from None
        try:
            self._part.chmod(0o700)
            self._empty()
            self._tree.mkdir(mode=0o700)
            if self.is_tar:
                self._stream = open(self._tar_file, "xb")
                os.fchmod(self._stream.fileno(), 0o600)
                self._tar = tarfile.open(fileobj=self._stream, mode="w", format=tarfile.PAX_FORMAT)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.close()
            if not self.finished:
                shutil.rmtree(self._part, ignore_errors=True)
        os.close(self._lock)

    @property
    def _tree(self) -> Path:
        return self._part / "tree"

    @property
    def _tar_file(self) -> Path:
        return self._part / "tar"

    def _empty(self) -> None:
        for one in self._part.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()

    def stage(self, name: str) -> Path:
        """Where to write a file that ``keep`` then takes in."""
        place = self._tree / name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    def keep(self, name: str, source: Path) -> None:
        """Take in what was staged; mode and owner are those of ``source``, of which it is a copy."""
        staged = self._tree / name
        if self._tar is None:
            self._note(name, source, source.stat(), staged.stat().st_size, copies.digest(staged))
            return
        self._into_tar(name, staged, source, source.stat())
        staged.unlink()

    def add(self, name: str, source: Path, *, may_link: bool = False) -> None:
        """Take in a file as it is; ``may_link`` if its content never changes."""
        if self._tar is not None:
            self._into_tar(name, source, source, None)
            return
        state = source.stat()
        place = self.stage(name)
        if not (may_link and _link(source, place)):
            copies.copy_file(source, place, self._pace)
        self._note(name, source, state, place.stat().st_size, copies.digest(place))

    def _note(self, name: str, source: Path, state: os.stat_result, size: int, sha256: str) -> None:
        user, group = owner_names(state)
        bits = 0o700 if credential.is_credential(source) else 0o777  # its group is an access list in disguise
        self.files.append(
            Entry(name, str(whereabouts(source)), size, sha256, state.st_mode & bits, user, group)
        )

    def _into_tar(self, name: str, file: Path, source: Path, state: os.stat_result | None) -> None:
        assert self._tar is not None
        with file.open("rb") as opened:
            own = os.fstat(opened.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = own.st_size, 0o600, int(own.st_mtime)
            stream = _Measured(opened, self._pace, self._stream)
            self._tar.addfile(info, stream)  # type: ignore[arg-type]  # it reads, no more
            self._note(name, source, state or own, own.st_size, stream.digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, make everything durable, and give it its name."""
        text = manifest.text()
        if self._tar is not None and self._stream is not None:
            info = tarfile.TarInfo(FILE)
            info.size, info.mode, info.mtime = len(text), 0o600, int(manifest.ended_at)
            staged = self._tree / FILE
            staged.write_bytes(text)
            with staged.open("rb") as stream:
                self._tar.addfile(info, stream)
            self._tar.close()
            self._stream.close()
            made = self._tar_file
            copies.sync(made)
        else:
            (self._tree / FILE).write_bytes(text)
            (self._tree / FILE).chmod(0o600)
            made = self._tree
            copies.sync(made / FILE)
            for folder, _, _ in os.walk(made, topdown=False):
                content.sync_folder(Path(folder))

    def unnamed(self) -> Path:
        """What ``finish`` has written, to be looked at before ``name`` gives it its name."""
        return self._tar_file if self.is_tar else self._tree

    def name(self) -> None:
        """It is what its name says from here on."""
        os.rename(self.unnamed(), self.target)
        content.sync_folder(self.target.parent)
        self.finished = True
        shutil.rmtree(self._part, ignore_errors=True)


class _Measured:
    """A file that is read once: its digest, at a pace."""

    def __init__(self, stream: BinaryIO, pace: copies.Pace | None, written: BinaryIO | None) -> None:
        self.digest = hashlib.sha256()
        self._stream, self._pace, self._written = stream, pace, written
        self._since = 0

    def read(self, size: int) -> bytes:
        part = self._stream.read(size)
        self.digest.update(part)
        self._since += len(part)
        if self._pace is not None and self._written is not None and self._since >= _STEP_BYTES:
            self._since = 0
            self._pace.step(self._written.fileno())
        return part


def _link(source: Path, place: Path) -> bool:
    try:
        os.link(source, place)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links, or not ours to link
        return False
    return True
