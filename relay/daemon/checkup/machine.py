"""The machine and its bounds: clock, open files, backlog, memory, and who may read what is secret. Blocking.

Nothing here raises: what cannot be had is not known. The clock is the kernel's own word (adjtimex(2), which
anybody may ask); whether the hour is right, no machine can say of itself.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from relay.admin.host_facts import ClockSeen, FileSeen, Machine
from relay.daemon.settings.config import Config

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_PROC = Path("/proc")


class _Timex(ctypes.Structure):
    """The beginning of struct timex; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 512),
    )


def clock() -> ClockSeen:
    """What the kernel says of its clock."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        found = _Timex()
        state = library.adjtimex(ctypes.byref(found))
    except (OSError, AttributeError):
        return ClockSeen()
    if state < 0:
        return ClockSeen()
    is_kept = state != _TIME_ERROR and not found.status & _STA_UNSYNC
    return ClockSeen(is_kept, found.maxerror / 1e6 if is_kept else 0.0)


def machine(pids: Sequence[int], proc: Path = _PROC) -> Machine:
    """The bounds of the relay's processes, else of ours."""
    bounds = [one for one in (_descriptors(proc / str(pid)) for pid in pids) if one is not None]
    used = [_open_files(proc / str(pid)) for pid in pids]
    return Machine(
        min(bounds) if bounds else resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        max(used, default=0),
        _number(proc / "sys/net/core/somaxconn"),
        _available(proc / "meminfo"),
        bool(bounds),
    )


def pids_of(supervisor: int, proc: Path = _PROC) -> list[int]:
    """The processes of a relay, by that of its supervisor; none for 0."""
    if not supervisor:
        return []
    try:
        words = (proc / str(supervisor) / "task" / str(supervisor) / "children").read_text().split()
    except OSError:
        return [supervisor]
    return [supervisor, *map(int, words)]


def _descriptors(process: Path) -> int | None:
    try:
        lines = (process / "limits").read_text().splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith("Max open files")), [])
    return int(words[3]) if len(words) > 3 and words[3].isdigit() else None


def _open_files(process: Path) -> int:
    try:
        return len(os.listdir(process / "fd"))
    except OSError:
        return 0


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _available(file: Path) -> int:
    try:
        lines = file.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0


def secret_files(config: Config) -> Iterator[FileSeen]:
    """The files that hold keys and passwords, and the spool's folder."""
    yield file_of("[spool] path", config.spool.path, is_folder=True)
    yield file_of("[directory] key_file", config.directory.key_file)
    if config.directory.url.startswith("sqlite:///"):
        yield file_of("[directory] url", Path(config.directory.url.removeprefix("sqlite:///")))
    if config.tls.private_key is not None:
        yield file_of("[tls] private_key", config.tls.private_key)
    for key in config.signing.service_key:
        yield file_of("[[signing.service_key]] file", key.file)
    for route in config.route:
        if route.password_file is not None:
            yield file_of("[[route]] password_file", route.password_file)
        if route.client_key is not None:
            yield file_of("[[route]] client_key", route.client_key)


def file_of(what: str, path: Path, *, is_folder: bool = False) -> FileSeen:
    """One of them, as it is."""
    try:
        found = path.stat()
    except OSError as error:
        return FileSeen(what, str(path), fault=error.strerror or str(error), is_folder=is_folder)
    return FileSeen(what, str(path), stat.S_IMODE(found.st_mode), found.st_uid, is_folder=is_folder)


def may_see(path: Path) -> bool:
    """Whether this user may read it; what is not there hides nothing."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return os.access(path, os.R_OK)


def owner(config: Config) -> int | None:
    """The user that the relay runs as, where the configuration names one that there is."""
    try:
        return pwd.getpwnam(config.relay.user).pw_uid if config.relay.user else None
    except KeyError:
        return None
