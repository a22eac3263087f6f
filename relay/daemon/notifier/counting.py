"""What the notifier counts, joined: the statistics file, the sink that fills it, the watch over reputations.

Part of the wiring, in a file of its own. The file has one thread, which all its questions go through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

from relay.base.clock import Clock
from relay.base.simulator import is_simulator
from relay.daemon.notifier.reputation_watch import Notify, ReputationWatch
from relay.daemon.notifier.statistics_sink import StatisticsSink
from relay.daemon.settings.config import Config
from relay.daemon.translate import reputation_thresholds
from relay.directory.refresh import LiveSnapshot
from relay.directory.store import Directory
from relay.spool.event_log import EventLog
from relay.spool.statistics import Statistics


class Counting:
    """``sink`` counts once a follower leads it; ``watch`` looks at what was counted once it is started."""

    def __init__(
        self,
        config: Callable[[], Config],
        live: LiveSnapshot,
        directory: Directory,
        notify: Notify,
        clock: Clock,
    ) -> None:
        """``config`` is asked anew for what a reload changes."""
        spool = config().spool.path
        self._thread = ThreadPoolExecutor(1, "statistics")
        self._statistics = Statistics(spool)
        self._sends = EventLog(spool)
        self._live = live
        self._config = config
        self.sink = StatisticsSink(self._statistics, self._thread, self._sends, self._is_excepted, clock)
        self.watch = ReputationWatch(
            spool=spool,
            statistics=self._statistics,
            thread=self._thread,
            counting=self.sink,
            accounts=lambda: live.current,
            show=directory.accounts.show,
            pause=directory.accounts.pause,
            notify=notify,
            limits=lambda: reputation_thresholds(config().reputation),
            clock=clock,
        )

    async def start(self, stack: AsyncExitStack) -> None:
        """Open, and watch until the stack unwinds."""
        stack.callback(self._thread.shutdown)
        stack.push_async_callback(self._close)
        await self.watch.start(stack)

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        for part in (self._statistics, self._sends):
            await loop.run_in_executor(self._thread, part.close)

    def _is_excepted(self, account_id: int, address: str) -> bool:
        """Mail to the simulator and to the account's own verified identities counts towards no rate."""
        return self._live.current.covers(account_id, address) or is_simulator(
            address, self._config().signing.service_domain
        )

    def readings(self) -> dict[str, Any]:
        """For the scrape."""
        return {
            "bounces": dict(self.sink.bounces),
            "complaints": self.sink.complaints,
            **self.watch.readings(),
        }
