"""Whether the spool's file system can keep a promise: its room, its kind, how it is mounted. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import DiskSeen
from relay.admin.span import amount

_NO_DISK = ("tmpfs", "ramfs")
_FAR = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs")
_CAREFREE = ("nobarrier", "barrier=0", "data=writeback")
_FEW_INODES = 0.02


def judge_room(disk: DiskSeen, reserve: int) -> Iterator[Finding]:
    """How far the reserve is."""
    if disk.fault:
        yield Finding(Level.UNKNOWN, "disk", f"{disk.path}: {disk.fault}", "ask as root or the relay's user")
        return
    fix = f"free space on {disk.path} (see `df {disk.path}`), or lower [spool] disk_reserve"
    left = disk.free - reserve
    said = f"{amount(disk.free)} free on {disk.path}, reserve {amount(reserve)}"
    if left <= 0:
        yield Finding(
            Level.PROBLEM, "disk", f"the disk reserve is reached: {said}; new mail is answered 452", fix
        )
    elif left < reserve:
        yield Finding(Level.WARNING, "disk", f"the disk reserve is near: {said}", fix)
    else:
        yield Finding(Level.OK, "disk", said)
    if disk.inodes and 0 <= disk.free_inodes < _FEW_INODES * disk.inodes:
        said = f"{disk.free_inodes:,} of {disk.inodes:,} inodes are left on {disk.path}"
        yield Finding(Level.WARNING, "disk", said, "remove files that nobody needs (`df -i` shows where)")


def judge_kind(disk: DiskSeen) -> Iterator[Finding]:
    """Whether what is written there is still there after a power cut."""
    where = f"{disk.path} is on {disk.kind}"
    if disk.kind in _NO_DISK:
        said = f"{where}: a restart of the machine loses all mail that was promised"
        yield Finding(Level.PROBLEM, "disk", said, "set [spool] path to a folder on a local disk")
    elif disk.kind in _FAR:
        said = f"{where}: SQLite's locks and its log do not hold on a network's file system"
        yield Finding(Level.PROBLEM, "disk", said, "set [spool] path to a folder on a local disk")
    elif disk.kind in ("", "overlay"):
        known = where if disk.kind else f"the file system of {disk.path} is not known"
        hint = "in a container, mount a volume at [spool] path, or the mail goes with the container"
        yield Finding(Level.NOTE if disk.kind else Level.UNKNOWN, "disk", known, hint if disk.kind else "")
    careless = [one for one in disk.options if one in _CAREFREE]
    if careless:
        said = f"{disk.path} is mounted with {', '.join(careless)}: a power cut may lose mail after its 250"
        yield Finding(Level.PROBLEM, "disk", said, "mount it without (see /etc/fstab)")
    if "ro" in disk.options:
        said = f"{disk.path} is mounted read-only: no mail can be taken"
        yield Finding(
            Level.PROBLEM, "disk", said, f"see `dmesg` for why, then mount -o remount,rw {disk.path}"
        )
