"""Samples of every process of a relay: memory, descriptors, threads; each life of a process is a series.

Read from /proc every few seconds: who is who is in the environment that the supervisor gives its workers.
Nothing of the relay is asked, so that nothing of it is disturbed, and one that hangs is sampled like any
other. A life is what was sampled under load: not while the relay ends, nor at the end, when it has drained.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1 << 20
_VARIABLE = b"RELAY_WORKER="


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process."""

    at_s: float
    rss_mb: float
    descriptors: int
    threads: int


@dataclass(slots=True)
class Life:
    """One process from its first sample to its last."""

    role: str  # "supervisor", "notifier", "worker 0", ...
    pid: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def lasted_s(self) -> float:
        return self.samples[-1].at_s - self.samples[0].at_s

    def series(self, of: str) -> list[tuple[float, float]]:
        """Second and value of one of the measures."""
        return [(one.at_s, float(getattr(one, of))) for one in self.samples]


def role_of(pid: int) -> str:
    """What a process below the supervisor is; empty if it is gone, or has not come so far."""
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"notifier" in words:
            return "notifier"
        if b"worker" in words:
            for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if entry.startswith(_VARIABLE):
                    return f"worker {json.loads(entry[len(_VARIABLE) :])['number']}"
    return ""


def look(pid: int, at_s: float) -> Sample | None:
    """One sample; None if the process has ended."""
    with suppress(OSError, ValueError, IndexError):
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if resident:
            count = len(os.listdir(f"/proc/{pid}/fd"))
            return Sample(at_s, resident * _PAGE / _MB, count, int(stat[17]))
    return None


class Watch:
    """Samples until it is closed. ``pids``: the supervisor's, and those below it."""

    def __init__(self, pids: Callable[[], tuple[int, list[int]]], every_s: float) -> None:
        self.lives: dict[tuple[str, int], Life] = {}
        self.is_kept = True  # what is sampled belongs to a life
        self._pids, self._every_s = pids, every_s
        self._began = time.monotonic()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watch:
        self._running = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    def sample(self) -> dict[str, Sample]:
        """Look now; what was found, by role."""
        at_s = time.monotonic() - self._began
        supervisor, below = self._pids()
        found = {}
        for role, pid in [("supervisor", supervisor), *((role_of(pid), pid) for pid in below)]:
            one = look(pid, at_s)
            if role and one is not None:
                found[role] = one
            if role and one is not None and self.is_kept:
                self.lives.setdefault((role, pid), Life(role, pid)).samples.append(one)
        return found

    async def _run(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(self._every_s)

    def write(self, file: Path) -> None:
        """All samples as CSV."""
        lines = ["role,pid,at_s,rss_mb,descriptors,threads"]
        for (role, pid), life in self.lives.items():
            lines += [
                f"{role},{pid},{one.at_s:.1f},{one.rss_mb:.2f},{one.descriptors},{one.threads}"
                for one in life.samples
            ]
        file.write_text("\n".join(lines) + "\n")
