"""Which message leaves when: fresh ones at once, waiting ones when they are due, all of them in a fair order.

Path: ``submit`` (fresh, stored a moment ago) or the loader (due, from disk) -> ``admission``: route, lane
(source and site), room -> ready queue of the lane -> ``take`` by a connection of the pool -> ``finished``
with an outcome per recipient -> the verdict's change -> the shard. What finds no room, or whose lane is
closed, is *parked*: it waits on disk, costs no memory and no scan, counts no attempt, and comes back through
``refill``.

Order: accounts share a lane equally, by recipients; within an account the earliest rank (its deadline, or
when it expires) leaves first, over memory and disk: nothing comes in before what is parked with a lower rank.
No one starves: an account waits for one attempt of each other account, and a rank is a moment that comes.

Promise: a recipient that is taken ends in exactly one change, and one that is loaded is not loaded again
before that change is on disk. What is in memory when the process ends is still on disk. What is past its time
is not attempted but given up, wherever it waits.

Cost on the hot path: some dict lookups and one queue operation per fresh message, no task; a task only for a
domain whose route is not in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from heapq import heapify, heapreplace
from pathlib import Path

from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.events import Change, Deferral
from relay.base.histogram import WAITS, Histogram
from relay.base.message import Attempt, Message, Recipient, RecipientState
from relay.base.outcome import Deferred, Outcome
from relay.base.route import Source
from relay.base.tasks import Tasks
from relay.traffic.account_queue import AccountQueue
from relay.traffic.admission import Admission
from relay.traffic.backlog import Backlog
from relay.traffic.lanes import Lanes
from relay.traffic.last_known import last_known
from relay.traffic.loader import Loader
from relay.traffic.neighbours import Connections, Routes, Store, Verdict, any_source
from relay.traffic.parking import Parking
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.refill import Refill
from relay.traffic.settings import TrafficSettings
from relay.traffic.settling import Settling
from relay.traffic.site_rule import OneRule, SiteRules
from relay.traffic.suspensions import Suspensions
from relay.traffic.whereabouts import Spot, whereabouts
from relay.traffic.window import Window

log = logging.getLogger(__name__)

_PREFETCH = 16  # contents read in one go; one thread hop costs about as much as ten small reads
_TOO_LATE = "its time was up before a connection was free"


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
        self._clock = clock
        self.attempts = 0
        self.first_attempt_seconds = Histogram(WAITS)  # since acceptance
        self._tasks = Tasks("traffic")
        self.backlogs = {number: Backlog() for number in shards}
        self.lanes = Lanes(connections, rules, clock, settings)
        self.settling = Settling(
            shards, verdict, self.window, budget, clock, settings.internal_retry_s, self._tasks
        )
        self.parking = Parking(shards, self.window, self.backlogs, self._parked)
        self.admission = Admission(
            self.window, self.lanes, routes, source, self.parking, self.backlogs, clock, self._tasks
        )
        self.refill = Refill(shards, self.window, self.backlogs, self.admission)
        self.loader = Loader(
            shards, self.window, clock, settings.poll_s, self.admission.admit, self.refill, self._look_around
        )
        self.settling.announce, self.settling.submit = self.announce, self.submit
        self.settling.left = self._left
        self.admission.let_go = self.settling.let_go
        self.admission.finished = self.refill.finished = self.finished
        self.lanes.has_become_low = self._has_become_low
        self.lanes.is_too_late = self._is_too_late

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
        """A fresh message is about to be stored. Recipients for whom there is no room now are stored as
        parked."""
        recipients = message.recipients
        if recipients[0].state is not RecipientState.FRESH:
            return
        if len(recipients) == 1:
            self._announce(message, recipients[0].domain, recipients)
            return
        by_domain: dict[str, list[Recipient]] = {}
        for recipient in recipients:
            by_domain.setdefault(recipient.domain, []).append(recipient)
        for domain, some in by_domain.items():
            self._announce(message, domain, some)

    def _announce(self, message: Message, domain: str, recipients: list[Recipient]) -> None:
        why = self.admission.why_parked(message, domain)
        if why is not None:
            for recipient in recipients:
                recipient.state, recipient.reply = RecipientState.PARKED, why

    def submit(self, message: Message) -> None:
        """A message was stored. Those stored as waiting are left to the loader, parked ones to the refill."""
        recipients = message.recipients
        message.left = len(recipients)
        for recipient in recipients:
            if recipient.state is not RecipientState.FRESH:
                recipients = self._stored_to_wait(message)
                break
        if not recipients:
            message.content = None
            return
        self.window.fresh += len(recipients)
        if message.is_large or not self.budget.take(message.size_bytes):
            message.content = None
        self.admission.admit(message)

    def _stored_to_wait(self, message: Message) -> list[Recipient]:
        """Leave in memory only those who may leave now."""
        message.left = 0
        if any(r.state is RecipientState.PARKED for r in message.recipients):
            self.parking.stored(message)
        elif message.recipients[0].due_at <= self._clock.now():
            self.loader.call()
        message.recipients = [r for r in message.recipients if r.state is RecipientState.FRESH]
        return message.recipients

    def _parked(self) -> None:
        """Recipients are parked on disk; those whose lane is not to blame may come in again."""
        if self.window.room() > 0:
            self.loader.call_refill()

    def _left(self) -> None:
        """Recipients have left the window."""
        for backlog in self.backlogs.values():
            if backlog.ready and self.window.room() >= self.window.size // 16:
                self.loader.call_refill()

    def _has_become_low(self, queue: ReadyQueue, account: AccountQueue) -> None:
        """An attempt was taken, and parked mail waits for room behind it."""
        share = self.window.share(self.window.room())
        if 2 * account.recipients <= share and not self.lanes.closed(queue):
            self._recall(account, share)

    def _recall(self, account: AccountQueue, most: int) -> None:
        for group in list(account.groups)[: max(1, most)]:
            del account.groups[group]
            group.backlog.make_ready(group)
        self.loader.call_refill()

    # -- out: what the pool of connections asks for -----------------------------------------------------

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a free connection of the lane."""
        attempt = self.lanes.take(lane)
        if attempt is not None:
            self.attempts += 1
            if not attempt.recipients[0].attempts:
                self.first_attempt_seconds.observe(self._clock.now() - attempt.message.arrived_at)
        return attempt

    @property
    def in_flight(self) -> int:
        """Recipients whose attempt a connection has in hand."""
        return sum([len(attempt.recipients) for attempt in self.lanes.taken])

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
            self._give_back(attempt.lane, waiting)

    def _is_too_late(self, attempt: Attempt) -> None:
        """Given up with the last known reason."""
        self.finished(attempt, {r.number: last_known(r.reply, _TOO_LATE) for r in attempt.recipients})

    def site_failed(self, lane: str, outcome: Deferred) -> None:
        """No host of the site could be reached by this worker."""
        if not self.lanes.is_in_doubt(lane, outcome):
            self.site_is_down(lane, outcome)

    def site_is_down(self, lane: str, outcome: Deferred) -> None:
        """No worker reaches the site. That was an attempt for the one whose turn it was; all else that waits
        for it is parked, and counts none."""
        first, waiting = self.lanes.failed(lane, outcome)
        if first is not None:
            self.finished(first, {r.number: outcome for r in first.recipients})
        self._give_back(lane, waiting)

    def _give_back(self, lane: str, waiting: list[Attempt]) -> None:
        queue = self.lanes.by_name.get(lane)
        if queue is not None:
            log.warning(
                "site cannot be reached", extra={"site": lane, "waiting": len(waiting), "why": queue.why}
            )
            self._park(waiting, queue.why)

    def _park(self, attempts: list[Attempt], why: str) -> None:
        """Out of memory, with no attempt counted."""
        self.parking.park([(one.message, one.recipients) for one in attempts], why)
        for one in attempts:
            self.settling.let_go(one.message)

    def crowded(self, lane: str, outcome: Deferred, open_: int) -> None:
        """The site refused a connection while ``open_`` of ours were open."""
        self.lanes.crowded(lane, outcome, open_)

    def site_up(self, lane: str) -> None:
        """A host of the site answered."""
        was = self.lanes.by_name.get(lane)
        was_suspect = was is not None and was.is_suspect
        queue = self.lanes.reached(lane)
        if queue is not None:
            self._reopen(queue)
            if was_suspect:
                self.admission.end_rests(is_at_once=True)
                self.loader.call_refill()

    def _reopen(self, queue: ReadyQueue) -> None:
        """Parked mail may come back to the lane."""
        share = self.window.share(self.window.room())
        for account in list(queue.accounts.values()):
            if account.groups and 2 * account.recipients <= share:
                self._recall(account, 1 if queue.is_suspect else share)

    def _look_around(self) -> None:
        """Now and then: lanes that have closed or opened by themselves, attempts whose time is up, one who
        has so much in memory that others find no room."""
        self.lanes.forget_idle()
        self.admission.end_rests()
        now, wall = self._clock.monotonic(), self._clock.now()
        busy: list[AccountQueue] = []
        for queue in list(self.lanes.by_name.values()):
            if queue.waiting:
                if queue.control.is_down(now):
                    queue.is_suspect = True
                    self._park(queue.empty(), self.lanes.closed(queue))
                busy += [account for account in queue.accounts.values() if account.recipients > 1]
                for attempt in queue.late(wall):
                    self._is_too_late(attempt)
            if queue.is_waited_for and not self.lanes.closed(queue):
                self._reopen(queue)
        wanted = self.window.size // 16 + self.window.least - self.window.room()
        if wanted >= 0 and busy:
            self._shed(busy, wanted + self.window.least)

    def _shed(self, busy: list[AccountQueue], recipients: int) -> None:
        """Make room for those who have nothing in memory: half of what has the most goes back to disk. A
        row that came from there goes without a write."""
        order = [(-account.recipients, number) for number, account in enumerate(busy)]
        heapify(order)
        while recipients > 0 and order and -order[0][0] > 1:
            half, number = -order[0][0] // 2, order[0][1]
            account = busy[number]
            shed = account.lane.shed(account, half)
            self._park(shed, "")
            recipients -= half
            heapreplace(order, (-account.recipients if shed else 0, number))

    # -- the operator -----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Try everything again now: forget that sites were down, look at the disk at once."""
        self.lanes.forgive()
        self.admission.end_rests(is_at_once=True)
        for backlog in self.backlogs.values():
            backlog.make_all_ready()
        self.loader.call()

    def suspend(self, suspensions: Suspensions) -> None:
        """What the operator has suspended from now on: its mail in memory is parked, that of what is
        suspended no more may come back."""
        self.admission.suspensions = suspensions
        if suspensions.is_any:
            for queue in self.lanes.by_name.values():
                for said, attempts in _covered(suspensions, queue).items():
                    self._park(attempts, said)
        self.admission.end_rests(is_at_once=True)
        self.loader.call_refill()

    def forget(self, shard: int, keys: set[int]) -> int:
        """The operator deleted or held messages in the shard: drop their attempts that still wait in memory;
        returns how many. What was neither deleted nor held goes back to disk, due now. An attempt that a
        connection has taken goes on."""
        dropped: list[tuple[Message, list[Recipient]]] = []
        for queue in self.lanes.by_name.values():
            meant = queue.remove(lambda one: one.message.shard == shard and one.message.key in keys)
            dropped += [(attempt.message, attempt.recipients) for attempt in meant]
        for domain, waiting in self.admission.looking.items():
            dropped += [(m, rs) for m, rs in waiting if m.shard == shard and m.key in keys]
            self.admission.looking[domain] = [
                (m, rs) for m, rs in waiting if m.shard != shard or m.key not in keys
            ]
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
        return whereabouts(self.lanes.by_name, self.lanes.taken, self.admission.looking, shard, key)

    def sites(self) -> Sequence[tuple[str, int, bool]]:
        """(site, attempts that wait, is down) of every site in memory."""
        return self.lanes.sites()


def _covered(suspensions: Suspensions, queue: ReadyQueue) -> dict[str, list[Attempt]]:
    """Take out of a lane's queue what is suspended, by what is said of it. An attempt goes as a whole."""
    found: dict[str, list[Attempt]] = {}

    def is_covered(attempt: Attempt) -> bool:
        for domain in {recipient.domain for recipient in attempt.recipients}:
            if said := suspensions.covers(queue.route, domain, attempt.message.account_id):
                found.setdefault(said, []).append(attempt)
                return True
        return False

    queue.remove(is_covered)
    return found
