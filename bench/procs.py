"""CPU time and memory of a tree of processes, read from /proc.

CPU of a tree is the sum over its living processes of user and system time, their own and that of children
they have reaped; so a process that ended in between is counted through its parent. Resident memory summed
over processes counts shared pages once for each: it flatters programs of few processes, which is why the
proportional size (PSS), where a shared page is split between its users, is taken as well.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc: parent, CPU seconds with those of reaped children, resident bytes."""

    parent: int
    cpu_s: float
    rss_bytes: int


def parse_stat(line: str) -> Process:
    """A process from its ``/proc/PID/stat`` line (proc(5)); the name in brackets may hold anything."""
    fields = line[line.rindex(")") + 2 :].split()
    cpu_ticks = sum(int(field) for field in fields[11:15])
    return Process(int(fields[1]), cpu_ticks / _TICKS, int(fields[21]) * _PAGE)


def read_all() -> dict[int, Process]:
    """Every process of the machine that can be read."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                found[int(name)] = parse_stat(Path(f"/proc/{name}/stat").read_text())
    return found


def descendants(roots: Iterable[int], processes: dict[int, Process]) -> set[int]:
    """The roots and all below them, as far as they live."""
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in processes]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """CPU seconds that the trees of ``roots`` have used since they began."""
    processes = read_all()
    return sum(processes[pid].cpu_s for pid in descendants(roots, processes))


def pss_mb(roots: Iterable[int]) -> float:
    """Proportional set size of the trees in MiB; 0 where the kernel does not tell."""
    total_kb = 0
    for pid in descendants(roots, read_all()):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kb += int(line.split()[1])
    return total_kb / 1024


def machine_busy_s() -> float:
    """CPU seconds that all processes of this machine have used since it started."""
    user, nice, system, _idle, _iowait, irq, softirq = (
        int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / _TICKS


class RssWatch:
    """Samples the resident memory of process trees twice a second, in a thread, until it is closed."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = list(roots)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="rss", daemon=True)
        self.peak_sum_mb = 0.0
        self.peak_one_mb = 0.0

    def __enter__(self) -> RssWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            processes = read_all()
            sizes = [processes[pid].rss_bytes / _MB for pid in descendants(self._roots, processes)]
            self.peak_sum_mb = max(self.peak_sum_mb, sum(sizes))
            self.peak_one_mb = max(self.peak_one_mb, *sizes, 0.0)
            if self._stop.wait(0.5):
                return


def wait_until_gone(pids: Iterable[int], patience_s: float) -> set[int]:
    """Wait until the processes have ended; those that have not after ``patience_s``."""
    deadline = time.monotonic() + patience_s
    left = set(pids)
    tick = threading.Event()
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if Path(f"/proc/{pid}/stat").exists() and not _is_zombie(pid)}
        tick.wait(0.02)
    return left


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
