"""What this machine can do, measured in the same run as everything else: without it a figure means nothing.

The bare RSA-2048 signature is the floor of CPU per signed message; the fsync of one small file is the floor
of what one promise costs when nobody shares it.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.figures import median


def sign_us(times: int = 200) -> float:
    """Microseconds of one RSA-2048 signature over SHA-256, median."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    took = []
    for _ in range(times):
        before = time.perf_counter()
        key.sign(b"x" * 500, padding.PKCS1v15(), hashes.SHA256())
        took.append(time.perf_counter() - before)
    return median(took) * 1e6


def fsync_ms(directory: Path, times: int = 50) -> float:
    """Milliseconds to append 4 KiB to a file in ``directory`` and fsync it, median."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            before = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - before)
    return median(took) * 1e3


def file_system(directory: Path) -> str:
    """The type of the file system that holds ``directory``, e.g. ``ext4``; fsync on tmpfs proves nothing."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, mount, name, *_ = line.split()
        if str(directory.resolve()).startswith(mount.rstrip("/") + "/") and len(mount) > len(best):
            best, kind = mount, name
    return kind
