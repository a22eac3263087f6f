"""The file system, as the kernel tells of it, and as tables of mounts have it."""

import os
from pathlib import Path

from relay.daemon.checkup.spool_disk import look, mount_of

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:25 / /tmp rw,nosuid - tmpfs tmpfs rw,size=10k
31 22 8:2 / /var/spool ro,noexec - xfs /dev/sdb1 rw,nobarrier
32 22 8:3 / /with\\040space rw - ext4 /dev/sdc1 rw
damaged line
"""


def test_a_folder_of_this_machine(tmp_path: Path) -> None:
    seen = look(tmp_path)
    assert 0 < seen.free <= seen.total
    assert seen.kind
    assert {"rw", "ro"} & set(seen.options)
    assert look(tmp_path / "not" / "yet").total == seen.total  # where it would be
    here = os.statvfs(tmp_path)
    assert seen.total == here.f_blocks * here.f_frsize


def test_the_longest_mount_point_holds(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)

    def of(path: str, device: int) -> tuple[str, tuple[str, ...]]:
        return mount_of(device, Path(path), table)

    assert of("/home/x", os.makedev(8, 1))[0] == "ext4"
    assert of("/tmp/x", os.makedev(0, 25))[0] == "tmpfs"
    kind, options = of("/var/spool/relay", os.makedev(8, 2))
    assert (kind, "ro" in options, "nobarrier" in options) == ("xfs", True, True)
    assert of("/with space/x", os.makedev(8, 3))[0] == "ext4"
    assert mount_of(0, Path("/"), tmp_path / "gone") == ("", ())
