"""Who comes into memory, and into which lane's queue; who does not is parked.

Contract: ``why_parked`` decides for a fresh message before it is stored, so that what finds no room is stored
as parked and costs nothing more. ``admit`` shares out the recipients of a message that is in memory among
their lanes, once their routes are known; a lane that has closed meanwhile, or an account that has its share
there, sends them back to disk with no attempt counted. ``room_for`` says how much of a parked group may be
read now, or puts the group aside until that changes.

Not here: reading and writing (``loader``, ``parking``), the order on a lane (``ready_queue``).

Cost on the hot path: two lookups of a route, of a lane and of an account's queue for each fresh message; a
task only for a domain whose route is not in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from heapq import heappop, heappush

from relay.base.clock import Clock
from relay.base.message import Attempt, Message, Recipient, RecipientState
from relay.base.outcome import Deferred, Failed, Outcome, Reason, Scope
from relay.base.route import ANY_SOURCE, Route, Source
from relay.base.tasks import Tasks
from relay.traffic.account_queue import AccountQueue
from relay.traffic.backlog import Backlog, Group
from relay.traffic.lanes import Lanes
from relay.traffic.neighbours import Routes
from relay.traffic.parking import Parking
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.sources import Departures
from relay.traffic.suspensions import Suspensions
from relay.traffic.window import Window

log = logging.getLogger(__name__)

_LOOKING = 64  # messages that may wait for the route of one domain
_UNSHARED = 256  # recipients of one account on a lane whose connections other workers have
_UNKNOWN = 16  # recipients read of a group whose lane is not known
_MOST_UNKNOWN = 10_000  # domains not found at present that are remembered
_REST_S = 30.0  # for a group none of whose rows could be let in, or whose route is not known at present


class Admission:
    """Owner: the scheduler, in the event loop."""

    def __init__(
        self,
        window: Window,
        lanes: Lanes,
        routes: Routes,
        source: Callable[[Message], Source],
        parking: Parking,
        backlogs: Mapping[int, Backlog],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self.suspensions = Suspensions()
        self.looking: dict[str, list[tuple[Message, list[Recipient]]]] = {}
        self.finished: Callable[[Attempt, dict[int, Outcome]], None] = _nobody
        self.let_go: Callable[[Message], None] = _nobody
        self._window = window
        self._lanes = lanes
        self._routes = routes
        self._source = source
        self._departures = Departures()
        self._parking = parking
        self._backlogs = backlogs
        self._clock = clock
        self._tasks = tasks
        self._resting: list[tuple[float, int, Group]] = []
        self._rests = 0
        self._no_route: dict[str, float] = {}  # domains not found at present: until when

    # -- fresh ones -------------------------------------------------------------------------------------

    def why_parked(self, message: Message, domain: str) -> str | None:
        """Why a fresh message's recipients of the domain are to be stored as parked, "" where it is for want
        of room; None if they may come in."""
        account_id = message.account_id
        backlog = self._backlogs[message.shard]
        if backlog.groups and backlog.goes_before(domain, account_id, message.rank):
            return ""
        is_urgent = message.deadline > 0.0
        room = self._window.room(is_urgent)
        if room <= 0:
            return ""
        route = self._routes.cached(domain)
        if self.suspensions.is_any and (said := self.suspensions.covers(route, domain, account_id)):
            return said
        if route is None:
            return "" if len(self.looking.get(domain, ())) >= _LOOKING else None
        queue = self._lanes.by_name.get(self._lane(message, route).lane)
        if queue is None:
            return None
        if said := self._lanes.closed(queue):
            return said
        account = queue.accounts.get(account_id)
        return None if account is None or self._has_room(queue, account, room, is_urgent) else ""

    def _has_room(self, queue: ReadyQueue, account: AccountQueue, room: int, is_urgent: bool) -> bool:
        """Whether one more may wait there. Those with a deadline are not in the way of a campaign's share."""
        if account.recipients < self._share(queue, room):
            return True
        return is_urgent and account.overtaking < self._window.share(room)

    def _share(self, queue: ReadyQueue, room: int) -> int:
        """A lane without connections keeps a few, so that it is seen that it could use one."""
        if queue.control.limits.connections <= 0 and queue.route.hosts:
            return min(_UNSHARED, self._window.share(room))
        return self._window.share(room)

    def admit(self, message: Message) -> None:
        """Route the recipients of a message that is in memory."""
        message.in_hand += 1  # held while we share it out
        if len(message.recipients) == 1:
            self._route(message, message.recipients[0].domain, message.recipients)
        else:
            by_domain: dict[str, list[Recipient]] = {}
            for recipient in message.recipients:
                by_domain.setdefault(recipient.domain, []).append(recipient)
            by_lane: dict[str, tuple[Route, list[Recipient]]] = {}
            for domain, recipients in by_domain.items():
                route = self._routes.cached(domain)
                if route is None:
                    self._look_up(message, domain, recipients)
                elif self._is_suspended(message, route, domain, recipients):
                    continue
                elif route.lane in by_lane:
                    by_lane[route.lane][1].extend(recipients)
                else:
                    by_lane[route.lane] = (route, list(recipients))
            for route, recipients in by_lane.values():
                self._enqueue(message, route, recipients)
        self.let_go(message)

    def _route(self, message: Message, domain: str, recipients: list[Recipient]) -> None:
        route = self._routes.cached(domain)
        if route is None:
            self._look_up(message, domain, recipients)
        elif not self._is_suspended(message, route, domain, recipients):
            self._enqueue(message, route, recipients)

    def _is_suspended(self, message: Message, route: Route, domain: str, recipients: list[Recipient]) -> bool:
        """What the operator has stopped is parked."""
        if not self.suspensions.is_any:
            return False
        said = self.suspensions.covers(route, domain, message.account_id)
        if said:
            self._parking.park([(message, recipients)], said)
        return bool(said)

    def _look_up(self, message: Message, domain: str, recipients: list[Recipient]) -> None:
        message.in_hand += 1
        waiting = self.looking.get(domain)
        if waiting is None:
            self.looking[domain] = [(message, recipients)]
            self._tasks.spawn(self._find(domain), f"route {domain}")
        else:
            waiting.append((message, recipients))

    async def _find(self, domain: str) -> None:
        found: Route | Deferred | Failed
        try:
            found = await self._routes.find(domain)
        except Exception as error:
            log.exception("route lookup failed", extra={"domain": domain})
            found = Deferred(Scope.SITE, Reason.INTERNAL, detail=str(error))
        if isinstance(found, Deferred):
            self._no_route[domain] = self._clock.monotonic() + _REST_S
        for message, recipients in self.looking.pop(domain, ()):
            if not isinstance(found, Route):
                attempt = Attempt(message, recipients, f"domain:{domain}")
                message.in_hand += 1
                self.finished(attempt, {r.number: found for r in recipients})
            elif not self._is_suspended(message, found, domain, recipients):
                self._enqueue(message, found, recipients)
            self.let_go(message)

    def _lane(self, message: Message, route: Route) -> Route:
        """The route as this message takes it."""
        if message.tls:
            route = route.wished(message.tls)
        source = self._source(message)
        if source is ANY_SOURCE or not route.hosts:
            return route
        return self._departures.route(route, source)

    def _enqueue(self, message: Message, route: Route, recipients: list[Recipient]) -> None:
        queue = self._lanes.at(self._lane(message, route))
        account = queue.account(message.account_id)
        state = recipients[0].state
        said = self._lanes.closed(queue)
        if said or (state is RecipientState.DEFERRED and self._is_over(message, queue, account, recipients)):
            self._parking.park([(message, recipients)], said, is_refused=True)
            if state is RecipientState.PARKED and (group := self._group(message, recipients)) is not None:
                group.refused_by = account
                group.feeds.add(account)
            return
        most = queue.control.rule.recipients_per_message if queue.route.hosts else len(recipients)
        for at in range(0, len(recipients), most):
            message.in_hand += 1
            queue.push(Attempt(message, recipients[at : at + most], queue.route.lane))
        if state is RecipientState.PARKED and (group := self._group(message, recipients)) is not None:
            group.admitted += len(recipients)
            group.waits_for = account
            group.feeds.add(account)
        self._lanes.wake(queue)

    def _is_over(
        self, message: Message, queue: ReadyQueue, account: AccountQueue, recipients: list[Recipient]
    ) -> bool:
        """A message that came due, and is counted already, finds no room."""
        is_urgent = message.deadline > 0.0
        room = self._window.room(is_urgent) + len(recipients)
        return not self._has_room(queue, account, room, is_urgent)

    def _group(self, message: Message, recipients: list[Recipient]) -> Group | None:
        """The group that these were read from; a page has one domain."""
        return self._backlogs[message.shard].groups.get((recipients[0].domain, message.account_id))

    # -- parked ones ------------------------------------------------------------------------------------

    def room_for(self, group: Group) -> int:
        """How many recipients of a parked group may be read now. If none, the group is made ready again when
        that has changed; what the window lacks, the caller has to ask for."""
        route = self._routes.cached(group.domain)
        if self.suspensions.is_any and self.suspensions.covers(route, group.domain, group.account_id):
            self.rest(group)
            return 0
        if route is None and (
            group.domain in self.looking or self._no_route.get(group.domain, 0.0) > self._clock.monotonic()
        ):
            self.rest(group, 0.0)
            return 0
        account = group.waits_for
        if (
            account is None
            and route is not None
            and (queue := self._lanes.by_name.get(route.lane)) is not None
        ):
            account = queue.account(group.account_id)
        if account is None or not self._is_there(account):
            return _UNKNOWN
        if self._lanes.closed(account.lane):
            group.feeds = {one for one in group.feeds if self._is_there(one)}
            is_open = [one for one in group.feeds if not self._lanes.closed(one.lane)]
            if not is_open:
                for one in group.feeds | {account}:
                    one.groups[group] = None
                return 0
            account = group.waits_for = is_open[0]
        queue = account.lane
        if queue.is_suspect:
            return 1
        room = self._share(queue, self._window.room()) - account.recipients - account.promised
        if room <= 0:
            account.groups[group] = None
            return 0
        return room

    def _is_there(self, account: AccountQueue) -> bool:
        """Its lane has not been forgotten."""
        return self._lanes.by_name.get(account.lane.route.lane) is account.lane

    def rest(self, group: Group, seconds: float = _REST_S) -> None:
        """Look at the group again after a while."""
        self._rests += 1
        heappush(self._resting, (self._clock.monotonic() + seconds, self._rests, group))

    def end_rests(self, is_at_once: bool = False) -> None:
        """Make those groups ready that have rested long enough, or all."""
        now = self._clock.monotonic()
        while self._resting and (is_at_once or self._resting[0][0] <= now):
            group = heappop(self._resting)[2]
            group.backlog.make_ready(group)
        if is_at_once or len(self._no_route) > _MOST_UNKNOWN:
            self._no_route.clear()


def _nobody(*_: object) -> None:
    """Until the scheduler is there."""
