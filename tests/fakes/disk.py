"""Disks that misbehave: one that is small, and one whose fsync fails while a flag file is there."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.machine import missing, need

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int is_failing(void) {
    const char *flag = getenv("FSYNC_FAILS_WHILE");
    return flag && access(flag, F_OK) == 0;
}
int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    if (is_failing()) { errno = EIO; return -1; }
    return real(fd);
}
int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    if (is_failing()) { errno = EIO; return -1; }
    return real(fd);
}
"""


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of ``size`` (as mount says it, e.g. "4M") mounted at ``folder``."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        missing(f"cannot mount a small disk: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fsync_shim(folder: Path) -> Path:
    """A library to preload; with it fsync fails while the file named by FSYNC_FAILS_WHILE exists."""
    source, library = folder / "shim.c", folder / "shim.so"
    source.write_text(_SHIM)
    words = [need("gcc", "gcc"), "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        missing(f"cannot compile the shim: {done.stderr}")
    return library
