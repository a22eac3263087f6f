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

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.errors import SpoolCorrupt
from relay.base.events import Change, Deferral
from relay.base.message import Attempt, Message, Recipient, RecipientState
from relay.base.outcome import Deferred, Failed, Outcome, Reason, Scope
from relay.base.route import ANY_SOURCE, LaneLimits, Route, Source
from relay.base.tasks import Tasks
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import OneRule, SiteRules
from relay.traffic.window import Window

log = logging.getLogger(__name__)

_KEEP_LANES = 1000  # ready queues without attempts that stay in memory
_PREFETCH = 16  # contents read in one go; one thread hop costs about as much as ten small reads


class Journal(Protocol):
    """Where dots are noted before they are sent."""

    def begin(self, key: int, numbers: list[int]) -> tuple[int, ...]: ...
    def clear(self, places: list[int] | tuple[int, ...]) -> None: ...


class Store(Protocol):
    """What the scheduler needs of a shard."""

    @property
    def journal(self) -> Journal: ...
    def commit(self, change: Change) -> asyncio.Future[None]: ...
    async def contents(self, messages: list[Message]) -> dict[int, bytes | Path | SpoolCorrupt]: ...
    async def due(self, before: float, limit: int, known: set[tuple[int, int]]) -> list[Message]: ...
    async def set_aside(self, message: Message, damage: SpoolCorrupt) -> Change: ...


class Routes(Protocol):
    """Where a domain's mail goes."""

    def cached(self, domain: str) -> Route | None: ...
    async def find(self, domain: str) -> Route | Deferred | Failed: ...


class Connections(Protocol):
    """Who takes what is queued."""

    def wake(self, route: Route, queued: int) -> None:
        """So many attempts of the route's lane could be taken now."""
        ...

    def limit(self, lane: str, limits: LaneLimits) -> None:
        """What the lane may do from now on."""
        ...


def any_source(message: Message) -> Source:
    """The kernel chooses."""
    return ANY_SOURCE


class Verdict(Protocol):
    """What outcomes mean. ``content`` is what is at hand of the message (None: nothing)."""

    def wants_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> bool: ...
    def judge(
        self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None
    ) -> Change: ...


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """Bounds and times of the scheduler."""

    window: int = 10_000
    site_backoff: SiteBackoff = field(default_factory=SiteBackoff)
    poll_s: float = 1.0
    internal_retry_s: float = 300.0


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
        self.loads = 0
        self.set_aside = 0
        self._shards = shards
        self._routes = routes
        self._verdict = verdict
        self._connections = connections
        self._rules = rules
        self._source = source
        self._clock = clock
        self._lanes: dict[str, ReadyQueue] = {}
        self._most_lanes = _KEEP_LANES
        self._looking: dict[str, list[tuple[Message, list[Recipient]]]] = {}
        self._damaged: dict[Attempt, SpoolCorrupt] = {}
        self._room = asyncio.Event()
        self._more_due = True
        self._is_draining = False
        self._tasks = Tasks("traffic")

    async def start(self, stack: AsyncExitStack) -> None:
        """Begin to load what is due; end with the stack."""
        await self._tasks.start(stack)
        self._tasks.spawn(self._load_forever(), "loader")
        stack.callback(self.drain)

    def drain(self) -> None:
        """Hand out no more attempts; what is queued stays on disk for the next start. Outcomes are settled at
        once, since a task that reads content for a bounce might not end before we do."""
        self._is_draining = True

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
            self._more_due = True
            self._room.set()
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
            by_site: dict[str, tuple[Route, list[Recipient]]] = {}
            for domain, recipients in by_domain.items():
                route = self._routes.cached(domain)
                if route is None:
                    self._look_up(message, domain, recipients)
                elif route.site in by_site:
                    by_site[route.site][1].extend(recipients)
                else:
                    by_site[route.site] = (route, list(recipients))
            for route, recipients in by_site.values():
                self._enqueue(message, route, recipients)
        self._let_go(message)

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
            self._let_go(message)

    def _enqueue(self, message: Message, route: Route, recipients: list[Recipient]) -> None:
        source = self._source(message)
        if source is not ANY_SOURCE:
            route = replace(route, source=source)
        queue = self._lanes.get(route.lane)
        if queue is None:
            queue = self._open_lane(route)
        elif route is not queue.route:
            queue.route = route
        control = queue.control
        most = control.rule.recipients_per_message if route.hosts else len(recipients)
        for at in range(0, len(recipients), most):
            attempt = Attempt(message, recipients[at : at + most], route.lane)
            message.in_hand += 1
            if control.retry_at and control.is_down(self._clock.monotonic()):
                down = Deferred(Scope.SITE, Reason.SITE_DOWN, detail="the site failed a moment ago")
                self.finished(attempt, {r.number: down for r in attempt.recipients})
            else:
                queue.attempts.append(attempt)
                self._connections.wake(queue.route, len(queue.attempts))

    def _open_lane(self, route: Route) -> ReadyQueue:
        rule = self._rules.rule(route)
        queue = ReadyQueue(route, SiteControl(rule, self.settings.site_backoff))
        self._lanes[route.lane] = queue
        if route.hosts:
            self._connections.limit(route.lane, queue.control.limits)
        return queue

    # -- out: what the pool of connections asks for -----------------------------------------------------

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a free connection of the lane."""
        queue = self._lanes.get(lane)
        if queue is None or not queue.attempts or self._is_draining:
            return None
        now = self._clock.monotonic()
        wait_s = queue.control.wait_s(now)
        if wait_s > 0.0:
            self._call_later(queue, wait_s)
            return None
        attempt = queue.attempts.popleft()
        queue.control.took(now, len(attempt.recipients))
        return attempt

    def _call_later(self, queue: ReadyQueue, wait_s: float) -> None:
        """Connections that found the lane waiting are called when it may go on."""
        if not queue.is_called:
            queue.is_called = True
            asyncio.get_running_loop().call_later(wait_s, self._call, queue)

    def _call(self, queue: ReadyQueue) -> None:
        queue.is_called = False
        if queue.attempts and not self._is_draining:
            self._connections.wake(queue.route, len(queue.attempts))

    async def content(self, attempt: Attempt) -> bytes | Path:
        """The content of an attempt's message that is not in memory. Raises SpoolCorrupt."""
        message = attempt.message
        if message.content is not None:
            return message.content
        batch = [message]
        queue = self._lanes.get(attempt.lane)
        if queue is not None and not message.is_large:
            for waiting in islice(queue.attempts, _PREFETCH):
                other = waiting.message
                if other.content is None and not other.is_large and other.shard == message.shard:
                    batch.append(other)
        found = await self._shards[message.shard].contents(batch)
        for one in batch:
            content = found[one.key]
            is_wanted = one.content is None and one.in_hand
            if is_wanted and isinstance(content, bytes) and self.budget.take(len(content)):
                one.content = content
        wanted = found[message.key]
        if isinstance(wanted, SpoolCorrupt):
            self._damaged[attempt] = wanted
            raise wanted
        return wanted

    def before_dot(self, attempt: Attempt) -> None:
        """The final dot is about to be sent: from here to the outcome's commit it is uncertain."""
        numbers = [r.number for r in attempt.recipients]
        message = attempt.message
        attempt.slots += self._shards[message.shard].journal.begin(message.key, numbers)

    def finished(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """What became of each recipient of the attempt, by number."""
        message = attempt.message
        self._heed(attempt, outcomes)
        if self._damaged and (damage := self._damaged.pop(attempt, None)) is not None:
            self._tasks.spawn(self._set_aside(attempt, damage), "set aside")
        elif (
            message.content is None
            and not self._is_draining
            and self._verdict.wants_content(attempt, outcomes)
        ):
            self._tasks.spawn(self._finish_with_content(attempt, outcomes), "verdict")
        else:
            self._settle(attempt, outcomes, message.content)

    def _heed(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """Let the lane learn from it."""
        queue = self._lanes.get(attempt.lane)
        if queue is None or not attempt.took_s:
            return
        before = queue.control.limits
        queue.control.heard(self._clock.monotonic(), outcomes.values(), attempt.took_s)
        if queue.control.limits is not before:
            self._connections.limit(attempt.lane, queue.control.limits)

    async def _finish_with_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """The bounce quotes the message; if it cannot be read, or we are stopping, the sender learns of the
        failure without the quote: an outcome that waited longer would be lost with us."""
        content: bytes | Path | None = None
        try:
            content = await self.content(attempt)
        except SpoolCorrupt:
            self._damaged.pop(attempt, None)
        except Exception:
            log.exception("bounce without the header of its message", extra={"id": attempt.message.id})
        finally:
            self._settle(attempt, outcomes, content)

    def _settle(self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None) -> None:
        message = attempt.message
        try:
            change = self._verdict.judge(attempt, outcomes, content)
        except Exception:  # our own bug delays mail, it never loses or bounces it
            log.exception("no verdict; tried again later", extra={"id": message.id})
            change = Change(deferred=[self._later(message, r) for r in attempt.recipients])
        change.slots.extend(attempt.slots)
        if message.left:
            message.left -= len(change.settled)
            if not message.left:
                change.finished.append(message.key)
                if message.is_large:
                    change.files.append(message.id)
        self._commit(message, attempt.recipients, change)
        self._let_go(message)

    def _later(self, message: Message, recipient: Recipient) -> Deferral:
        due_at = self._clock.now() + self.settings.internal_retry_s
        return Deferral(
            message.key, recipient.number, recipient.attempts + 1, due_at, "internal", recipient.is_told
        )

    def _commit(self, message: Message, recipients: list[Recipient], change: Change) -> None:
        """Write a change that ends these recipients' stay in memory."""
        for bounce in change.stored:
            self.announce(bounce)
        future = self._shards[message.shard].commit(change)
        known = self.window.known.get(message.shard)
        pairs = {(message.key, r.number) for r in recipients} & known if known else None
        if pairs:
            future.add_done_callback(lambda done: self._left(done, message.shard, pairs))
        else:
            self.window.fresh -= len(recipients)
        if change.stored:
            future.add_done_callback(lambda done: self._stored(done, change.stored))
        if self._more_due and not self._room.is_set() and self.window.wants:
            self._room.set()

    def _left(self, done: asyncio.Future[None], shard: int, pairs: set[tuple[int, int]]) -> None:
        """Their outcome is on disk. If it could not be written (a bug of ours, which the spool has logged)
        they stay known: loaded again, they would be delivered again, and so on until someone looks."""
        if done.cancelled() or done.exception() is not None:
            return
        self.window.known[shard] -= pairs
        if self._more_due and self.window.wants:
            self._room.set()

    def _stored(self, done: asyncio.Future[None], messages: Iterable[Message]) -> None:
        """Our own bounces are on disk, with the outcome that made them."""
        if not done.cancelled() and done.exception() is None:
            for message in messages:
                self.submit(message)

    def _let_go(self, message: Message) -> None:
        message.in_hand -= 1
        if not message.in_hand and message.content is not None:
            self.budget.give(message.size_bytes)
            message.content = None

    async def _set_aside(self, attempt: Attempt, damage: SpoolCorrupt) -> None:
        message = attempt.message
        try:
            change = await self._shards[message.shard].set_aside(message, damage)
            self.set_aside += 1
        except Exception:  # no room in corrupt/, say: it stays in the queue
            log.exception("message cannot be set aside; tried again later", extra={"id": message.id})
            change = Change(deferred=[self._later(message, r) for r in attempt.recipients])
        change.slots.extend(attempt.slots)
        self._commit(message, attempt.recipients, change)
        self._let_go(message)

    def site_failed(self, lane: str, outcome: Deferred) -> None:
        """No host of the site could be reached: all that waits for it goes back to disk."""
        queue = self._lanes.get(lane)
        if queue is None:
            return
        queue.control.unreachable(self._clock.monotonic(), outcome, random.random())  # noqa: S311
        waiting = queue.empty()
        log.warning(
            "site cannot be reached",
            extra={"site": lane, "waiting": len(waiting), "reason": outcome.reason, "detail": outcome.detail},
        )
        for attempt in waiting:
            self.finished(attempt, {r.number: outcome for r in attempt.recipients})

    def site_up(self, lane: str) -> None:
        """A host of the site answered."""
        if (queue := self._lanes.get(lane)) is not None:
            queue.control.reached(self._clock.monotonic())

    # -- the loader and the operator ------------------------------------------------------------------------

    async def _load_forever(self) -> None:
        """Bring in what is due, whenever there is room and at least every ``poll_s``."""
        while True:
            self._room.clear()
            self._more_due = False
            for number in list(self._shards):
                try:
                    await self._load(number)
                except Exception:
                    log.exception("reading the queue failed; tried again", extra={"shard": number})
            if len(self._lanes) > self._most_lanes:
                self._forget_lanes()
            if self._more_due and self.window.wants:
                continue
            try:
                async with asyncio.timeout(self.settings.poll_s):
                    await self._room.wait()
            except TimeoutError:
                pass

    async def _load(self, number: int) -> None:
        """Bring in what is due in one shard, as far as there is room."""
        wants = self.window.wants
        if not wants:
            self._more_due = True
            return
        known = self.window.known.setdefault(number, set())
        messages = await self._shards[number].due(self._clock.now(), wants, set(known))
        taken = sum(len(m.recipients) for m in messages)
        self._more_due |= taken >= wants
        self.loads += taken
        for message in messages:  # all are known before the first can be settled
            known.update((message.key, r.number) for r in message.recipients)
        for message in messages:
            self._admit(message)

    def _forget_lanes(self) -> None:
        """Sites without attempts whose failures are long ago: there are as many sites as domains."""
        long_ago = self._clock.monotonic() - self.settings.site_backoff.longest_s
        self._lanes = {n: q for n, q in self._lanes.items() if q.attempts or q.control.retry_at > long_ago}
        self._most_lanes = max(_KEEP_LANES, 2 * len(self._lanes))

    def flush(self) -> None:
        """Try everything again now: forget that sites were down, look at the disk at once."""
        for queue in self._lanes.values():
            queue.control.reached(self._clock.monotonic())
        self._more_due = True
        self._room.set()

    def forget(self, shard: int, keys: set[int]) -> int:
        """The operator deleted or held messages in the shard: drop their attempts that still wait in memory;
        returns how many. What was neither deleted nor held goes back to disk, due now. An attempt that a
        connection has taken goes on."""
        dropped: list[tuple[Message, list[Recipient]]] = []
        for queue in self._lanes.values():
            kept: deque[Attempt] = deque()
            for attempt in queue.attempts:
                if attempt.message.shard == shard and attempt.message.key in keys:
                    dropped.append((attempt.message, attempt.recipients))
                else:
                    kept.append(attempt)
            queue.attempts = kept
        for domain, waiting in self._looking.items():
            dropped += [(m, rs) for m, rs in waiting if m.shard == shard and m.key in keys]
            self._looking[domain] = [(m, rs) for m, rs in waiting if m.shard != shard or m.key not in keys]
        now = self._clock.now()
        for message, recipients in dropped:
            back = [Deferral(message.key, r.number, r.attempts, now, r.reply, r.is_told) for r in recipients]
            self._commit(message, recipients, Change(deferred=back))
            self._let_go(message)
        return len(dropped)

    def sites(self) -> Sequence[tuple[str, int, bool]]:
        """(site, attempts that wait, is down) of every site in memory."""
        now = self._clock.monotonic()
        return [(name, len(q.attempts), q.control.is_down(now)) for name, q in self._lanes.items()]
