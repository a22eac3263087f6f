"""Disks that fill up and programs that may be missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def missing(what: str) -> None:
    """Something that this machine lacks: a failure where everything must run, else a reason to skip."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 128 MB in memory, of which a file ``ballast`` takes 32."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        missing("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if done.returncode != 0:
        missing(f"no tmpfs can be mounted: {done.stderr.decode()}")
    try:
        (disk / "ballast").write_bytes(bytes(32 << 20))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=False)
