"""Where the files of a backup go: to where they were, or to where the administrator says.

Decisions only, but for asking what is there. A configuration that goes to another folder takes along what was
below its old one, spool and directory included: its settings name them relative to it, or it could not have
been moved. What systemd had handed in (``relay.base.credential``) goes into a folder of the configuration's:
where it was read is systemd's, and where systemd has it from, a backup does not know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from relay.base import credential
from relay.daemon.backup.manifest import CONFIGURATION, DIRECTORY, SPOOL, Entry, Folder, Manifest

CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders that a restore writes to."""

    configuration: Path
    spool: Path
    directory: Path | None
    moved_from: Path  # the configuration's old folder

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        spool: Path | None = None,
        directory: Path | None = None,
        configuration: Path | None = None,
    ) -> Places:
        """Those of the manifest, unless others are named."""
        old = Path(manifest.configuration.path)
        new = configuration.absolute() if configuration else old

        def moved(folder: Folder | None, named: Path | None) -> Path | None:
            if named is not None:
                return named.absolute()
            return None if folder is None else _along(Path(folder.path), old, new)

        to_spool = moved(manifest.spool, spool)
        assert to_spool is not None, "a backup has a spool"
        return cls(new, to_spool, moved(manifest.directory, directory), old)

    def of_entry(self, entry: Entry) -> Path:
        """Where a file goes."""
        inner = Path(*Path(entry.name).parts[1:])
        if entry.part == SPOOL:
            return self.spool / inner
        if entry.part == DIRECTORY and self.directory is not None:
            old = Path(entry.path)
            return self.directory / old.name
        if credential.is_credential(Path(entry.path)):
            return self.configuration / CREDENTIALS / Path(entry.path).name
        return _along(Path(entry.path), self.moved_from, self.configuration)

    def folders(self, manifest: Manifest) -> list[tuple[Path, Folder]]:
        """The folders themselves, and how they were."""
        found = [(self.configuration, manifest.configuration), (self.spool, manifest.spool)]
        if self.directory is not None and manifest.directory is not None:
            found.append((self.directory, manifest.directory))
        return found

    def unlike(self, manifest: Manifest) -> list[str]:
        """What the restored configuration may have to be told."""
        told = []
        for name, folder, place in (
            ("[spool] path", manifest.spool, self.spool),
            ("[directory] key_file (and url)", manifest.directory, self.directory),
        ):
            if folder is not None and place is not None:
                expected = _along(Path(folder.path), self.moved_from, self.configuration)
                if place != expected:
                    told.append(f"set {name} to what is now in {place}")
        for entry in manifest.files:
            place, name = self.of_entry(entry), Path(entry.path).name
            if credential.is_credential(Path(entry.path)) and is_there(place):
                told.append(f"the service takes LoadCredential={name}:PATH; its content is in {place}")
        return told


def part_of(names: list[str]) -> frozenset[str]:
    """The parts that are to be restored; all of them where none is named."""
    return frozenset(names or (SPOOL, DIRECTORY, CONFIGURATION))


def is_there(path: Path) -> bool:
    """Something has the name, be it a broken link."""
    return os.path.lexists(path)


def _along(path: Path, old: Path, new: Path) -> Path:
    return new / path.relative_to(old) if path.is_relative_to(old) else path
