"""What the disk itself does while a load runs: one small write and fdatasync after another, timed.

A machine shared with others has a disk shared with others: now and then it stalls for tens or hundreds of
milliseconds, with or without a load of ours, and then no server can have a message on disk sooner. A latency
means something only beside this figure, taken in the same seconds on the same file system.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from bench.figures import percentiles

PAUSE_S = 0.02


class DiskWatch:
    """The probe, in a thread. Use it as a context manager: leaving ends it and removes its file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "disk-watch"
        self._end = threading.Event()
        self._took: list[float] = []
        self._thread = threading.Thread(target=self._run, name="disk-watch", daemon=True)

    def figures(self) -> dict[str, float]:
        """``disk_p99_ms`` and ``disk_max_ms`` of the writes so far."""
        found = percentiles(self._took)
        return {f"disk_{name}_ms": found.get(name, 0.0) * 1e3 for name in ("p99", "max")}

    def _run(self) -> None:
        file = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, bytes(4096), 0)
            os.fsync(file)  # from now on no write changes the file's size
            while not self._end.wait(PAUSE_S):
                began = time.perf_counter()
                os.pwrite(file, os.urandom(4096), 0)
                os.fdatasync(file)
                self._took.append(time.perf_counter() - began)
        finally:
            os.close(file)

    def __enter__(self) -> DiskWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._file.unlink(missing_ok=True)
