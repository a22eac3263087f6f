"""The shell around the ledger of lanes, in the supervisor: answers the workers, and calls them.

Contract: one request carries many lanes of one worker, and is answered at once from memory. Whoever ought to
ask again, since another worker's demand or return concerns it, is called over its link; a call that is not
heard is made good by the worker's next question, a second later.

After a crash: nothing is on disk. A worker that ends leaves its share at once (``forget``); when the
supervisor ends, the workers do. A limit of one message in a long time starts anew with the supervisor.

Not here: what a share is (``relay.traffic.shares``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.traffic.shares import Demand, Share, SiteShares

_SWEEP_S = 5.0

Call = Callable[[int, list[str]], Awaitable[None]]


class SiteKeeper:
    """The ledger of lanes of one relay."""

    def __init__(self, clock: Clock, call: Call, tasks: Tasks) -> None:
        """``call`` tells a worker, in one of its lives, to ask about lanes; may raise RelayError."""
        self._clock = clock
        self._call = call
        self._tasks = tasks
        self._shares = SiteShares()
        self._sweep_at = 0.0

    def __len__(self) -> int:
        return len(self._shares)

    def answer(self, life: int, fields: dict[str, Any]) -> list[Share]:
        """A share for each lane that the worker asks about, in their order."""
        now = self._clock.monotonic()
        shares = [self._shares.ask(life, Demand(*one), now) for one in fields["lanes"]]
        self._make_calls()
        if now >= self._sweep_at:
            self._shares.sweep(now)
            self._sweep_at = now + _SWEEP_S
        return shares

    def forget(self, life: int) -> None:
        """A worker has ended."""
        self._shares.forget(life)
        self._make_calls()

    def _make_calls(self) -> None:
        by_worker: dict[int, list[str]] = {}
        for life, lane in self._shares.calls():
            by_worker.setdefault(life, []).append(lane)
        for life, lanes in by_worker.items():
            self._tasks.spawn(self._called(life, lanes), "call")

    async def _called(self, life: int, lanes: list[str]) -> None:
        with suppress(RelayError):
            await self._call(life, lanes)
