"""Log levels at the supervisor, with processes that are only said to be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relay.base.tasks import Tasks
from relay.daemon.link import LinkError
from relay.daemon.supervisor.log_requests import LogRequests
from tests.fakes.clock import ManualClock


class Child:
    def __init__(self) -> None:
        self.link = self
        self.is_ready = True
        self.told: list[dict[str, str]] = []
        self.refuses = False

    async def ask(self, what: str, timeout_s: float, overrides: dict[str, str]) -> None:
        assert what == "log levels"
        if self.refuses:
            raise LinkError("the other process is gone")
        self.told.append(overrides)


class Set_:
    """Workers, notifier and the supervisor's own levels."""

    def __init__(self) -> None:
        self.ready = [Child(), Child()]
        self.child = Child()
        self.of_file = "info"
        self.own: list[dict[str, str]] = []

    def override(self, overrides: dict[str, str]) -> None:
        self.own.append(overrides)


class Room:
    def __init__(self) -> None:
        self.tasks, self.clock = Tasks("test"), ManualClock()
        self.parts: Any = Set_()
        self.requests = LogRequests(self.parts, self.parts, self.parts, self.clock, self.tasks)

    async def set(self, level: str, logger: str = "", for_s: float | None = None) -> Any:
        fields = {"level": level, "logger": logger, "for_s": for_s}
        return await self.requests.answer("log level", fields, "root")

    async def shown(self) -> Any:
        return (await self.requests.answer("log levels", {}, "root"))["set"]

    def everybody(self) -> list[list[dict[str, str]]]:
        return [self.parts.own, self.parts.child.told, *[one.told for one in self.parts.ready]]


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    async with AsyncExitStack() as stack:
        await made.tasks.start(stack)
        yield made


async def test_everybody_hears_of_it_and_new_ones_too(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    answer = await room.set("debug", "relay.transport")
    assert answer == {
        "file": "info",
        "set": [{"logger": "relay.transport", "level": "debug", "ends_at": None, "by": "root"}],
    }
    assert room.everybody() == [[{"relay.transport": "debug"}]] * 4
    assert caplog.records[-1].__dict__["by"] == "root"
    await room.set("warning")
    assert room.everybody()[1][-1] == {"relay.transport": "debug", "": "warning"}
    new: Any = Child()
    room.requests.child_ready(new)
    async with asyncio.timeout(20):
        while not new.told:
            await asyncio.sleep(0)
    assert new.told == [{"relay.transport": "debug", "": "warning"}]
    await room.set("file")
    await room.set("file", "relay.transport")
    assert room.everybody()[3][-1] == {}
    assert await room.shown() == []


async def test_it_is_over_after_its_time_unless_it_was_set_again(room: Room) -> None:
    await room.set("debug", for_s=0.01)
    assert (await room.shown())[0]["ends_at"] == room.clock.now() + 0.01
    async with asyncio.timeout(20):
        while not all(one[-1] == {} for one in room.everybody()):
            await asyncio.sleep(0.001)
    assert await room.shown() == []
    assert room.everybody() == [[{"": "debug"}, {}]] * 4
    await room.set("debug", for_s=0.01)
    await room.set("error")
    await asyncio.gather(*[one for one in asyncio.all_tasks() if "log level" in one.get_name()])
    assert [one["level"] for one in await room.shown()] == ["error"]


async def test_one_that_does_not_answer_keeps_nobody(room: Room) -> None:
    room.parts.ready[0].refuses = True
    room.parts.child.is_ready = False
    await room.set("debug")
    assert room.everybody() == [[{"": "debug"}], [], [], [{"": "debug"}]]


@pytest.mark.parametrize(
    ("level", "logger", "for_s", "why"),
    [
        ("loud", "", None, "'loud' is no level"),
        ("debug", "httpx", None, "no logger of the relay"),
        ("debug", "", 1e9, "a week at most"),
        ("debug", "", 0.0, "a week at most"),
    ],
)
async def test_what_is_refused(room: Room, level: str, logger: str, for_s: float | None, why: str) -> None:
    with pytest.raises(LinkError, match=why):
        await room.set(level, logger, for_s)
    assert room.everybody() == [[], [], [], []]
