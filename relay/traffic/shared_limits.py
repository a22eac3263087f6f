"""What a worker may use of its lanes: asked of the ledger of lanes, in few requests for many lanes.

Contract: a lane that has just come into use has a share of no connections; the first message makes it ask,
and waits for one round trip to the supervisor. Lanes with work or with open connections ask again about once
a second, at once where more waits than was told or where the ledger calls, one request at a time with at most
``CHUNK`` lanes in it. A lane without either gives its share back and asks no more.

While the ledger cannot be asked, shares hold until they end by themselves; then the lane has no connections,
its mail waits, and a warning is logged once. No share is used past its end.

A lane with a rate has moments (``slots``): ``wait_s`` and ``took`` stand in the scheduler's way out.

State, owned by the event loop: ``_known``, what the ledger may know something of. Lanes that have one flow
in common (a rule with rollup) ask as one.

Cost on the hot path: one dict lookup and a comparison per message that is queued.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Protocol

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.outcome import Deferred, Reason
from relay.base.route import Route
from relay.base.tasks import Tasks
from relay.traffic.feedback import Feedback, read_opening
from relay.traffic.feedback import is_crowded as says_crowded
from relay.traffic.lane_share import LaneShare, name_of
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.shares import RENEW_S, Demand, Share
from relay.traffic.slots import Moments

log = logging.getLogger(__name__)

CHUNK = 500
_ASK_S = 2.0
_MARGIN_S = 0.2  # a share is left this long before it ends
_EARLY_S = 0.1  # between two questions about one lane, whatever waits
_FIRST_S = 0.02  # the same while it has no connection
_REST_S = 0.5  # after a refusal while other workers have connections: one of theirs may be on its way out
_ENOUGH = 1 << 60
_REFUSALS = (Reason.BUSY, Reason.CONNECT, Reason.CONNECTION_LOST)


class Asking(Protocol):
    """The way to the ledger: ``lane.ask``. Raises RelayError if there is none."""

    def __call__(self, what: str, timeout_s: float, **fields: Any) -> Awaitable[Any]:  # noqa: ANN401
        """The ledger's answer."""
        ...


class Connections(Protocol):
    """The connections, as far as shares concern them."""

    def wake(self, route: Route, queued: int) -> None:
        """So many attempts of the route's lane could be taken now."""
        ...

    def held(self, lane: str) -> tuple[int, int, int]:
        """Connections of the lane, on their way in and out included; of them idle; of them with a session."""
        ...


class Queues(Protocol):
    """The lanes that the scheduler keeps (``lanes.Lanes``)."""

    def find(self, lane: str) -> ReadyQueue | None:
        """The ready queue of a lane that is in memory."""
        ...

    def obey(self, queue: ReadyQueue) -> None:
        """Pass on what the lane may do, if it has changed."""
        ...


def _enough(demand: Demand, share: Share) -> int:
    """With how many in the queue more would be wanted than was told, and might be had."""
    if demand.rate_per_s:
        return _ENOUGH if demand.moments > share.moments.number else demand.moments
    if max(share.connections, demand.wanted) >= demand.connections:
        return _ENOUGH
    return demand.wanted


class SharedLimits:
    """All lanes of one worker."""

    def __init__(self, ask: Asking, clock: Clock, connections: Connections, queues: Queues) -> None:
        self.ask = ask
        self._clock = clock
        self._connections = connections
        self._queues = queues
        self._lanes: dict[str, LaneShare] = {}
        self._known: dict[str, LaneShare] = {}  # by the name under which they ask
        self._due: list[tuple[float, int, str]] = []
        self._number = count()
        self._is_due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks("shares")
        self._is_failing = False
        self.asked = 0  # requests
        self.failed: Callable[[str, Deferred], None] = _no_one  # hears that a refused lane's site is down

    async def start(self, stack: AsyncExitStack) -> None:
        """Ask, until the stack unwinds."""
        await self._tasks.start(stack)
        stack.callback(self._end_timer)
        self._tasks.spawn(self._ask_on(), "ask")

    def __len__(self) -> int:
        return len(self._lanes)

    # -- what the scheduler and the connections tell ---------------------------------------------------------

    def opened(self, queue: ReadyQueue) -> None:
        """A lane has come into use, or its rule has changed; until it is answered it may do nothing."""
        lane, name = queue.route.lane, name_of(queue)
        before, known = self._lanes.get(lane), self._known.get(name)
        if before is not None and before is not known:  # it asks under another name now
            before.queues.pop(lane, None)
            del self._lanes[lane]
        if known is None:
            queue.control.share(0, None)
            return
        known.take_in(queue)
        self._lanes[lane] = known
        queue.control.share(known.connections, None)

    def wanted(self, lane: str, queued: int) -> None:
        """So many attempts wait."""
        known = self._lanes.get(lane)
        if known is None:
            queue = self._queues.find(lane)
            if queue is None:
                return
            name = name_of(queue)
            known = self._known.get(name)
            if known is None:
                known = self._known[name] = LaneShare(name, queue.control.rule)
            self._lanes[lane] = known
            known.take_in(queue)
        known.is_active = True
        if queued > known.enough:
            known.enough = _ENOUGH
            early_s = _EARLY_S if known.connections else _FIRST_S
            self._ask_at(known, max(self._clock.monotonic(), known.asked_at + early_s))

    def call(self, names: Iterable[str]) -> None:
        """The ledger wants to hear of these at once."""
        now = self._clock.monotonic()
        for name in names:
            if (known := self._known.get(name)) is not None:
                self._ask_at(known, now)
        self._is_due.set()

    def refused(self, queue: ReadyQueue, outcome: Deferred, open_: int) -> bool:
        """The site refused a connection while ``open_`` of the lane's were open here. True if it is for the
        ledger to say what that means: whether other workers have connections there. If none has,
        ``failed`` is called."""
        known = self._lanes.get(queue.route.lane)
        if known is None or outcome.reason not in _REFUSALS:
            return False
        if read_opening(outcome) is not Feedback.CROWDED:
            return False
        is_crowded = says_crowded(outcome)
        if known.rule.is_rollup and not (open_ or is_crowded):
            return False  # that other sites of the rule take connections says nothing of this one
        queue.control.turned_away()
        now = self._clock.monotonic()
        known.refused_at, known.is_crowded = now, is_crowded
        if not open_:
            known.in_doubt[queue.route.lane] = outcome
            known.rest_until = now + _REST_S
            if not any(self._connections.held(lane)[2] for lane in known.queues):
                known.apply(0, self._queues.obey)
        self._ask_at(known, now)
        return True

    def _resolve(self, known: LaneShare, lives: bool) -> None:
        """The ledger has said what a refusal means."""
        doubts, known.in_doubt, known.refused_at = known.in_doubt, {}, 0.0
        if not lives:
            known.rest_until = 0.0
            for lane, outcome in doubts.items():
                self.failed(lane, outcome)

    # -- asking ----------------------------------------------------------------------------------------------

    def _ask_at(self, known: LaneShare, at: float) -> None:
        if at >= known.due_at:
            return
        known.due_at = at
        heapq.heappush(self._due, (at, next(self._number), known.name))
        if self._due[0][0] == at:
            self._set_timer(at)

    def _set_timer(self, at: float) -> None:
        self._end_timer()
        wait_s = at - self._clock.monotonic()
        if wait_s <= 0.0:
            self._is_due.set()
        else:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._is_due.set)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _ask_on(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while demands := self._demands():
                await self._ask_once(demands)
            if self._due:
                self._set_timer(self._due[0][0])

    def _demands(self) -> list[Demand]:
        """What the lanes that are due have to say, as many as go into one request."""
        now = self._clock.monotonic()
        found: list[Demand] = []
        while self._due and self._due[0][0] <= now and len(found) < CHUNK:
            at, _, name = heapq.heappop(self._due)
            known = self._known.get(name)
            if known is None or known.due_at != at:
                continue  # it is due at another time by now
            known.due_at = float("inf")
            found.append(self._demand(known, now))
        return found

    def _demand(self, known: LaneShare, now: float) -> Demand:
        needs = known.needs(now, self._connections.held, self._queues.find)
        for lane in needs.gone:
            self._lanes.pop(lane, None)
        if now >= known.until - _MARGIN_S or not (needs.queued or needs.held):
            known.apply(0, self._queues.obey)
        rule = known.rule
        known.slots.wait_s(now)  # drops what is lost: else nobody asks for other moments while mail waits
        known.asked_at = now
        known.enough = _ENOUGH
        return Demand(
            known.name,
            rule.connections,
            rule.rate_per_s,
            needs.held,
            known.wanted(needs, now),
            known.connections,
            max(0, needs.queued - len(known.slots)) if rule.rate_per_s else 0,
            known.slots.used_at if rule.rate_per_s else 0.0,
            needs.open,
            known.refused_at,
            known.is_crowded,
        )

    async def _ask_once(self, demands: list[Demand]) -> None:
        self.asked += 1
        try:
            answers = await self.ask("lane.ask", _ASK_S, lanes=demands)
        except RelayError as error:
            self._not_answered(demands, str(error))
            return
        if self._is_failing:
            self._is_failing = False
            log.info("the ledger of lanes answers again")
        for demand, (connections, until, again_at, moments, lives) in zip(demands, answers, strict=True):
            self._answered(demand, Share(connections, until, again_at, Moments(*moments), lives))

    def _answered(self, demand: Demand, share: Share) -> None:
        known = self._known.get(demand.lane)
        if known is None:
            return
        known.until = share.until
        known.slots.add(share.moments)
        if share.lives is not None and demand.refused_at == known.refused_at:
            self._resolve(known, share.lives)
        if known.rest_until:
            self._rested(known, share)
            return
        queued = known.queued
        if not (demand.held or demand.wanted or demand.moments or share.connections or queued):
            self._let_go(known)
            return
        known.enough = _enough(demand, share)
        self._ask_at(known, share.again_at)
        is_more = share.connections > known.connections or share.moments.number > 0
        known.apply(share.connections, self._queues.obey)
        if is_more and queued:
            self._wake(known)

    def _rested(self, known: LaneShare, share: Share) -> None:
        """A lane was refused a connection: less is obeyed at once, more only after the rest."""
        now = self._clock.monotonic()
        if known.refused_at or now < known.rest_until:
            known.apply(min(share.connections, known.connections), self._queues.obey)
            self._ask_at(known, share.again_at if known.refused_at else known.rest_until)
            return
        known.rest_until = 0.0
        known.apply(share.connections, self._queues.obey)
        self._ask_at(known, share.again_at)
        self._wake(known)

    def _wake(self, known: LaneShare) -> None:
        for queue in known.queues.values():
            if queue.waiting:
                self._connections.wake(queue.route, queue.waiting)

    def _let_go(self, known: LaneShare) -> None:
        """Nothing waits and nothing is held: its share went back, and it asks no more."""
        del self._known[known.name]
        for lane, queue in known.queues.items():
            self._lanes.pop(lane, None)
            queue.slots = None

    def _not_answered(self, demands: list[Demand], why: str) -> None:
        """Shares hold to their end; it is asked again."""
        if not self._is_failing:
            self._is_failing = True
            log.warning("the ledger of lanes cannot be asked; mail waits", extra={"why": why})
        now = self._clock.monotonic()
        for demand in demands:
            if (known := self._known.get(demand.lane)) is not None:
                self._ask_at(known, now + RENEW_S)
                if known.refused_at:
                    self._resolve(known, lives=False)
        for known in self._known.values():
            if now >= known.until - _MARGIN_S and known.connections:
                known.apply(0, self._queues.obey)


def _no_one(lane: str, outcome: Deferred) -> None:
    """Until the scheduler is there."""
