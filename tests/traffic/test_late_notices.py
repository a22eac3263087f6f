"""Those who wait on disk: their senders hear of it, and they stay where they are."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.base.events import Change
from relay.base.message import Message
from relay.base.outcome import Reason
from relay.base.parked import ParkedGroup
from relay.traffic import late_notices
from relay.traffic.backoff import RetrySchedule
from relay.traffic.late_notices import LateNotices
from relay.traffic.window import Window
from relay.verdict.delay import DelayNotices
from relay.verdict.settle import Settler
from tests.fakes.bounces import FakeBounces
from tests.fakes.clock import ManualClock
from tests.fakes.spool import NOW, message
from tests.verdict.test_settle import Lines


class Store:
    """Parked messages, two a page."""

    def __init__(self, *parked: Message) -> None:
        self.parked = list(parked)
        self.changes: list[Change] = []
        self.asked: list[tuple[int, float]] = []
        self.content: bytes | SpoolCorrupt = b"Subject: hi\r\n\r\n"
        self.fails_with: Exception | None = None
        for key, one in enumerate(parked, 1):
            one.key = key

    def commit(self, change: Change) -> asyncio.Future[None]:
        if self.fails_with is not None:
            raise self.fails_with
        self.changes.append(change)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def contents(self, messages: list[Message]) -> dict[int, bytes | SpoolCorrupt]:
        return {one.key: self.content for one in messages}

    async def parked_groups(self) -> list[ParkedGroup]:
        return [ParkedGroup("example.org", 1, NOW)] if self.parked else []

    async def parked_untold(
        self, after: int, limit: int, arrived_before: float, now: float
    ) -> tuple[list[Message], int]:
        self.asked.append((after, arrived_before))
        page = self.parked[after : after + 2]
        return page, after + 2 if after + 2 < len(self.parked) else 0


class World:
    def __init__(self, *parked: Message, after_s: float = 100.0) -> None:
        self.clock, self.bounces, self.store = ManualClock(NOW), FakeBounces(), Store(*parked)
        self.window = Window(100)
        self.announced: list[Message] = []
        self.submitted: list[Message] = []
        self.settler = Settler(
            RetrySchedule((300.0,), 0.0), self.bounces, self.clock, Lines(), notices=DelayNotices(after_s)
        )
        self.notices = LateNotices(
            {1: self.store},
            self.settler,
            self.window,
            self.clock,
            self.announced.append,
            self.submitted.append,
        )


def waiting(*addresses: str, reply: str = "450 4.2.0 later") -> Message:
    one = message(*addresses)
    for recipient in one.recipients:
        recipient.reply = reply
    return one


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_notices, "_PAUSE_S", 0.0)


async def test_each_page_is_told_and_nobody_is_moved() -> None:
    world = World(
        waiting("a@example.org", "b@example.org"), waiting("c@example.org"), waiting("d@example.org")
    )
    world.clock.advance(100)
    await world.notices.look(1)
    assert world.store.asked == [(0, NOW), (2, NOW)]
    assert [told for _, told in world.bounces.delayed] == [
        ["a@example.org", "b@example.org"],
        ["c@example.org"],
        ["d@example.org"],
    ]
    assert [one.told for one in world.store.changes] == [[(1, 0), (1, 1)], [(2, 0)], [(3, 0)]]
    assert not any(one.deferred or one.settled or one.finished for one in world.store.changes)
    assert world.announced == world.submitted == [one for c in world.store.changes for one in c.stored]
    assert world.bounces.contents == [b"Subject: hi\r\n\r\n"] * 3
    await world.notices.look(1)  # the fake shows them again; the disk would not
    assert len(world.store.changes) == 3


async def test_nobody_is_told_too_early_and_nothing_is_read_while_nothing_is_parked() -> None:
    world = World(waiting("a@example.org"))
    world.clock.advance(99)
    await world.notices.look(1)
    assert world.store.changes == []
    empty = World()
    await empty.notices.look(1)
    assert empty.store.asked == []
    never = World(waiting("a@example.org"), after_s=0.0)
    never.clock.advance(1e6)
    await never.notices.look(1)
    assert (never.store.asked, never.store.changes) == ([(0, 0.0)], [])


async def test_who_is_in_memory_hears_from_the_next_attempt() -> None:
    world = World(waiting("a@example.org", "b@example.org"), waiting("c@example.org"))
    world.window.known[1] = {(1, 0), (2, 0)}
    world.clock.advance(100)
    await world.notices.look(1)
    assert [one.told for one in world.store.changes] == [[(1, 1)]]


async def test_content_that_is_damaged_keeps_nobody_from_hearing() -> None:
    world = World(waiting("a@example.org"))
    world.store.content = SpoolCorrupt("a torn page")
    world.clock.advance(100)
    await world.notices.look(1)
    assert world.bounces.contents == [None]


async def test_it_looks_now_and_then_and_a_failure_is_not_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(late_notices, "EVERY_S", 0.0)
    world = World(waiting("a@example.org", reply="connect: refused"))
    world.store.fails_with = SpoolError("the disk")
    world.clock.advance(100)
    async with AsyncExitStack() as stack:
        await world.notices.start(stack)
        while "notices of delay are not made" not in caplog.text:
            await asyncio.sleep(0)
        world.store.fails_with = None
        world.store.parked[0].recipients[0].is_told = False
        while not world.submitted:
            await asyncio.sleep(0)
    (event,) = world.store.changes[0].events[-1:]
    assert f'"reason":"{Reason.CONNECT}"' in event.detail
