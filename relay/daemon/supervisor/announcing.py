"""What systemd is told of a relay that runs: READY once all workers are, then STATUS and the watchdog.

Contract: until all are ready, systemd is asked for more time, as long as no worker has died: a long recovery
is no failure. READY is said once. From then on, once every ten seconds or as often as the watchdog wants it,
``watchdog`` decides whether it is fed, and the line of ``status_line`` is sent, from readings that were asked
for anyway. Nothing here waits for a worker: one that is silent cannot keep the watchdog waiting.

Without systemd it logs that the relay is ready, and ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import relay
from relay.admin.status_line import status_line
from relay.base.clock import Clock
from relay.daemon import systemd
from relay.daemon.supervisor.watchdog import beyond_mending
from relay.daemon.supervisor.workers import Workers

log = logging.getLogger(__name__)

_START_STEP_S = 10.0
_STATUS_S = 10.0


class Announcing:
    """State: which workers keep the watchdog from being fed."""

    def __init__(
        self,
        workers: Workers,
        heartbeat_s: float,
        clock: Clock,
        latest: Callable[[], Mapping[int, Mapping[str, Any]]],
        is_draining: Callable[[], bool],
    ) -> None:
        """``latest``: what the workers read a moment ago."""
        self._workers = workers
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._latest = latest
        self._is_draining = is_draining
        self._stuck: list[int] = []

    async def run(self) -> None:
        """Announce for as long as the relay runs."""
        await self._until_ready()
        workers = self._workers
        log.info("relay ready", extra={"workers": workers.count, "version": relay.__version__})
        systemd.notify(f"READY=1\nSTATUS={workers.count} workers")
        if not systemd.is_there():
            return
        interval_s = systemd.watchdog_interval_s()
        step_s = _STATUS_S if interval_s is None else min(interval_s, _STATUS_S)
        last = said_at = self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            if interval_s is not None and self._is_well(now, is_late=now - last > 2 * step_s):
                systemd.notify("WATCHDOG=1", is_said_again=True)
            if now - said_at >= _STATUS_S:
                said_at = now
                line = status_line(workers.readiness(), self._latest(), is_draining=self._is_draining())
                systemd.notify(f"STATUS={line}", is_said_again=True)
            last = now
            await asyncio.sleep(step_s)

    async def _until_ready(self) -> None:
        workers = self._workers
        while not workers.all_ready.is_set():
            if not any(one.count for one in workers.restarts.values()):
                systemd.extend(3 * _START_STEP_S)
            try:
                async with asyncio.timeout(_START_STEP_S):
                    await workers.all_ready.wait()
            except TimeoutError:
                log.info("workers start", extra={"ready": len(workers.ready), "of": workers.count})

    def _is_well(self, now: float, *, is_late: bool) -> bool:
        """Whether to feed. ``is_late``: the whole machine stood still; let the workers breathe first."""
        stuck = [] if is_late else beyond_mending(self._workers.pulses(), now, self._heartbeat_s)
        if stuck and stuck != self._stuck:
            log.error(
                "workers hang and cannot be mended; systemd's watchdog is not fed", extra={"dead": stuck}
            )
        self._stuck = stuck
        return not stuck
