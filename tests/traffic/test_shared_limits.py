"""What a worker asks of the ledger of lanes, when, and what it does while nobody answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relay.base.errors import RelayError
from relay.base.message import Attempt
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import Host, Route, Source, TlsMode
from relay.traffic.backoff import SiteBackoff
from relay.traffic.controls import Controls
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.shared_limits import CHUNK, SharedLimits
from relay.traffic.shares import RENEW_S, SHARE_S, Demand, SiteShares
from relay.traffic.site_rule import OneRule, SiteRule
from tests.fakes.clock import ManualClock
from tests.fakes.spool import message

DOWN = Deferred(Scope.SITE, Reason.CONNECT, detail="no route to host")


class Lanes:
    """The scheduler's lanes and the connections, as far as shares see them."""

    def __init__(self, clock: ManualClock, shares: SiteShares) -> None:
        self.clock, self.ledger = clock, shares
        self.queues: dict[str, ReadyQueue] = {}
        self.limits: dict[str, int] = {}
        self.holds: dict[str, tuple[int, int, int]] = {}
        self.woken: list[tuple[str, int]] = []
        self.requests: list[list[Demand]] = []
        self.is_deaf = False
        self.rival: Demand | None = None  # what another worker says whenever it is called
        self.down: list[tuple[str, Deferred]] = []
        self.controls: dict[SiteRule, Controls] = {}
        self.limited = SharedLimits(self.ask, clock, self, self)
        self.limited.failed = lambda lane, outcome: self.down.append((lane, outcome))

    async def ask(self, what: str, timeout_s: float, **fields: Any) -> Any:
        assert what == "lane.ask"
        self.requests.append(fields["lanes"])
        await asyncio.sleep(0)
        if self.is_deaf:
            raise RelayError("the other process is gone")
        answers = [tuple(self.ledger.ask(1, Demand(*one), self.clock.monotonic())) for one in fields["lanes"]]
        if self.rival is not None and (2, self.rival.lane) in self.ledger.calls():
            self.ledger.ask(2, self.rival, self.clock.monotonic())
        return answers

    def wake(self, route: Route, queued: int) -> None:
        self.woken.append((route.lane, queued))

    def find(self, lane: str) -> ReadyQueue | None:
        return self.queues.get(lane)

    def obey(self, queue: ReadyQueue) -> None:
        self.limits[queue.route.lane] = queue.control.flow.concurrency.ceiling

    def held(self, lane: str) -> tuple[int, int, int]:
        return self.holds.get(lane, (0, 0, 0))

    def open(self, lane: str, rule: SiteRule = SiteRule(connections=10), **route: Any) -> ReadyQueue:  # noqa: B008
        made = Route(lane, (Host("mx"),), **route)
        queue = ReadyQueue(
            made, self.controls.setdefault(rule, Controls(OneRule(rule), SiteBackoff())).open(made)
        )
        lane = queue.route.lane
        self.queues[lane] = queue
        self.limited.opened(queue)
        self.obey(queue)
        return queue

    def put(self, queue: ReadyQueue, count: int = 1) -> None:
        one = message("a@b.example")
        for _ in range(count):
            queue.push(Attempt(one, one.recipients, queue.route.lane))
            self.limited.wanted(queue.route.lane, queue.waiting)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)

    async def settle(self) -> None:
        """All that can be asked now is."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def after(self, seconds: float) -> None:
        """Time passes, and every lane is called."""
        self.clock.advance(seconds)
        self.limited.call(list(self.queues))
        await self.settle()


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    async with AsyncExitStack() as stack:
        made = Lanes(ManualClock(), SiteShares())
        await made.limited.start(stack)
        yield made


async def test_the_first_message_waits_for_one_answer(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    assert lanes.limits == {"mx:a": 0}
    await lanes.settle()
    assert lanes.requests == []
    lanes.put(queue, 3)
    await lanes.until(lambda: lanes.woken)
    assert lanes.limits == {"mx:a": 10}
    assert lanes.woken == [("mx:a", 3)]
    assert [len(one) for one in lanes.requests] == [1]  # one request for the three
    lanes.put(queue, 100)
    await lanes.settle()
    assert len(lanes.requests) == 1  # it has all there is


async def test_what_is_not_needed_goes_back_and_is_had_again(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue)
    await lanes.until(lambda: lanes.woken)
    queue.empty()
    lanes.holds["mx:a"] = (1, 1, 1)
    await lanes.after(RENEW_S)
    assert lanes.requests[-1][0].wanted == 1  # a moment ago it was busy
    await lanes.after(RENEW_S)
    assert lanes.requests[-2][0].wanted == 0
    assert (lanes.limits["mx:a"], len(lanes.limited)) == (1, 1)  # the connection may idle
    lanes.holds["mx:a"] = (0, 0, 0)
    await lanes.after(RENEW_S)
    assert (lanes.limits["mx:a"], len(lanes.limited)) == (0, 0)
    assert lanes.requests[-1][0].cap == 0
    lanes.put(queue)
    await lanes.until(lambda: lanes.limits["mx:a"] == 10)


async def test_more_that_waits_than_was_told_is_told(lanes: Lanes) -> None:
    lanes.ledger.ask(2, Demand("mx:a", 10, 0.0, 9, 100, 0, 0, 0.0), lanes.clock.monotonic())
    queue = lanes.open("mx:a")
    lanes.put(queue)
    await lanes.until(lambda: lanes.requests)
    await lanes.settle()
    assert lanes.limits["mx:a"] == 0  # the other has all; it is called
    assert (2, "mx:a") in lanes.ledger.calls()
    lanes.clock.advance(1.0)
    before = len(lanes.requests)
    lanes.put(queue, 5)
    await lanes.until(lambda: len(lanes.requests) > before)
    assert lanes.requests[-1][0].wanted > 1


async def test_many_lanes_share_few_requests(lanes: Lanes) -> None:
    for number in range(2 * CHUNK + 10):
        lanes.put(lanes.open(f"mx:{number}"))
    await lanes.until(lambda: len(lanes.woken) == 2 * CHUNK + 10)
    assert [len(one) for one in lanes.requests] == [CHUNK, CHUNK, 10]


async def test_while_nobody_answers_shares_hold_to_their_end_and_one_line_is_logged(
    lanes: Lanes, caplog: pytest.LogCaptureFixture
) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue, 5)
    await lanes.until(lambda: lanes.limits["mx:a"] == 10)
    lanes.is_deaf = True
    lanes.holds["mx:a"] = (5, 0, 5)
    await lanes.after(RENEW_S)
    await lanes.after(RENEW_S)
    assert lanes.limits["mx:a"] == 10
    await lanes.after(SHARE_S - 2 * RENEW_S)
    assert lanes.limits["mx:a"] == 0
    assert caplog.text.count("cannot be asked") == 1
    lanes.is_deaf = False
    await lanes.after(RENEW_S)
    assert lanes.limits["mx:a"] == 10


async def test_a_site_that_is_down_wants_nothing(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    queue.control.unreachable(lanes.clock.monotonic(), DOWN, 0.5)
    lanes.put(queue)
    await lanes.until(lambda: lanes.requests)
    assert lanes.requests[0][0].wanted == 0


async def test_lanes_of_one_flow_ask_as_one(lanes: Lanes) -> None:
    source = Source("one")
    plain = lanes.open("mx:a", source=source)
    strict = lanes.open("mx:a", tls=TlsMode.REQUIRED, source=source)
    assert plain.route.lane != strict.route.lane
    lanes.put(plain, 5)
    lanes.put(strict, 5)
    await lanes.until(lambda: len(lanes.woken) >= 2)
    assert {one.lane for asked in lanes.requests for one in asked} == {"mx:a@one"}
    assert lanes.limits == {plain.route.lane: 10, strict.route.lane: 10}  # the pools count them together
    assert max(one.wanted for asked in lanes.requests for one in asked) == 10
    plain.empty()
    lanes.holds[plain.route.lane] = (2, 2, 2)
    await lanes.after(RENEW_S)
    assert (lanes.requests[-1][0].held, lanes.requests[-1][0].wanted) == (2, 5)


async def test_sites_of_a_rollup_ask_as_one_and_those_that_have_gone_are_dropped(lanes: Lanes) -> None:
    rule = SiteRule(connections=4, name="big", is_rollup=True)
    for number in range(20):
        lanes.put(lanes.open(f"mx:{number}", rule))
    await lanes.until(lambda: len(lanes.woken) >= 20)
    assert {one.lane for asked in lanes.requests for one in asked} == {"rule:big"}
    assert len(lanes.limited) == 20
    for number in range(19):
        lanes.queues.pop(f"mx:{number}").empty()
    await lanes.settle()
    lanes.limited.call(["rule:big"])
    await lanes.settle()
    assert lanes.requests[-1][0].wanted == 1
    assert len(lanes.limited) == 1


async def test_a_lane_whose_rule_puts_it_elsewhere_asks_there(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue)
    await lanes.until(lambda: lanes.woken)
    other = Controls(OneRule(SiteRule(connections=3, name="big", is_rollup=True)), SiteBackoff())
    queue.control.flow = other.open(queue.route).flow
    lanes.limited.opened(queue)
    assert queue.control.flow.concurrency.ceiling == 0
    lanes.limited.wanted("mx:a", 1)
    await lanes.until(lambda: queue.control.flow.concurrency.ceiling == 3)
    lanes.limited.call(["mx:a"])
    await lanes.settle()
    assert len(lanes.ledger) == 2
    lanes.clock.advance(SHARE_S)
    lanes.ledger.sweep(lanes.clock.monotonic())
    assert len(lanes.ledger) == 0


async def test_a_rate_gives_moments_and_asks_for_more_of_them(lanes: Lanes) -> None:
    queue = lanes.open("mx:a", SiteRule(connections=5, rate_per_s=10.0))
    lanes.put(queue, 40)
    await lanes.until(lambda: lanes.woken)
    assert queue.slots is not None
    sent = 0
    for _ in range(40):
        while queue.waiting and queue.slots.wait_s(lanes.clock.monotonic()) == 0.0:
            queue.slots.take(lanes.clock.monotonic())
            queue.pop()
            sent += 1
        await lanes.after(0.1)
    assert 38 <= sent <= 40
    assert lanes.requests[-1][0].used_at > 0


async def test_a_lane_that_was_forgotten_and_comes_back_keeps_its_share(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue)
    await lanes.until(lambda: lanes.woken)
    again = lanes.open("mx:a")
    assert again.control.flow.concurrency.ceiling == 10


CROWDED = Deferred(Scope.SITE, Reason.BUSY, Reply(421, "too many connections", "4.7.0"))


async def test_refused_where_another_worker_has_connections_is_not_down(lanes: Lanes) -> None:
    lanes.rival = Demand("mx:a", 10, 0.0, 0, 10, 0, 0, 0.0)
    lanes.ledger.ask(2, lanes.rival, lanes.clock.monotonic())
    queue = lanes.open("mx:a")
    lanes.put(queue, 5)
    await lanes.settle()
    lanes.clock.advance(0.2)
    lanes.rival = lanes.rival._replace(held=5, open=5)
    assert lanes.limited.refused(queue, DOWN, 0)  # whatever it said
    assert lanes.limits["mx:a"] == 0
    for _ in range(3):
        lanes.clock.advance(0.05)
        lanes.limited.call([])
        await lanes.settle()
    lanes.woken.clear()
    lanes.rival = lanes.rival._replace(held=3, open=3, cap=3)
    await lanes.after(0.1)
    assert (lanes.limits["mx:a"], lanes.woken) == (0, [])  # one of theirs may be on its way out
    lanes.ledger.ask(2, lanes.rival, lanes.clock.monotonic())
    await lanes.after(0.5)
    assert (lanes.limits["mx:a"], lanes.woken) == (2, [("mx:a", 5)])
    assert (queue.waiting, lanes.down) == (5, [])


async def test_refused_where_nobody_has_connections_is_down(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue)
    await lanes.settle()
    assert lanes.limited.refused(queue, CROWDED, 0)
    await lanes.settle()
    assert lanes.down == [("mx:a", CROWDED)]


async def test_refused_while_the_ledger_does_not_answer_is_down(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue)
    await lanes.settle()
    lanes.is_deaf = True
    assert lanes.limited.refused(queue, DOWN, 0)
    await lanes.settle()
    assert lanes.down == [("mx:a", DOWN)]


async def test_one_more_than_is_open_here_is_a_bound_and_no_doubt(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    lanes.put(queue, 50)
    await lanes.settle()
    lanes.holds["mx:a"] = (5, 0, 5)
    assert lanes.limited.refused(queue, CROWDED, 5)
    await lanes.settle()
    assert (lanes.limits["mx:a"], lanes.down) == (5, [])
    assert queue.control.describe(lanes.clock.monotonic())["crowded"] == 1


async def test_what_says_nothing_of_connections_is_not_asked_about(lanes: Lanes) -> None:
    queue = lanes.open("mx:a")
    assert not lanes.limited.refused(queue, CROWDED, 0)  # the ledger knows nothing of the lane
    lanes.put(queue)
    await lanes.settle()
    assert not lanes.limited.refused(queue, Deferred(Scope.SITE, Reason.TLS, detail="expired"), 0)
    slow = Deferred(Scope.SITE, Reason.BUSY, Reply(421, "rate limit exceeded", "4.7.0"))
    assert not lanes.limited.refused(queue, slow, 3)


async def test_another_site_of_a_rollup_says_nothing_of_one_that_cannot_be_reached(lanes: Lanes) -> None:
    rule = SiteRule(connections=10, name="r", is_rollup=True)
    queues = [lanes.open(name, rule) for name in ("mx:a", "mx:b")]
    for queue in queues:
        lanes.put(queue)
    await lanes.settle()
    lanes.holds["mx:a"] = (2, 0, 2)
    assert not lanes.limited.refused(queues[1], DOWN, 0)
    assert lanes.limited.refused(queues[1], CROWDED, 0)
    assert lanes.limits["mx:a"] == 10  # its connections stay
    await lanes.settle()
    assert lanes.limits["mx:a"] == 2
    assert lanes.down == []


async def test_moments_that_nobody_used_are_asked_for_again(lanes: Lanes) -> None:
    queue = lanes.open("mx:a", SiteRule(connections=5, rate_per_s=10.0))
    lanes.put(queue, 5)
    await lanes.until(lambda: lanes.woken)
    for _ in range(3):
        lanes.woken.clear()
        await lanes.after(5.0)  # connections that were woken have gone, and these moments are over
        assert lanes.woken == [("mx:a", 5)]
        assert queue.slots is not None
        assert queue.slots.wait_s(lanes.clock.monotonic()) is not None
