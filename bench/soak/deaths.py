"""Kills and restarts: one worker, the notifier, the supervisor with all that is below it, and SIGTERM.

Each returns when the relay is whole again (or will be by itself, as after the death of a worker or of the
notifier, which the supervisor starts anew).
"""

from __future__ import annotations

import time
from collections import Counter

from bench.soak.watch import Watch, role_of
from tests.crash.rig import Rig, until


class Deaths:
    """``done`` counts them; ``starts`` and ``stops`` are how long each took, in seconds."""

    def __init__(self, rig: Rig, watch: Watch) -> None:
        self.done: Counter[str] = Counter()
        self.starts: list[float] = []
        self.stops: list[float] = []
        self._rig = rig
        self._watch = watch

    async def happen(self, what: str) -> None:
        """One of the plan's."""
        match what:
            case "kill worker":
                await self._kill_worker()
            case "kill notifier":
                self._rig.kill(self._rig.notifier_pids())
            case "kill supervisor":
                self._rig.worker_pids()
                self._watch.is_kept = False
                self._rig.kill([self._rig.pid])
                await self._rig.gone()  # workers without their supervisor end by themselves
                await self.start()
            case "restart":
                await self.stop()
                await self.start()
        self.done[what] += 1

    async def start(self) -> None:
        """Until all workers are ready."""
        began = time.monotonic()
        self._rig.start()
        await self._rig.ready()
        self._watch.is_kept = True
        self.starts.append(time.monotonic() - began)

    async def stop(self) -> None:
        """SIGTERM. RuntimeError if the relay does not end well."""
        began = time.monotonic()
        self._watch.is_kept = False
        status = await self._rig.stop()
        self.stops.append(time.monotonic() - began)
        if status:
            raise RuntimeError(f"the relay ended with status {status}: {self._rig.log}")

    async def _kill_worker(self) -> None:
        """The one with the highest number; never worker 0, unless it is alone."""
        roles = {role_of(pid): pid for pid in self._rig.worker_pids()}
        workers = sorted(role for role in roles if role.startswith("worker"))
        if workers:
            victim = roles[workers[-1]]
            self._rig.kill([victim])
            await until(lambda: victim not in self._rig.worker_pids(), 10.0, "the worker is dead")
