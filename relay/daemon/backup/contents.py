"""What belongs into a backup, by the configuration: files with the names that they have in it.

Spool: every file but locks, sockets, logs of databases (a copy of a database has none), and the copies that
upgrades and restores left. Shards are copied by ``relay.spool.shard_copy``, not listed here, but for what was
set aside in ``corrupt/``. Directory: its database, where it is a file, and the key file. Configuration: the
file itself, shaping, and every file that it names, except authorities of the system.

Reads folders; opens nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from relay.daemon import sns_certificate, stores
from relay.daemon.backup.manifest import CONFIGURATION, DIRECTORY, SPOOL
from relay.daemon.settings import shaping_sections
from relay.daemon.settings.config import Config
from relay.daemon.settings.section import Section
from relay.daemon.supervisor import last_life
from relay.spool import aside, recover

_NOT_KEPT = ("lock", "control", last_life.FILE)  # how the last life ended is told of where it ended
_KEY_FIELDS = frozenset(("private_key", "client_key", "key_file", "file", "password_file"))


class Item(NamedTuple):
    """A file: its name in the backup, where it is, and whether it is a secret key or password."""

    name: str
    file: Path
    is_key: bool = False


def databases(spool: Path) -> list[Item]:
    """Those beside the shards: books first, which must not be ahead of the events that they are made of, and
    the ledger last, which must not be behind the mail that it counts."""
    found = sorted(one.name for one in spool.glob("*.db") if one.is_file())
    last = [name for name in found if name == stores.LIMITS]
    return [Item(f"{SPOOL}/{name}", spool / name) for name in [n for n in found if n not in last] + last]


def spool_files(spool: Path) -> list[Item]:
    """What is no database: certificates, policies, what was set aside."""
    found = []
    for file in _walk(spool, 1):
        if not (".db" in file.name or file.name in _NOT_KEPT or file.suffix == ".lock"):
            is_key = file.name == sns_certificate.KEY
            found.append(Item(f"{SPOOL}/{file.name}", file, is_key))
    folders = [spool / "mta-sts", spool / aside.FOLDER]
    folders += [recover.shard_folder(spool, number) / aside.FOLDER for number in recover.shards_in(spool)]
    for folder in folders:
        if folder.is_symlink():  # root makes backups, and the spool is the relay's: it leads nobody elsewhere
            continue
        found += [Item(f"{SPOOL}/{file.relative_to(spool)}", file) for file in _walk(folder, 9)]
    return found


def configured_files(config: Config) -> list[Item]:
    """The configuration and what it names."""
    folder = config.path.parent
    named = {config.path: False, **dict(_named(config))}
    named.pop(config.directory.key_file, None)
    shaping = shaping_sections.path_of(config)
    if shaping is not None and shaping.exists():
        named[shaping] = False
    found, taken = [], set()
    for file, is_key in named.items():
        inside = file.is_relative_to(folder)
        name = str(file.relative_to(folder)) if inside else f"elsewhere/{str(file).lstrip('/')}"
        if ".." in Path(name).parts:
            name = f"elsewhere/{str(file.resolve()).lstrip('/')}"
        if name not in taken:
            taken.add(name)
            found.append(Item(f"{CONFIGURATION}/{name}", file, is_key))
    return found


def key_file(config: Config) -> Item:
    """Without it nobody reads the secrets in the directory."""
    return Item(f"{DIRECTORY}/{config.directory.key_file.name}", config.directory.key_file, True)


def _named(section: Section) -> Iterator[tuple[Path, bool]]:
    """All files that settings name, and whether each is a key."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Section):
                yield from _named(one)
            elif isinstance(one, Path) and name not in ("path", "ca_file", "shaping"):
                yield one, name in _KEY_FIELDS


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """The plain files below a folder."""
    if not folder.is_dir():
        return
    for one in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if one.is_dir(follow_symlinks=False):
            if depth > 1:
                yield from _walk(Path(one.path), depth - 1)
        elif stat.S_ISREG(one.stat(follow_symlinks=False).st_mode):
            yield Path(one.path)
