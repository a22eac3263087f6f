"""Reading a backup: a folder or a tar file, by the names in its manifest.

Contract: ``opened(path)`` is a context with the manifest and the files. Raises BackupError for what is no
backup: a manifest is written last, so what has none was cut off. Names come from the manifest, which has
checked them; nothing is ever unpacked to where a tar file says. Blocking.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from relay.base.errors import BackupError
from relay.daemon.backup.manifest import FILE, Manifest, parse


class ArchiveReader(Protocol):
    """An opened backup."""

    manifest: Manifest

    def names(self) -> set[str]:
        """Of all files that are there, the manifest's own included."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file, to read. Raises OSError or KeyError."""
        ...

    def place_of(self, name: str) -> Path | None:
        """Where the file is as one of its own; None if it is within a tar file."""
        ...


class FolderReader:
    """A backup in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.manifest = parse((path / FILE).read_bytes())
        except FileNotFoundError:
            raise BackupError(f"{path} is no backup: it has no {FILE}{_hint(path)}") from None

    def names(self) -> set[str]:
        return {str(one.relative_to(self._path)) for one in self._path.rglob("*") if not one.is_dir()}

    def open(self, name: str) -> BinaryIO:
        return (self._path / name).open("rb")

    def place_of(self, name: str) -> Path | None:
        return self._path / name


class TarReader:
    """A backup in a tar file, not compressed."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._tar = tar
        try:
            self._members = {one.name: one for one in tar.getmembers()}
            text = self.open(FILE).read()
        except (KeyError, tarfile.TarError, EOFError):
            raise BackupError(f"{path} is no backup, or was cut off: it has no {FILE}{_hint(path)}") from None
        self.manifest = parse(text)

    def names(self) -> set[str]:
        return set(self._members)

    def open(self, name: str) -> BinaryIO:
        stream = self._tar.extractfile(self._members[name])
        if stream is None:
            raise KeyError(name)
        return stream  # type: ignore[return-value]  # reads as one does

    def place_of(self, name: str) -> Path | None:
        return None


@contextmanager
def opened(path: Path) -> Iterator[ArchiveReader]:
    """Open a backup. Raises BackupError."""
    try:
        if path.is_dir():
            yield FolderReader(path)
            return
        with tarfile.open(path, "r:") as tar:
            yield TarReader(path, tar)
    except FileNotFoundError as error:
        raise BackupError(
            f"{error.filename}: no such file; name a backup that `relay backup` made"
        ) from error
    except tarfile.TarError as error:
        raise BackupError(f"{path} is no backup: {error}; a compressed one must be unpacked first") from error
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror or error}") from error


def _hint(path: Path) -> str:
    return (
        "; one that was not finished"
        if path.name.endswith(".part") or path.parent.name.endswith(".part")
        else ""
    )
