"""The lanes of one worker: their ready queues, and what their controls are told and asked.

Contract: ``at`` finds or opens the lane of a route; ``take`` is what a free connection of it gets; ``heed``,
``failed`` and ``reached`` let its control learn, and pass new limits on to the connections. A lane that
waits for its rate calls its connections itself when the wait is over.

A lane whose site failed is *closed* until its control lets it be tried again, and then takes one attempt, to
find out, until the site has answered.

Bound: lanes without attempts whose failures are long ago are forgotten; there are as many lanes as domains.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from relay.base.clock import Clock
from relay.base.message import Attempt
from relay.base.outcome import Deferred, Outcome
from relay.base.route import Route
from relay.traffic.account_queue import AccountQueue
from relay.traffic.controls import Controls
from relay.traffic.last_known import describe
from relay.traffic.neighbours import Connections
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.settings import TrafficSettings
from relay.traffic.site_rule import SiteRules

_NEXT_MOMENTS_S = 1.0  # at the latest; who brings them calls the connections
_KEEP = 1000  # ready queues without attempts that stay in memory
_LOOKED_AT_PER_S = 2000
_LATE_AT_ONCE = 50  # attempts past their time that one connection may meet before others have their turn
_BROKE_OFF = "site-down: dialogue after dialogue broke off"


def _ours_alone(queue: ReadyQueue) -> None:
    """No other worker shares the lane."""


def _no_ledger(queue: ReadyQueue, outcome: Deferred, open_: int) -> bool:
    """No one else knows what a refusal means."""
    return False


class Lanes:
    """By name. Owner: the scheduler, in the event loop."""

    def __init__(
        self, connections: Connections, rules: SiteRules, clock: Clock, settings: TrafficSettings
    ) -> None:
        self.by_name: dict[str, ReadyQueue] = {}
        self.is_draining = False
        self.taken: set[Attempt] = set()  # in the hands of a connection
        self.opened: Callable[[ReadyQueue], None] = _ours_alone  # hears of each lane that comes into use
        self.refused: Callable[[ReadyQueue, Deferred, int], bool] = _no_ledger  # True: it is the ledger's
        self.has_become_low: Callable[[ReadyQueue, AccountQueue], None] = _no_one
        self.is_too_late: Callable[[Attempt], None] = _no_one
        self._connections = connections
        self.controls = Controls(rules, settings.site_backoff)
        self._clock = clock
        self._settings = settings
        self._most = _KEEP
        self._states: dict[str, int] = {}
        self._look_again_at = 0.0

    def at(self, route: Route) -> ReadyQueue:
        """The ready queue of the route's lane."""
        queue = self.by_name.get(route.lane)
        if queue is None:
            return self._open(route)
        if route is not queue.route:
            queue.route = route
        return queue

    def _open(self, route: Route) -> ReadyQueue:
        queue = ReadyQueue(route, self.controls.open(route))
        self.by_name[route.lane] = queue
        if route.hosts:
            self.opened(queue)
        self.obey(queue)
        return queue

    def replace_rules(self, rules: SiteRules) -> None:
        """Other bounds, from the next message on."""
        self.controls.replace_rules(rules)
        for queue in self.by_name.values():
            self.controls.renew(queue.route, queue.control)
            if queue.route.hosts:
                self.opened(queue)
            self.obey(queue)
            if queue.waiting:
                self.wake(queue)

    def obey(self, queue: ReadyQueue) -> None:
        """Pass on what the lane may do, if it has changed."""
        limits = queue.control.limits
        if limits is not queue.limits:
            queue.limits = limits
            if queue.route.hosts:
                self._connections.limit(queue.route.lane, limits)

    def find(self, lane: str) -> ReadyQueue | None:
        """The ready queue of a lane that is in memory."""
        return self.by_name.get(lane)

    def wake(self, queue: ReadyQueue) -> None:
        """Call those who take what waits there, unless they are called anyway when something may go."""
        if queue.call is None:
            self._connections.wake(queue.route, queue.waiting)

    def closed(self, queue: ReadyQueue) -> str:
        """Why nothing may be queued on the lane now; "" if it may."""
        if queue.control.is_down(self._clock.monotonic()) or (queue.is_suspect and queue.waiting):
            return queue.why or "site-down: the site is left alone for a while"
        return ""

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a free connection of the lane. What is past its time is not handed out."""
        queue = self.by_name.get(lane)
        if queue is None or not queue.waiting or self.is_draining:
            return None
        now = self._clock.monotonic()
        wait_s = self._wait_s(queue, now)
        if wait_s > 0.0:
            self._call_later(queue, wait_s)
            return None
        wall = self._clock.now()
        for _ in range(_LATE_AT_ONCE):
            if not queue.waiting:
                return None
            attempt = queue.pop()
            account = queue.accounts[attempt.message.account_id]
            if account.groups:
                self.has_become_low(queue, account)
            if attempt.message.gives_up_at > wall:
                if queue.slots is not None:
                    queue.slots.take(now)
                queue.control.took(now, len(attempt.recipients))
                self.taken.add(attempt)
                return attempt
            self.is_too_late(attempt)
        self._call_later(queue, 0.0)
        return None

    def _wait_s(self, queue: ReadyQueue, now: float) -> float:
        """Seconds until a message of the lane may go; 0 if one may."""
        wait_s = queue.control.wait_s(now)
        if queue.slots is None:
            return wait_s
        moment_s = queue.slots.wait_s(now)
        return max(wait_s, _NEXT_MOMENTS_S if moment_s is None else moment_s)

    def _call_later(self, queue: ReadyQueue, wait_s: float) -> None:
        """Connections that found the lane waiting are called when it may go on."""
        loop = asyncio.get_running_loop()
        at = loop.time() + wait_s
        if queue.call is not None:
            if queue.call_at <= at:
                return
            queue.call.cancel()
        # the time is kept here: uvloop's handle of a wait below half a millisecond does not know its own
        queue.call_at = at
        queue.call = loop.call_later(wait_s, self._call, queue)

    def _call(self, queue: ReadyQueue) -> None:
        """The wait is over: wake no more connections than messages may go."""
        queue.call = None
        if queue.waiting and not self.is_draining:
            now = self._clock.monotonic()
            may_go = queue.control.allowed(now, queue.waiting)
            if queue.slots is not None:
                may_go = min(may_go, queue.slots.ready(now))
            self._connections.wake(queue.route, max(1, may_go))

    def heed(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> list[Attempt]:
        """Let the attempt's lane learn from what became of it; returns all that waits there if the lane is
        down now, because dialogue after dialogue broke off."""
        self.taken.discard(attempt)
        queue = self.by_name.get(attempt.lane)
        if queue is None or not attempt.took_s:
            return []
        control = queue.control
        now = self._clock.monotonic()
        control.heard(now, outcomes.values(), attempt.took_s)
        if control.limits is not queue.limits:
            self.obey(queue)
        if not control.retry_at or not control.is_down(now):
            if queue.waiting and queue.call is None and (queue.slots is not None or control.is_paced(now)):
                # the connection may leave now, and was told of no more messages than might go by then
                self._call_later(queue, self._wait_s(queue, now))
            return []
        queue.is_suspect, queue.why = True, _BROKE_OFF
        return queue.empty()

    def crowded(self, lane: str, outcome: Deferred, open_: int) -> None:
        """The site refused a connection while ``open_`` of ours were open."""
        if (queue := self.by_name.get(lane)) is not None and not self.refused(queue, outcome, open_):
            queue.control.crowded(self._clock.monotonic(), outcome, open_)
            self.obey(queue)

    def is_in_doubt(self, lane: str, outcome: Deferred) -> bool:
        """A connection was refused where this worker has none; others may have. What waits stays."""
        queue = self.by_name.get(lane)
        return queue is not None and self.refused(queue, outcome, 0)

    def failed(self, lane: str, outcome: Deferred) -> tuple[Attempt | None, list[Attempt]]:
        """No host of the site could be reached; returns the attempt that was made by that, and all else that
        waits for it."""
        queue = self.by_name.get(lane)
        if queue is None:
            return None, []
        queue.control.unreachable(self._clock.monotonic(), outcome, random.random())  # noqa: S311
        queue.is_suspect, queue.why = True, describe(outcome)
        self.obey(queue)
        return queue.pop() if queue.waiting else None, queue.empty()

    def reached(self, lane: str) -> ReadyQueue | None:
        """A host of the site answered; returns the lane's queue if there is one."""
        queue = self.by_name.get(lane)
        if queue is not None:
            queue.control.reached(self._clock.monotonic())
            queue.is_suspect = False
        return queue

    def forgive(self) -> None:
        """Forget that sites were down."""
        for queue in self.by_name.values():
            queue.control.forgive(self._clock.monotonic())
            queue.is_suspect = False

    def forget_idle(self) -> None:
        """Let those go that are of no more use, once there are many."""
        if len(self.by_name) <= self._most:
            return
        now = self._clock.monotonic()
        gone = [
            name
            for name, queue in self.by_name.items()
            if not (queue.waiting or queue.control.is_worth_keeping(now) or queue.is_waited_for)
        ]
        for name in gone:
            del self.by_name[name]
            self._connections.limit(name, None)
        self._most = max(_KEEP, 2 * len(self.by_name))

    def states(self) -> dict[str, int]:
        """How many lanes are in which state (``SiteControl.state``)."""
        now = self._clock.monotonic()
        return dict(Counter(queue.control.state(now) for queue in self.by_name.values()))

    def states_of_late(self) -> dict[str, int]:
        """The same for who asks every second: with many lanes as of some seconds ago, since a look at each
        takes 0.8 microseconds."""
        now = self._clock.monotonic()
        if now >= self._look_again_at:
            self._states = self.states()
            self._look_again_at = now + len(self.by_name) / _LOOKED_AT_PER_S
        return self._states

    def listed(self, site: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """What there is to say of lanes whose name holds ``site``: those that are not open first, then those
        where most waits. ``limit`` 0: all."""
        now = self._clock.monotonic()
        found = [(name, queue) for name, queue in self.by_name.items() if site in name]
        found.sort(key=lambda one: (one[1].control.state(now) == "open", -one[1].waiting, one[0]))
        return [
            {"site": name, "waiting": queue.waiting, **queue.control.describe(now)}
            for name, queue in found[: limit or None]
        ]

    def sites(self) -> Sequence[tuple[str, int, bool]]:
        """(lane, attempts that wait, is down) of every lane in memory."""
        now = self._clock.monotonic()
        return [(name, q.waiting, q.control.is_down(now)) for name, q in self.by_name.items()]


def _no_one(*_: object) -> None:
    """Until the scheduler is there."""
