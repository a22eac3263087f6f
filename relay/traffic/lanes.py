"""The lanes of one worker: their ready queues, and what their controls are told and asked.

Contract: ``at`` finds or opens the lane of a route; ``take`` is what a free connection of it gets; ``heed``,
``failed`` and ``reached`` let its control learn, and pass new limits on to the connections. A lane that
waits for its rate calls its connections itself when the wait is over.

Bound: lanes without attempts whose failures are long ago are forgotten; there are as many lanes as domains.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from relay.base.clock import Clock
from relay.base.message import Attempt
from relay.base.outcome import Deferred, Outcome
from relay.base.route import Route
from relay.traffic.neighbours import Connections
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.settings import TrafficSettings
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRules

_KEEP = 1000  # ready queues without attempts that stay in memory


class Lanes:
    """By name. Owner: the scheduler, in the event loop."""

    def __init__(
        self, connections: Connections, rules: SiteRules, clock: Clock, settings: TrafficSettings
    ) -> None:
        self.by_name: dict[str, ReadyQueue] = {}
        self.is_draining = False
        self._connections = connections
        self._rules = rules
        self._clock = clock
        self._settings = settings
        self._most = _KEEP

    def at(self, route: Route) -> ReadyQueue:
        """The ready queue of the route's lane."""
        queue = self.by_name.get(route.lane)
        if queue is None:
            return self._open(route)
        if route is not queue.route:
            queue.route = route
        return queue

    def _open(self, route: Route) -> ReadyQueue:
        rule = self._rules.rule(route)
        queue = ReadyQueue(route, SiteControl(rule, self._settings.site_backoff))
        self.by_name[route.lane] = queue
        if route.hosts:
            self._connections.limit(route.lane, queue.control.limits)
        return queue

    def wake(self, queue: ReadyQueue) -> None:
        """Call those who take what waits there."""
        self._connections.wake(queue.route, queue.waiting)

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a free connection of the lane."""
        queue = self.by_name.get(lane)
        if queue is None or not queue.waiting or self.is_draining:
            return None
        now = self._clock.monotonic()
        wait_s = queue.control.wait_s(now)
        if wait_s > 0.0:
            self._call_later(queue, wait_s)
            return None
        attempt = queue.pop()
        queue.control.took(now, len(attempt.recipients))
        return attempt

    def _call_later(self, queue: ReadyQueue, wait_s: float) -> None:
        """Connections that found the lane waiting are called when it may go on."""
        if not queue.is_called:
            queue.is_called = True
            asyncio.get_running_loop().call_later(wait_s, self._call, queue)

    def _call(self, queue: ReadyQueue) -> None:
        queue.is_called = False
        if queue.waiting and not self.is_draining:
            self.wake(queue)

    def heed(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """Let the attempt's lane learn from what became of it."""
        queue = self.by_name.get(attempt.lane)
        if queue is None or not attempt.took_s:
            return
        before = queue.control.limits
        queue.control.heard(self._clock.monotonic(), outcomes.values(), attempt.took_s)
        if queue.control.limits is not before:
            self._connections.limit(attempt.lane, queue.control.limits)

    def failed(self, lane: str, outcome: Deferred) -> list[Attempt]:
        """No host of the site could be reached; returns all that waits for it."""
        queue = self.by_name.get(lane)
        if queue is None:
            return []
        queue.control.unreachable(self._clock.monotonic(), outcome, random.random())  # noqa: S311
        return queue.empty()

    def reached(self, lane: str) -> None:
        """A host of the site answered."""
        if (queue := self.by_name.get(lane)) is not None:
            queue.control.reached(self._clock.monotonic())

    def forgive(self) -> None:
        """Forget that sites were down."""
        for queue in self.by_name.values():
            queue.control.reached(self._clock.monotonic())

    def forget_idle(self) -> None:
        """Let those go that are of no more use, once there are many."""
        if len(self.by_name) <= self._most:
            return
        long_ago = self._clock.monotonic() - self._settings.site_backoff.longest_s
        self.by_name = {
            name: queue
            for name, queue in self.by_name.items()
            if queue.waiting or queue.control.retry_at > long_ago
        }
        self._most = max(_KEEP, 2 * len(self.by_name))

    def sites(self) -> Sequence[tuple[str, int, bool]]:
        """(lane, attempts that wait, is down) of every lane in memory."""
        now = self._clock.monotonic()
        return [(name, q.waiting, q.control.is_down(now)) for name, q in self.by_name.items()]
