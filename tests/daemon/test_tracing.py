"""A worker's traces: lines go in batches, one at a time, and a supervisor that does not want them ends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relay.base.trace import Filter, Traces
from relay.daemon.link import LinkError
from relay.daemon.worker import tracing as module
from relay.daemon.worker.tracing import Tracing


class Supervisor:
    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answer: bool | None = True
        self.came = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self, what: str, timeout_s: float, **fields: Any) -> bool:
        assert what == "traced"
        self.got.append(fields)
        self.came.release()
        await self.may_answer.wait()
        if self.answer is None:
            raise LinkError("gone")
        return self.answer


class Room:
    def __init__(self) -> None:
        self.supervisor = Supervisor()
        self.traces = Traces(2)
        self.tracing = Tracing(self.traces, self.supervisor.ask)
        self.tracing.begin(5, Filter(account=7).fields())
        (self.trace,) = self.traces.active
        self.trail = self.traces.client_trail()
        self.trail.decide([(self.trace, True)])

    async def came(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            await self.supervisor.came.acquire()
        return self.supervisor.got[-1]


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(module, "_GATHER_S", 0.001)
    made = Room()
    async with AsyncExitStack() as stack:
        await made.tracing.start(stack)
        yield made


async def test_lines_go_together_and_later_ones_follow(room: Room) -> None:
    assert room.trace.filter == Filter(account=7)
    room.supervisor.may_answer.clear()
    room.trail("C", "one")
    room.trail("C", "two")
    sent = await room.came()
    assert (sent["number"], sent["left_out"]) == (5, 0)
    assert [line[1:] for line in sent["lines"]] == [("in2.1", "C", "one"), ("in2.1", "C", "two")]
    room.trail("C", "three")  # while the supervisor is slow
    assert len(room.supervisor.got) == 1
    room.supervisor.may_answer.set()
    assert [line[3] for line in (await room.came())["lines"]] == ["three"]


@pytest.mark.parametrize("answer", [False, None])
async def test_a_trace_that_nobody_wants_ends(room: Room, answer: bool | None) -> None:
    room.supervisor.answer = answer
    over = asyncio.Event()
    room.traces.on_change.append(over.set)
    room.trail("C", "one")
    await room.came()
    async with asyncio.timeout(20):
        await over.wait()
    assert room.traces.active == ()


async def test_it_ends_when_told(room: Room) -> None:
    room.tracing.end(5)
    assert room.traces.active == ()
    room.tracing.end(5)
