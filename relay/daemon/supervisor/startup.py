"""What ``relay run`` does before the first worker: become the relay's user, own the spool, make the tables.

Contract: what cannot be right until someone changes the configuration is a ConfigError (exit status 78, and
systemd leaves it alone); what may be right in a minute (another relay still ends, the database server is not
up yet) is a StartError (75, and systemd tries again). Blocking. What an upgrade does is in ``upgrades``.

One relay per spool: the supervisor locks ``lock`` in the spool's folder for as long as it lives. Workers of a
supervisor that was killed may live a little longer; they hold the locks of their shards, not this one.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import logging
import os
import pwd
import sys
from pathlib import Path

from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, DirectoryError, StartError
from relay.daemon import upgrades
from relay.daemon.settings.config import Config, RelaySection
from relay.directory.store import Directory

log = logging.getLogger(__name__)


def drop_privileges(section: RelaySection) -> None:
    """Become [relay] user and group. Raises ConfigError if that is not possible."""
    if not section.user:
        if os.geteuid() == 0:
            log.warning("runs as root; name another user in [relay] user")
        return
    try:
        user = pwd.getpwnam(section.user)
        group = grp.getgrnam(section.group).gr_gid if section.group else user.pw_gid
    except KeyError as error:
        raise ConfigError(f"[relay] user or group: {error.args[0]}; make it or name another") from error
    if os.geteuid() == user.pw_uid:
        return
    if os.geteuid() != 0:
        raise ConfigError(
            f"[relay] user = {section.user!r}: user {os.geteuid()} cannot become it; "
            f"start as root or as {section.user}"
        )
    os.initgroups(section.user, group)  # with its other groups: one of them may give it the certificate's key
    os.setgid(group)
    os.setuid(user.pw_uid)
    if not os.access(sys.executable, os.X_OK):  # each worker is started from it
        raise ConfigError(
            f"[relay] user = {section.user!r} may not run {os.path.realpath(sys.executable)}; "
            "install the relay where it may, not in a home"
        )


def prepare(config: Config) -> int:
    """Folder, lock and tables, as the user that we run as; the returned descriptor is the lock.

    Raises ConfigError, StartError.
    """
    path = config.spool.path
    try:
        # Its group may pass through to the control socket; the shards below are for their owner alone.
        path.mkdir(mode=0o710, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"[spool] path: {path}: {error.strerror}{_hint(error)}") from error
    descriptor = _lock(path)
    try:
        for folder in [path, *path.glob("shard-*")]:
            _check_ours(folder)
        upgrades.check(config, SystemClock().now())
        _migrate(config)
        upgrades.note_version(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(path: Path) -> int:
    file = path / "lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"[spool] path: {file}: {error.strerror}; it must belong to user {os.geteuid()}{_hint(error)}"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StartError(
            f"[spool] path: another relay (pid {other}) runs on {path}; stop it, or give this one another"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _check_ours(folder: Path) -> None:
    """A relay that was once run as root leaves folders that its user cannot write."""
    database = folder / "spool.db"
    for one, mode in ((folder, os.R_OK | os.W_OK | os.X_OK), (database, os.R_OK | os.W_OK)):
        if (one is folder or one.exists()) and not os.access(one, mode):
            user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "root"
            raise ConfigError(
                f"[spool] path: {one} cannot be written by {user}; chown -R {user} {folder.parent}"
            )


def _migrate(config: Config) -> None:
    section = config.directory
    try:
        directory = Directory(section.url, section.key_file, section.region)
    except DirectoryError as error:
        raise ConfigError(f"[directory] url: {error}") from error
    try:
        directory.migrate()
    except DirectoryError as error:
        if section.url.startswith("sqlite"):
            raise ConfigError(f"[directory] url: {error}") from error
        raise StartError(f"[directory] url: {error}") from error
    finally:
        directory.close()


def _hint(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "; under systemd, name it in ReadWritePaths= (systemctl edit relay)"
    return ""
