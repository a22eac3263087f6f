"""Credentials that systemd hands to a service (LoadCredential=): where one is, and who may read it.

The configuration names one ``credential:NAME`` where it could name a file. Its folder is the one that systemd
names in CREDENTIALS_DIRECTORY; elsewhere, as for the command line, it is that of relay.service, which is
there while the service runs, for root and for the service's user.

Not ``%d/NAME``, which systemd would expand in a unit and nobody in a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from relay.base.errors import ConfigError

PREFIX = "credential:"
_OF_SERVICE = Path("/run/credentials/relay.service")
_OF_SERVICES = _OF_SERVICE.parent
_GROUP_READS = 0o040  # in systemd's folder no group, but how an access list for the service's user shows


def folder() -> Path:
    """Where credentials are."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) if given else _OF_SERVICE


def located(path: Path) -> Path | None:
    """The file of a credential that is named in place of a path; None if it is a path. Raises ConfigError."""
    text = str(path)
    if not text.startswith(PREFIX):
        return None
    name = text.removeprefix(PREFIX)
    if not name or "/" in name or name in (".", ".."):
        raise ConfigError(
            f'"{text}" names no credential; write "{PREFIX}tls.key" for LoadCredential=tls.key:PATH'
        )
    return folder() / name


def is_credential(path: Path) -> bool:
    """Whether a file is one."""
    return path.is_relative_to(folder()) or path.is_relative_to(_OF_SERVICES)


def missing(path: Path) -> str:
    """Why a credential is not there, and what to do, in words; empty if it can be read."""
    if os.access(path, os.R_OK):
        return ""
    name = path.name
    add = f"LoadCredential={name}:PATH (systemctl edit relay)"
    if "CREDENTIALS_DIRECTORY" in os.environ:
        return f'"{PREFIX}{name}": the service was not given it; add {add}, then restart it'
    return (
        f'"{PREFIX}{name}": {path} cannot be read: credentials are there while relay.service runs, for root '
        f"and its user, if it has {add}"
    )


def is_open_to_others(mode: int, path: str | Path) -> bool:
    """Whether others than its owner may use a secret file with this mode."""
    return bool(mode & 0o077 & ~(_GROUP_READS if is_credential(Path(path)) else 0))
