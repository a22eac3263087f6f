"""A unit's restrictions on system calls, as systemd would lay them on a service, without systemd.

    python tests/fakes/seccomp.py UNIT PROGRAM ARGUMENT...

reads SystemCallFilter=, SystemCallErrorNumber=, RestrictAddressFamilies=, MemoryDenyWriteExecute= and
NoNewPrivileges= of the unit, loads them with the same libseccomp, and becomes the program. The groups of
calls are those of the ``systemd-analyze`` of this machine. It knows these settings and no others: what
ProtectSystem= and its like do, needs a systemd.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EQ, _MASKED_EQ = 4, 7
_PR_SET_NO_NEW_PRIVS = 38
_PROT_WRITE, _PROT_EXEC, _SHM_EXEC = 2, 4, 0o100000


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("how", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def settings(unit: Path) -> dict[str, list[str]]:
    """The unit's values by key, in their order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def groups() -> dict[str, list[str]]:
    """What ``@group`` stands for, by ``systemd-analyze``."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            found[name].append(line.strip())
        elif line.startswith("#"):
            break  # calls of the kernel that are in no group
    return found


def allowed(filters: list[str]) -> set[str]:
    """The calls that are left by the filters, one after the other (systemd.exec(5))."""
    known = groups()

    def calls(name: str) -> set[str]:
        return set().union(*map(calls, known[name])) if name.startswith("@") else {name}

    found = calls("@default")
    for line in filters:
        named = set().union(*map(calls, line.removeprefix("~").split()))
        found = found - named if line.startswith("~") else found | named
    return found


def library() -> ctypes.CDLL:
    """libseccomp, which systemd itself uses. Raises OSError where it is missing."""
    return ctypes.CDLL("libseccomp.so.2", use_errno=True)


def restrict(unit: Path) -> None:
    """Lay the unit's restrictions on this process and all that it becomes."""
    given = settings(unit)
    lib = library()
    lib.seccomp_init.restype = ctypes.c_void_p

    refuse = _ERRNO | getattr(errno, given["SystemCallErrorNumber"][0])

    def rule(filter_: ctypes.c_void_p, action: int, call: str, *tests: tuple[int, int, int, int]) -> None:
        number = lib.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # not of this architecture
        compared = (_Comparison * len(tests))(*[_Comparison(*one) for one in tests])
        status = lib.seccomp_rule_add_array(filter_, ctypes.c_uint32(action), number, len(tests), compared)
        assert status == 0, f"{call}: {os.strerror(-status)}"

    def load(filter_: ctypes.c_void_p) -> None:
        status = lib.seccomp_load(filter_)
        assert status == 0, os.strerror(-status)

    libc = ctypes.CDLL(None)
    assert given["NoNewPrivileges"] == ["yes"]
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    families = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(_ALLOW)))
    kept = {int(getattr(socket, name)) for name in given["RestrictAddressFamilies"][0].split()}
    for family in set(range(64)) - kept:
        rule(families, _ERRNO | errno.EAFNOSUPPORT, "socket", (0, _EQ, family, 0))
    load(families)
    assert given["MemoryDenyWriteExecute"] == ["yes"]
    memory = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(_ALLOW)))
    both = _PROT_WRITE | _PROT_EXEC
    rule(memory, _ERRNO | errno.EPERM, "mmap", (2, _MASKED_EQ, both, both))
    rule(memory, _ERRNO | errno.EPERM, "mprotect", (2, _MASKED_EQ, _PROT_EXEC, _PROT_EXEC))
    rule(memory, _ERRNO | errno.EPERM, "pkey_mprotect", (2, _MASKED_EQ, _PROT_EXEC, _PROT_EXEC))
    rule(memory, _ERRNO | errno.EPERM, "shmat", (2, _MASKED_EQ, _SHM_EXEC, _SHM_EXEC))
    load(memory)
    # SQLite gives the files of root back to their owner; the service is not root, and needs it not.
    as_root = {"fchown"} if os.geteuid() == 0 else set()
    calls = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(refuse)))
    for call in sorted(allowed(given["SystemCallFilter"]) | as_root):
        rule(calls, _ALLOW, call)
    load(calls)


if __name__ == "__main__":
    restrict(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
