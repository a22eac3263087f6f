"""How far behind the consumers of the event log are: the relay's own and those of others, by their positions.

Contract: ``readings`` are numbers of the last look, which is a few seconds old. Of more than ``MOST``
consumers those with the oldest positions are passed over: nobody uses them any more. What cannot be read
keeps its last numbers. A position that nobody moves is as far behind as one that cannot keep up: who is done
with a name gives it up (`relay events forget`).

Cost: 0.1 ms for each consumer and shard, once in ``EVERY_S``, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import SpoolError
from relay.base.tasks import Tasks
from relay.spool.event_log import EventLog
from relay.spool.positions import Positions

log = logging.getLogger(__name__)

EVERY_S = 5.0
MOST = 100


class ConsumerLag:
    """Of all consumers of one spool. Owner: the notifier's event loop."""

    def __init__(self, spool: Path, clock: Clock) -> None:
        self._positions = Positions(spool)
        self._log = EventLog(spool)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "consumers")
        self._tasks = Tasks("consumers")
        self._events: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    async def start(self, stack: AsyncExitStack) -> None:
        """Look until the stack unwinds."""
        stack.callback(self._log.close)
        stack.callback(self._thread.shutdown)
        await self._tasks.start(stack)
        self._tasks.spawn(self._go_on(), "look")

    async def _go_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._look, self._clock.now())
        except SpoolError as error:
            log.debug("consumers not looked at", extra={"why": str(error)})
            return
        self._events = {name: events for name, (events, _) in found.items()}
        self._seconds = {name: seconds for name, (_, seconds) in found.items()}

    def _look(self, now: float) -> dict[str, tuple[int, float]]:
        """Events and seconds behind, by consumer. Raises SpoolError."""
        if not self._positions.is_there:
            return {}
        consumers = self._positions.all()
        names = sorted(consumers, key=lambda name: -max(at for _, at in consumers[name].values()))
        found = {}
        for name in names[:MOST]:
            offsets = {shard: offset for shard, (offset, _) in consumers[name].items()}
            events, _ = self._log.behind(offsets)
            since = self._log.waits_since(offsets) if events else None
            found[name] = events, max(0.0, now - since) if since is not None else 0.0
        return found

    def readings(self) -> dict[str, Any]:
        """For the scrape."""
        return {"consumer_behind": self._events, "consumer_behind_seconds": self._seconds}
