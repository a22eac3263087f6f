"""Where files are, and whom they belong to, by name: a restored machine may have given the relay's user
another number."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from relay.base.errors import BackupError


def owner_names(state: os.stat_result) -> tuple[str, str]:
    """The names of user and group; the number where there is no name."""
    try:
        user = pwd.getpwuid(state.st_uid).pw_name
    except KeyError:
        user = str(state.st_uid)
    try:
        group = grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        group = str(state.st_gid)
    return user, group


def whereabouts(path: Path) -> Path:
    """Its path from the root, without "..": who puts a backup back trusts what its paths look like."""
    path = path.absolute()
    return path.parent.resolve() / path.name if ".." in path.parts else path


def numbers(user: str, group: str) -> tuple[int, int]:
    """User and group on this machine. Raises BackupError for one that is not here."""
    try:
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise BackupError(
            f"the files belong to {user}:{group}, and this machine has no such user or group; make them "
            f"first: useradd --system --user-group --home-dir /var/lib/relay {user}"
        ) from None
    return uid, gid


def give(path: Path, user: str, group: str, mode: int) -> None:
    """Give a file its owner, where we may, and its mode. Raises BackupError, OSError."""
    if os.geteuid() == 0:
        os.chown(path, *numbers(user, group))
    path.chmod(mode)
