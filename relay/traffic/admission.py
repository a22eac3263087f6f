"""Who comes into memory, and into which lane's queue; who does not is parked.

Contract: ``why_parked`` decides for a fresh message before it is stored, so that what finds no room is stored
as parked and costs nothing more. ``admit`` shares out the recipients of a message that is in memory among
their lanes, once their routes are known; a lane that has closed meanwhile, or an account that has its share
there, sends them back to disk with no attempt counted. ``room_for`` says how much of a parked group may be
read now, or puts the group aside until that changes.

Not here: reading and writing (``loader``, ``parking``), the order on a lane (``ready_queue``).

A group whose rows take several lanes is read for each of them from its own place (see ``backlog``); what is
read on the way and has no room goes back without a write. None of whose known lanes has room is read on
slowly, for rows that take another lane.

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
from relay.base.parked import END
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
_MIXED = 100  # and at least of one whose rows take several lanes
_EXPLORE_S = 1.0  # pages of a group none of whose known lanes has room: one in
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
        self.arriving = 0  # recipients that are read, and not yet admitted
        parking.queue_of = self._queue_of
        self._resting: list[tuple[float, int, Group]] = []
        self._rests = 0
        self._no_route: dict[str, float] = {}  # domains not found at present: until when

    # -- fresh ones -------------------------------------------------------------------------------------

    def why_parked(self, message: Message, domain: str) -> str | None:
        """Why a fresh message's recipients of the domain are to be stored as parked, "" where it is for want
        of room; None if they may come in."""
        account_id = message.account_id
        backlog = self._backlogs[message.shard]
        before = backlog.goes_before(domain, account_id, message.rank) if backlog.groups else None
        if before is not None and min(before.cursor, before.asked)[0] <= message.rank:
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
        if account is None:
            return None
        if before is not None and before.behind.get(account, END)[0] <= message.rank:
            return ""
        return None if self._has_room(queue, account, room, is_urgent) else ""

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
        group = self._group(message, recipients) if state is RecipientState.PARKED else None
        if said or self._is_refused(message, queue, account, recipients, group):
            self._parking.park([(message, recipients)], said)
            return
        most = queue.control.rule.recipients_per_message if queue.route.hosts else len(recipients)
        for at in range(0, len(recipients), most):
            message.in_hand += 1
            queue.push(Attempt(message, recipients[at : at + most], queue.route.lane))
        if group is not None:
            group.feeds.add(account)
        self._lanes.wake(queue)

    def _is_refused(
        self,
        message: Message,
        queue: ReadyQueue,
        account: AccountQueue,
        recipients: list[Recipient],
        group: Group | None,
    ) -> bool:
        """A message that came from disk, and is counted already, has no place in the queue: there is no room,
        or it was read on the way to others while some that leave before it are still on disk."""
        if group is not None:
            place = (message.rank, message.key, recipients[0].number)
            if group.behind.get(account, END) <= place:
                return True
        elif recipients[0].state is RecipientState.FRESH:
            return False
        is_urgent = message.deadline > 0.0
        room = self._window.room(is_urgent) + self.arriving + len(recipients)
        return not self._has_room(queue, account, room, is_urgent)

    def _group(self, message: Message, recipients: list[Recipient]) -> Group | None:
        """The group that these were read from; a page has one domain."""
        return self._backlogs[message.shard].groups.get((recipients[0].domain, message.account_id))

    def _queue_of(self, message: Message, domain: str) -> AccountQueue | None:
        """Where a message's recipients of the domain wait; None if that is not known."""
        route = self._routes.cached(domain)
        queue = None if route is None else self._lanes.by_name.get(self._lane(message, route).lane)
        return None if queue is None else queue.account(message.account_id)

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
        self._check(group, route)
        best: AccountQueue | None = None
        room = 0
        for account, place in group.behind.items():
            if place >= (group.behind[best] if best is not None else group.cursor):
                continue
            if (has := self._room_of(account)) > 0:
                best, room = account, has
            else:
                account.groups[group] = None
        if best is None and group.cursor < END:
            room = self._room_ahead(group, route)
        group.reads_for = best
        if best is not None:
            group.promised_to = best
        return max(room, _MIXED) if room > 0 and group.is_mixed else room

    def _check(self, group: Group, route: Route | None) -> None:
        """Forget what is known of lanes that are no more, or have become others."""
        if route is not None and route.lane != group.site:
            if group.site:
                group.start_over()
            group.site = route.lane
        for account in [one for one in group.feeds.union(group.behind) if not self._is_there(one)]:
            group.feeds.discard(account)
            group.wait(None, group.behind.pop(account, END))

    def _room_ahead(self, group: Group, route: Route | None) -> int:
        """How much to read of what is not known."""
        feeds = group.feeds
        if not feeds and route is not None and (queue := self._lanes.by_name.get(route.lane)) is not None:
            feeds = {queue.account(group.account_id)}
        if not feeds:
            return _UNKNOWN
        room, account = max(((self._room_of(one), one) for one in feeds), key=lambda one: one[0])
        if room > 0:
            group.promised_to = account
            return room
        for one in feeds:
            one.groups[group] = None
        if self._clock.monotonic() < group.explore_at:
            if not group.is_resting:
                group.is_resting = True
                self.rest(group, _EXPLORE_S)
            return 0
        group.explore_at = self._clock.monotonic() + (0.0 if group.is_mixed else _EXPLORE_S)
        return _MIXED

    def _room_of(self, account: AccountQueue) -> int:
        """How many recipients more may wait in the queue; 0 if its lane is closed."""
        queue = account.lane
        if self._lanes.closed(queue):
            return 0
        if queue.is_suspect:
            return 1 - account.promised
        return self._share(queue, self._window.room()) - account.recipients - account.promised

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
            group.is_resting = False
            group.backlog.make_ready(group)
        if is_at_once or len(self._no_route) > _MOST_UNKNOWN:
            self._no_route.clear()


def _nobody(*_: object) -> None:
    """Until the scheduler is there."""
