"""How fast the disk of the spool makes promises: a few small writes, each made safe as a commit is.

Contract: ``measure`` writes to a file of its own in the folder and removes it, in at most about ``limit_s``;
it disturbs nobody but by what it writes, 4 KiB a time. Raises OSError.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from relay.base.clock import Clock

_PIECE = b"\0" * 4096


def measure(folder: Path, clock: Clock, times: int = 50, limit_s: float = 3.0) -> tuple[float, ...]:
    """Seconds that each write took until it was safe, sorted."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder, prefix=".speed-", buffering=0) as file:
        begun = clock.monotonic()
        while len(took) < times:
            start = clock.monotonic()
            if start - begun > limit_s and took:
                break
            file.write(_PIECE)
            os.fdatasync(file.fileno())
            took.append(clock.monotonic() - start)
    return tuple(sorted(took))
