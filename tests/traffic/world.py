"""A scheduler between a store and a pool of connections that the test plays."""

import asyncio
from collections.abc import Callable

from relay.base.budget import Budget
from relay.base.events import Change
from relay.base.log import SilentLog
from relay.base.message import Attempt, Message
from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import ANY_SOURCE, LaneLimits, Route, Source
from relay.spool.shard import Shard
from relay.traffic.backoff import RetrySchedule, SiteBackoff
from relay.traffic.scheduler import Scheduler
from relay.traffic.settings import TrafficSettings
from relay.traffic.site_rule import OneRule, SiteRule
from relay.verdict.settle import Settler
from tests.fakes.bounces import FakeBounces
from tests.fakes.clock import ManualClock
from tests.fakes.routes import FakeRoutes
from tests.fakes.spool import message
from tests.fakes.store import FakeStore

OK = Delivered(Reply(250, "queued", "2.0.0"))
LATER = Deferred(Scope.RECIPIENT, Reason.REFUSED, Reply(450, "later", "4.2.0"))
NEVER = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no such user", "5.1.1"))
DOWN = Deferred(Scope.SITE, Reason.CONNECT, detail="no route to host")


class World:
    """A scheduler between a store and a pool that the test plays."""

    def __init__(self, store: FakeStore | Shard, clock: ManualClock, window: int = 100, budget: int = 10_000):
        self.store, self.clock = store, clock
        self.routes, self.bounces = FakeRoutes(), FakeBounces()
        self.woken: list[str] = []
        self.limits: dict[str, LaneLimits] = {}
        self.settler = Settler(
            RetrySchedule((300.0, 900.0), 0.0), self.bounces, clock, SilentLog(), lambda: 0.5
        )
        self.scheduler = Scheduler(
            {1: store},
            self.routes,
            self.settler,
            self,
            clock,
            Budget(budget),
            TrafficSettings(window=window, site_backoff=SiteBackoff(30, 300), poll_s=0.01),
            OneRule(SiteRule(recipients_per_message=3)),
            self.source,
        )
        self.spread_over: tuple[str, ...] = ()

    def source(self, message: Message) -> Source:
        """In turn, and always the same for a message."""
        if not self.spread_over:
            return ANY_SOURCE
        return Source(self.spread_over[sum(message.id.encode()) % len(self.spread_over)])

    def wake(self, route: Route, waiting: int) -> None:
        self.woken.append(route.site)

    def limit(self, lane: str, limits: LaneLimits | None) -> None:
        if limits is None:
            self.limits.pop(lane)
        else:
            self.limits[lane] = limits

    async def send(
        self, *addresses: str, deadline: float = 0.0, is_by_notify: bool = False, **fields
    ) -> Message:
        """What intake does: announce, store, submit."""
        one = message(*addresses, now=self.clock.now(), **fields)
        one.deadline, one.is_by_notify = deadline, is_by_notify
        self.scheduler.announce(one)
        await self.store.commit(Change(stored=[one], events=[]))
        self.scheduler.submit(one)
        return one

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await turn()

    async def take(self, site: str) -> Attempt:
        taken: list[Attempt] = []
        await self.until(lambda: (one := self.scheduler.take(f"mx:{site}")) and not taken.append(one))
        return taken[0]

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.scheduler.loader.call()
        await turn()

    async def is_quiet(self) -> bool:
        """Nothing is held anywhere, once what was handed in is written."""
        await self.store.commit(Change())
        await self.until(lambda: self.scheduler.window.held == 0)
        while self.scheduler._tasks and len(self.scheduler._tasks) > 1:  # verdicts that read content
            await turn()
        await self.store.commit(Change())
        return (
            self.scheduler.window.held == 0
            and self.scheduler.budget.used_bytes == 0
            and not self.store.journal.pending()
            and await self.store.is_empty()
        )

    def finish(self, attempt: Attempt, *outcomes: Outcome) -> None:
        outcomes = outcomes * len(attempt.recipients) if len(outcomes) == 1 else outcomes
        numbers = [r.number for r in attempt.recipients]
        self.scheduler.finished(attempt, dict(zip(numbers, outcomes, strict=True)))


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
