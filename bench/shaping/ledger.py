"""The ledger of lanes between modelled workers, on the virtual clock.

What decides is the relay's own ``SiteShares``; the asking is that of ``shared_limits``, without its sockets:
a question takes a millisecond, and whoever is called asks at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.base.outcome import Deferred
from relay.traffic.feedback import Feedback, is_crowded, read_opening
from relay.traffic.shares import Demand, SiteShares

if TYPE_CHECKING:
    from bench.shaping.simulation import Worker, World

_TRIP_S = 0.001
_REST_S = 0.5


@dataclass(slots=True)
class _Known:
    """What a worker knows of its share."""

    worker: Worker
    share: int = 0
    asks_at: float = float("inf")
    refused_at: float = 0.0
    rest_until: float = 0.0
    failure: Deferred | None = None  # of a connection where it had no other


class Ledger:
    """Of one receiver."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shares = SiteShares()
        self._known: list[_Known] = []

    def join(self, worker: Worker) -> None:
        """One more worker; it may do nothing before it has asked."""
        worker.control.share(0, None)
        worker.ledger = self
        worker.number = len(self._known)
        self._known.append(_Known(worker))

    def wanted(self, worker: Worker) -> None:
        """Something waits."""
        known = self._known[worker.number]
        if known.asks_at == float("inf"):
            self._ask_at(known, self._world.now + _TRIP_S)

    def refused(self, worker: Worker, failure: Deferred, open_: int) -> bool:
        """A connection was refused: True if the ledger will say what that means."""
        if read_opening(failure) is not Feedback.CROWDED:
            return False
        known, now = self._known[worker.number], self._world.now
        known.refused_at = now
        if not open_:
            known.failure, known.rest_until = failure, now + _REST_S
            self._apply(known, 0)
        self._ask_at(known, now + _TRIP_S)
        return True

    def _ask_at(self, known: _Known, at: float) -> None:
        if at < known.asks_at:
            known.asks_at = at
            self._world.at(at, self._ask, known, at)

    def _ask(self, known: _Known, at: float) -> None:
        if at != known.asks_at:
            return
        known.asks_at = float("inf")
        now, worker = self._world.now, known.worker
        rule = worker.control.rule
        held, idle, open_ = worker.held()
        queued = 0 if worker.control.is_down(now) else worker.queue.waiting
        wanted = min(rule.connections, queued + held - idle)
        crowded = known.failure is None or is_crowded(known.failure)
        share = self._shares.ask(
            worker.number,
            Demand(
                "it",
                rule.connections,
                0.0,
                held,
                wanted,
                known.share,
                0,
                0.0,
                open_,
                known.refused_at,
                crowded,
            ),
            now,
        )
        if known.refused_at and share.lives is not None:
            failure, known.failure, known.refused_at = known.failure, None, 0.0
            if failure is not None and not share.lives:
                known.rest_until = 0.0
                worker.site_is_down(failure)
        is_resting = known.refused_at or now < known.rest_until
        self._apply(known, min(share.connections, known.share) if is_resting else share.connections)
        again_at = known.rest_until if is_resting and not known.refused_at else share.again_at
        if share.connections or held or worker.queue.waiting or is_resting:
            self._ask_at(known, max(again_at, now + _TRIP_S))
        for other, _ in self._shares.calls():
            self._ask_at(self._known[other], now + _TRIP_S)
        worker.arrange()

    def _apply(self, known: _Known, connections: int) -> None:
        known.share = connections
        known.worker.control.share(connections, None)
        known.worker.let_idle_go()
