"""The manifest of a backup: what is in it, when and of what it was made, and how to know that it is whole.

Words and their codec; no I/O. It is JSON under the name ``manifest.json``, and written last: what has none is
no backup. Each file has its size and SHA-256, the path that it had, its mode and whom it belonged to.

A reader of an older format is kept for as long as there may be backups in it; of a newer one ``parse`` says
that a newer relay made it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from relay.base.errors import BackupError
from relay.spool import aside

FILE = "manifest.json"
FORMAT = 1
SPOOL, DIRECTORY, CONFIGURATION = "spool", "directory", "configuration"
PARTS = (SPOOL, DIRECTORY, CONFIGURATION)
_MODE = 0o777  # no file of a relay runs as another user


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its name in the backup begins with its part."""

    name: str
    path: str  # where it was
    size: int
    sha256: str
    mode: int
    user: str
    group: str

    @property
    def part(self) -> str:
        """To which part of the backup it belongs."""
        return self.name.partition("/")[0]

    @property
    def is_database(self) -> bool:
        """SQLite can check it, and finds it sound; what was set aside is there because it is not."""
        return self.name.endswith(".db") and aside.FOLDER not in PurePosixPath(self.name).parts


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a restore makes where it is missing."""

    path: str
    mode: int
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """See the module."""

    relay: str  # version
    host: str
    began_at: float
    ended_at: float
    configuration: Folder
    spool: Folder
    directory: Folder | None  # None: on a server, and not in the backup
    has_keys: bool
    schemas: dict[str, int]  # by name of the database
    messages: int
    recipients: int
    by_state: dict[str, int]
    finished_meanwhile: int
    notes: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)  # contents that were lost before: names of no file
    files: list[Entry] = field(default_factory=list)
    format: int = FORMAT

    def text(self) -> bytes:
        """As it is written."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"


def parse(text: bytes) -> Manifest:
    """Read one. Raises BackupError."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] > FORMAT:
            raise BackupError(
                f"made by relay {found['relay']} in a format that this one does not know; restore it "
                "with that version"
            )
        files = [Entry(**{**one, "mode": one["mode"] & _MODE}) for one in found.pop("files")]
        folders: dict[str, Folder | None] = {
            name: None if found[name] is None else Folder(**found.pop(name)) for name in PARTS
        }
        manifest = Manifest(**{**found, **folders, "files": files})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{FILE} cannot be read: {type(error).__name__} {error}") from error
    for one in files:
        _check_name(one.name)
        _check_path(one.path)
    for folder in folders.values():
        if folder is not None:
            _check_path(folder.path)
    if len({one.name for one in files}) != len(files):
        raise BackupError(f"{FILE} names a file twice")
    return manifest


def _check_name(name: str) -> None:
    """A name leads nowhere but into its part."""
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or parts[0] not in PARTS or ".." in parts or str(PurePosixPath(name)) != name:
        raise BackupError(f"{FILE} names {name!r}, which is no file of a backup")


def _check_path(path: str) -> None:
    """Where it was: a place that is what it looks like."""
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise BackupError(f"{FILE} has the path {path!r}, which no backup has")
