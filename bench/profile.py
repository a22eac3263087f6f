"""Where the workers spend their time: py-spy on each worker during a load, added up by function.

Own time counts the samples in which a function was the innermost Python frame; time inside a C extension
counts for the Python function that called it. py-spy cannot see everywhere whether a thread waits; the
functions in ``WAITS``, where threads of ours wait for work, are left out by name. ``Runner.run`` is the event
loop's own C code, and its waiting for sockets.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

RATE_HZ = 200
WAITS = (
    "_worker (concurrent/futures/thread.py",  # an executor's thread waits for its queue
    "Committer._take (",  # the commit thread waits for changes
    "wait (threading.py",
)


def own_time(stacks: Iterable[str]) -> Counter[str]:
    """Samples per innermost function of py-spy's raw lines, ``outer;inner COUNT``."""
    samples: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        innermost = stack.rpartition(";")[2]
        if stack and count.strip().isdigit() and not innermost.startswith(WAITS):
            samples[innermost] += int(count)
    return samples


class Profile:
    """py-spy on some processes for a fixed time; ``result`` waits for its end."""

    def __init__(self, pids: Iterable[int], seconds: int) -> None:
        beside = Path(sys.executable).with_name("py-spy")
        program = str(beside) if beside.exists() else shutil.which("py-spy")
        if program is None:
            raise RuntimeError("py-spy is not installed (pip install py-spy)")
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name) / str(pid) for pid in pids]
        options = ["record", "-f", "raw", "--function", "-r", str(RATE_HZ), "-d", str(seconds)]
        self._spies = [
            subprocess.Popen(
                [program, *options, "-p", file.name, "-o", str(file)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for file in self._files
        ]

    def result(self) -> Counter[str]:
        """Samples per function over all the processes. Raises RuntimeError if py-spy could not look."""
        samples: Counter[str] = Counter()
        for spy, file in zip(self._spies, self._files, strict=True):
            _, errors = spy.communicate()
            if not file.exists():
                raise RuntimeError(f"py-spy: {errors.decode(errors='replace').strip()}")
            samples += own_time(file.read_text().splitlines())
        self._folder.cleanup()
        return samples


def table(samples: Counter[str], top: int = 25) -> str:
    """The ``top`` functions by own time, for people."""
    total = samples.total() or 1
    lines = [f"own time by function, {total} samples at {RATE_HZ} Hz"]
    lines += [f"{count / total:7.1%}  {name}" for name, count in samples.most_common(top)]
    return "\n".join(lines)
