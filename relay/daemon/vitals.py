"""What every process of the relay knows of itself: memory, processor time, descriptors, and how promptly its
event loop comes back.

Contract: ``beat`` calls ``touch`` once a second from the event loop, for as long as the task lives, and notes
how late the loop was; who watches ``touch`` sees a loop that hangs. ``readings`` are numbers for the scrape.

Cost: 20 microseconds a reading, once a second; it reads /proc.
"""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from collections.abc import Callable
from typing import Any

from relay.base.clock import Clock
from relay.base.histogram import MOMENTS, Histogram

BEAT_S = 1.0


class Vitals:
    """Those of the process that makes it. Owner: its event loop."""

    def __init__(self, clock: Clock) -> None:
        self.loop_lag = Histogram(MOMENTS)
        self._started_at = clock.now()

    async def beat(self, touch: Callable[[], None]) -> None:
        """Touch once a second, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            touch()
            wanted = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.loop_lag.observe(max(0.0, loop.time() - wanted))

    def readings(self) -> dict[str, Any]:
        """For the scrape."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return {
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "resident_bytes": _resident_bytes(),
            "peak_resident_bytes": usage.ru_maxrss * 1024,
            "open_fds": _open_fds(),
            "max_fds": soft,
            "threads": threading.active_count(),
            "process_started_at": self._started_at,
            "loop_lag": self.loop_lag.reading(),
        }


def _resident_bytes() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_fds() -> int:
    """How many there are. Since Linux 6.2 the folder's size tells; before, it is 0 and they are listed, the
    one that lists them among them."""
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")) - 1
