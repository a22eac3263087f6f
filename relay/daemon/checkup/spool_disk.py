"""The file system of the spool's folder: room, inodes, kind and mount options. Blocking; never raises."""

from __future__ import annotations

import os
from pathlib import Path

from relay.admin.host_facts import DiskSeen

MOUNTS = Path("/proc/self/mountinfo")


def look(path: Path, mounts: Path = MOUNTS) -> DiskSeen:
    """What there is to be seen of a folder, or of the nearest one above it that exists."""
    try:
        there = path.resolve()
        while not there.exists() and there != there.parent:
            there = there.parent
        found = os.statvfs(there)
        device = there.stat().st_dev
    except OSError as error:
        return DiskSeen(str(path), fault=error.strerror or str(error))
    kind, options = mount_of(device, there, mounts)
    return DiskSeen(
        str(path),
        free=found.f_bavail * found.f_frsize,
        total=found.f_blocks * found.f_frsize,
        free_inodes=found.f_favail if found.f_files else -1,
        inodes=found.f_files,
        kind=kind,
        options=options,
    )


def mount_of(device: int, path: Path, mounts: Path = MOUNTS) -> tuple[str, tuple[str, ...]]:
    """Kind and options of what is mounted there, from proc(5)'s mountinfo; ("", ()) if nobody knows.

    The longest mount point above the path holds; of several at one point the last one mounted.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return "", ()
    best, found = -1, ("", tuple[str, ...]())
    for line in lines:
        head, _, tail = line.partition(" - ")
        fields, after = head.split(" "), tail.split(" ")
        if len(fields) < 6 or len(after) < 3:
            continue
        point = fields[4].encode("latin-1", "backslashreplace").decode("unicode_escape")
        if not path.is_relative_to(point) or len(point) < best:
            continue
        if fields[2] != f"{os.major(device)}:{os.minor(device)}" and len(point) == best:
            continue
        best, found = len(point), (after[0], (*fields[5].split(","), *after[2].split(",")))
    return found
