"""Which message leaves when: fresh ones at once, waiting ones when they are due.

Path: ``submit`` (fresh, stored a moment ago) or the loader (due, from disk) -> route -> ready queue of the
lane (source and site) -> ``take`` by a connection of the pool -> ``finished`` with an outcome per recipient
-> the verdict's change -> the shard. The scheduler owns the ready queues and the window, and nothing else is
mutable.

Promise: a recipient that is taken ends in exactly one change, and one that is loaded is not loaded again
before that change is on disk. What is in memory when the process ends is still on disk.

Cost on the hot path: one dict lookup and one deque append per fresh message, no task; a task only for a
domain whose route is not in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.events import Change, Deferral
from relay.base.message import Attempt, Message, Recipient, RecipientState
from relay.base.outcome import Deferred, Failed, Outcome, Reason, Scope
from relay.base.route import ANY_SOURCE, Route, Source
from relay.base.tasks import Tasks
from relay.traffic.lanes import Lanes
from relay.traffic.loader import Loader
from relay.traffic.neighbours import Connections, Routes, Store, Verdict, any_source
from relay.traffic.settings import TrafficSettings
from relay.traffic.settling import Settling
from relay.traffic.site_rule import OneRule, SiteRules
from relay.traffic.sources import Departures
from relay.traffic.whereabouts import Spot, whereabouts
from relay.traffic.window import Window

log = logging.getLogger(__name__)

_PREFETCH = 16  # contents read in one go; one thread hop costs about as much as ten small reads


class Scheduler:
    """The queue manager of one worker; see the module."""

    def __init__(
        self,
        shards: dict[int, Store],
        routes: Routes,
        verdict: Verdict,
        connections: Connections,
        clock: Clock,
        budget: Budget,
        settings: TrafficSettings,
        rules: SiteRules = OneRule(),  # noqa: B008 (frozen)
        source: Callable[[Message], Source] = any_source,
    ) -> None:
        """``source`` says from where a message leaves."""
        self.window = Window(settings.window)
        self.settings = settings
        self.budget = budget
        self._shards = shards
        self._routes = routes
        self._source = source
        self._departures = Departures()
        self._clock = clock
        self._looking: dict[str, list[tuple[Message, list[Recipient]]]] = {}
        self._tasks = Tasks("traffic")
        self.lanes = Lanes(connections, rules, clock, settings)
        self.settling = Settling(
            shards, verdict, self.window, budget, clock, settings.internal_retry_s, self._tasks
        )
        self.loader = Loader(shards, self.window, clock, settings.poll_s, self._admit, self.lanes.forget_idle)
        self.settling.announce, self.settling.submit = self.announce, self.submit
        self.settling.left = self.loader.left

    async def start(self, stack: AsyncExitStack) -> None:
        """Begin to load what is due; end with the stack."""
        await self._tasks.start(stack)
        self._tasks.spawn(self.loader.run(), "loader")
        stack.callback(self.drain)

    def drain(self) -> None:
        """Hand out no more attempts; what is queued stays on disk for the next start. Outcomes are settled at
        once, since a task that reads content for a bounce might not end before we do."""
        self.lanes.is_draining = self.settling.is_draining = True

    # -- in -----------------------------------------------------------------------------------------------

    def announce(self, message: Message) -> None:
        """A fresh message is about to be stored. If there is no room for it in the window it is stored as
        waiting, due now, and comes in through the loader."""
        if not self.window.has_room and message.recipients[0].state is RecipientState.FRESH:
            now = self._clock.now()
            for recipient in message.recipients:
                recipient.state = RecipientState.DEFERRED
                recipient.due_at = now

    def submit(self, message: Message) -> None:
        """A message was stored. Those stored as waiting are left to the loader."""
        recipients = message.recipients
        message.left = len(recipients)
        if recipients[0].state is not RecipientState.FRESH:
            message.content = None
            self.loader.call()
            return
        self.window.fresh += len(recipients)
        if message.is_large or not self.budget.take(message.size_bytes):
            message.content = None
        self._admit(message)

    def _admit(self, message: Message) -> None:
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
                elif route.lane in by_lane:
                    by_lane[route.lane][1].extend(recipients)
                else:
                    by_lane[route.lane] = (route, list(recipients))
            for route, recipients in by_lane.values():
                self._enqueue(message, route, recipients)
        self.settling.let_go(message)

    def _route(self, message: Message, domain: str, recipients: list[Recipient]) -> None:
        route = self._routes.cached(domain)
        if route is None:
            self._look_up(message, domain, recipients)
        else:
            self._enqueue(message, route, recipients)

    def _look_up(self, message: Message, domain: str, recipients: list[Recipient]) -> None:
        message.in_hand += 1
        waiting = self._looking.get(domain)
        if waiting is None:
            self._looking[domain] = [(message, recipients)]
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
        for message, recipients in self._looking.pop(domain, ()):
            if isinstance(found, Route):
                self._enqueue(message, found, recipients)
            else:
                outcome = found
                attempt = Attempt(message, recipients, f"domain:{domain}")
                message.in_hand += 1
                self.finished(attempt, {r.number: outcome for r in recipients})
            self.settling.let_go(message)

    def _enqueue(self, message: Message, route: Route, recipients: list[Recipient]) -> None:
        if message.tls:
            route = route.wished(message.tls)
        source = self._source(message)
        if source is not ANY_SOURCE and route.hosts:
            route = self._departures.route(route, source)
        queue = self.lanes.at(route)
        control = queue.control
        most = control.rule.recipients_per_message if route.hosts else len(recipients)
        for at in range(0, len(recipients), most):
            attempt = Attempt(message, recipients[at : at + most], route.lane)
            message.in_hand += 1
            if control.retry_at and control.is_down(self._clock.monotonic()):
                down = Deferred(Scope.SITE, Reason.SITE_DOWN, detail="the site failed a moment ago")
                self.finished(attempt, {r.number: down for r in attempt.recipients})
            else:
                queue.push(attempt)
                self.lanes.wake(queue)

    # -- out: what the pool of connections asks for -----------------------------------------------------

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a free connection of the lane."""
        return self.lanes.take(lane)

    async def content(self, attempt: Attempt) -> bytes | Path:
        """The content of an attempt's message that is not in memory. Raises SpoolCorrupt."""
        message = attempt.message
        if message.content is not None:
            return message.content
        ahead: list[Message] = []
        queue = self.lanes.by_name.get(attempt.lane)
        if queue is not None and not message.is_large:
            ahead = [waiting.message for waiting in queue.ahead(message.account_id, _PREFETCH)]
        return await self.settling.content(attempt, ahead)

    def before_dot(self, attempt: Attempt) -> None:
        """The final dot is about to be sent: from here to the outcome's commit it is uncertain."""
        numbers = [r.number for r in attempt.recipients]
        message = attempt.message
        attempt.slots += self._shards[message.shard].journal.begin(message.key, numbers)

    def finished(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """What became of each recipient of the attempt, by number."""
        waiting = self.lanes.heed(attempt, outcomes)
        self.settling.finish(attempt, outcomes)
        if waiting:
            down = Deferred(Scope.SITE, Reason.SITE_DOWN, detail="dialogue after dialogue broke off")
            self._give_back(attempt.lane, down, waiting)

    def site_failed(self, lane: str, outcome: Deferred) -> None:
        """No host of the site could be reached: all that waits for it goes back to disk."""
        self._give_back(lane, outcome, self.lanes.failed(lane, outcome))

    def _give_back(self, lane: str, outcome: Deferred, waiting: list[Attempt]) -> None:
        log.warning(
            "site cannot be reached",
            extra={"site": lane, "waiting": len(waiting), "reason": outcome.reason, "detail": outcome.detail},
        )
        for attempt in waiting:
            self.finished(attempt, {r.number: outcome for r in attempt.recipients})

    def crowded(self, lane: str, outcome: Deferred, open_: int) -> None:
        """The site refused a connection while ``open_`` of ours were open."""
        self.lanes.crowded(lane, outcome, open_)

    def site_up(self, lane: str) -> None:
        """A host of the site answered."""
        self.lanes.reached(lane)

    # -- the operator -----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Try everything again now: forget that sites were down, look at the disk at once."""
        self.lanes.forgive()
        self.loader.call()

    def forget(self, shard: int, keys: set[int]) -> int:
        """The operator deleted or held messages in the shard: drop their attempts that still wait in memory;
        returns how many. What was neither deleted nor held goes back to disk, due now. An attempt that a
        connection has taken goes on."""
        dropped: list[tuple[Message, list[Recipient]]] = []
        for queue in self.lanes.by_name.values():
            meant = queue.remove(lambda one: one.message.shard == shard and one.message.key in keys)
            dropped += [(attempt.message, attempt.recipients) for attempt in meant]
        for domain, waiting in self._looking.items():
            dropped += [(m, rs) for m, rs in waiting if m.shard == shard and m.key in keys]
            self._looking[domain] = [(m, rs) for m, rs in waiting if m.shard != shard or m.key not in keys]
        now = self._clock.now()
        for message, recipients in dropped:
            back = [Deferral(message.key, r.number, r.attempts, now, r.reply, r.is_told) for r in recipients]
            self.settling.commit(message, recipients, Change(deferred=back))
            self.settling.let_go(message)
        return len(dropped)

    def taken(self, shard: int, keys: set[int]) -> set[tuple[int, int]]:
        """The (message key, recipient number) of those of the messages that a connection has in hand."""
        attempts = [a for a in self.lanes.taken if a.message.shard == shard and a.message.key in keys]
        return {(a.message.key, r.number) for a in attempts for r in a.recipients}

    def where(self, shard: int, key: int) -> dict[int, Spot]:
        """Where the recipients of a message are in memory, by number."""
        return whereabouts(self.lanes.by_name, self.lanes.taken, self._looking, shard, key)

    def sites(self) -> Sequence[tuple[str, int, bool]]:
        """(site, attempts that wait, is down) of every site in memory."""
        return self.lanes.sites()
