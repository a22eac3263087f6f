"""Traces at the supervisor, with workers that are only said to be: lines, bounds, and every way to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relay.base.tasks import Tasks
from relay.daemon.link import LinkError
from relay.daemon.supervisor import trace_requests as module
from relay.daemon.supervisor.trace_requests import MAX_TRACES, MAX_WAITING, TraceRequests
from tests.daemon.test_workers import FakeLink
from tests.fakes.clock import ManualClock


class Child:
    def __init__(self) -> None:
        self.link = FakeLink()


class Workers:
    def __init__(self) -> None:
        self.ready = [Child(), Child()]


class Room:
    def __init__(self) -> None:
        self.workers, self.clock, self.tasks = Workers(), ManualClock(), Tasks("test")
        workers: Any = self.workers
        self.requests = TraceRequests(workers, self.clock, self.tasks)

    async def begin(self, for_s: float = 300.0) -> int:
        fields = {"chosen": {"account": 7}, "for_s": for_s}
        return int(await self.requests.answer("trace begin", fields, "root"))

    async def next(self, number: int) -> Any:
        async with asyncio.timeout(20):
            return await self.requests.answer("trace next", {"number": number}, "root")

    def take(self, number: int, *lines: str, left_out: int = 0) -> bool:
        said = [[0.0, "in0.1", "C", line] for line in lines]
        return self.requests.take({"number": number, "lines": said, "left_out": left_out})

    def asked(self) -> list[list[str]]:
        return [one.link.asked for one in self.workers.ready]

    async def until_none(self) -> None:
        async with asyncio.timeout(20):
            while len(self.requests):
                await asyncio.sleep(0)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    async with AsyncExitStack() as stack:
        await made.tasks.start(stack)
        yield made


async def test_all_workers_are_traced_and_new_ones_too(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    number = await room.begin()
    assert room.asked() == [["trace begin"]] * 2
    assert "trace begins" in caplog.text
    assert caplog.records[-1].__dict__["by"] == "root"
    child: Any = Child()
    room.requests.worker_ready(child)
    async with asyncio.timeout(20):
        while not child.link.asked:
            await asyncio.sleep(0)
    assert room.take(number, "EHLO x")
    answer = await room.next(number)
    assert (answer["lines"][0][3], answer["left_out"], answer["is_over"]) == ("EHLO x", 0, False)


async def test_one_who_asks_waits_for_lines(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await room.begin()
    asked = asyncio.create_task(room.next(number))
    await asyncio.sleep(0)
    room.take(number, "one", "two")
    assert [line[3] for line in (await asked)["lines"]] == ["one", "two"]
    monkeypatch.setattr(module, "_WAIT_S", 0.01)
    assert (await room.next(number))["lines"] == []


async def test_what_is_too_much_is_counted_where_it_is_missing(room: Room) -> None:
    number = await room.begin()
    room.take(number, *["x"] * (MAX_WAITING - 1))
    room.take(number, "last", "too many", left_out=3)
    room.take(number, "too many")
    left_out, lines = 0, []
    while True:
        answer = await room.next(number)
        assert not left_out
        lines += answer["lines"]
        left_out = answer["left_out"]
        if len(lines) == MAX_WAITING:
            break
    assert (lines[-1][3], left_out) == ("last", 5)
    room.take(number, "again")
    assert [line[3] for line in (await room.next(number))["lines"]] == ["again"]


async def test_it_ends_when_its_time_is_over_and_what_is_there_is_still_read(room: Room) -> None:
    number = await room.begin(for_s=0.01)
    room.take(number, "one")
    room.clock.advance(1.0)
    async with asyncio.timeout(20):
        while "trace end" not in room.asked()[1]:
            await asyncio.sleep(0.001)
    assert not room.take(number, "late")
    answer = await room.next(number)
    assert ([line[3] for line in answer["lines"]], answer["is_over"]) == (["one"], True)
    with pytest.raises(LinkError, match="has ended"):
        await room.next(number)


async def test_it_ends_with_the_one_who_reads(room: Room) -> None:
    number = await room.begin()
    asked = asyncio.create_task(room.next(number))
    await asyncio.sleep(0)
    asked.cancel()  # as the link does when its other end is closed
    with pytest.raises(asyncio.CancelledError):
        await asked
    await room.until_none()
    assert not room.take(number, "late")


async def test_it_ends_when_asked_to_or_when_nobody_asks(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await room.begin()
    await room.requests.answer("trace end", {"number": number}, "root")
    assert room.asked() == [["trace begin", "trace end"]] * 2
    monkeypatch.setattr(module, "_LEASE_S", 0.01)
    await room.begin()
    room.clock.advance(1.0)
    async with asyncio.timeout(20):
        while len(room.requests):
            await asyncio.sleep(0.001)


async def test_there_is_a_most_of_them_and_a_longest(room: Room) -> None:
    for _ in range(MAX_TRACES):
        await room.begin()
    with pytest.raises(LinkError, match="end one of them"):
        await room.begin()
    await room.requests.answer("trace end", {"number": 1}, "root")
    with pytest.raises(LinkError, match="24 hours"):
        await room.begin(1e6)
    room.workers.ready[0].link.refuses["trace begin"] = "no"
    await room.begin()  # one worker that cannot keeps nobody from watching the others
