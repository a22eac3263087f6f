"""The census of a worker's shards: again and again, beside its work, resting in proportion to its cost.

Contract: ``readings`` are numbers of the last census, with when it was; before the first they are 0. A shard
that cannot be counted keeps its last numbers. Nobody waits for it.

Cost: measured with a million recipients waiting, 0.3 s in a thread of its own, which leaves the interpreter
to the others; 1 ms while the queue is short. The rest between two is a hundred times what the last one took,
and five seconds at least: at most a hundredth of a core, whatever waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import SpoolError
from relay.base.tasks import Tasks
from relay.spool.census import STATES, Counted, census

log = logging.getLogger(__name__)

LEAST_REST_S = 5.0
_REST = 100  # times what the last one took


def rest_s(took_s: float) -> float:
    """How long until the next, after one that took so long."""
    return max(LEAST_REST_S, _REST * took_s)


class Census:
    """Owner: the event loop of the worker."""

    def __init__(self, folders: Mapping[int, Path], clock: Clock) -> None:
        """``folders`` of the shards, by number."""
        self._folders = folders
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "census")
        self._tasks = Tasks("census")
        self._found: dict[int, Counted] = {}
        self._at = 0.0  # wall clock
        self._took_s = 0.0

    async def start(self, stack: AsyncExitStack) -> None:
        """Count until the stack unwinds."""
        stack.callback(self._thread.shutdown)
        await self._tasks.start(stack)
        self._tasks.spawn(self._go_on(), "count")

    async def _go_on(self) -> None:
        while True:
            await self.count()
            await asyncio.sleep(rest_s(self._took_s))

    async def count(self) -> None:
        """Count all shards once."""
        loop, began = asyncio.get_running_loop(), self._clock.monotonic()
        for number, folder in self._folders.items():
            now = self._clock.now()
            try:
                self._found[number] = await loop.run_in_executor(self._thread, census, folder, now)
            except SpoolError as error:
                log.warning("the queue is not counted", extra={"shard": number, "why": str(error)})
        self._at, self._took_s = self._clock.now(), self._clock.monotonic() - began

    def readings(self) -> dict[str, Any]:
        """For the scrape."""
        all_of_them, now = list(self._found.values()), self._clock.now()
        return {
            "queue_recipients": {
                state: sum(one.recipients[state] for one in all_of_them) for state in STATES
            },
            "queue_oldest_seconds": {
                state: _age([one.arrived[state] for one in all_of_them], now) for state in STATES
            },
            "queue_counted_at": self._at,
            "queue_count_seconds": self._took_s,
            "uncertain": sum(one.uncertain for one in all_of_them),
            "spool_database_bytes": sum(one.database_bytes for one in all_of_them),
            "spool_log_bytes": sum(one.log_bytes for one in all_of_them),
            "spool_files_bytes": sum(one.files_bytes for one in all_of_them),
            "event_log_events": sum(one.events for one in all_of_them),
            "event_log_oldest_seconds": _age([one.first_event_at for one in all_of_them], now),
        }


def _age(moments: list[float], now: float) -> float:
    """How long ago the first of them was; 0 without any."""
    there = [at for at in moments if at]
    return round(max(0.0, now - min(there)), 3) if there else 0.0
