"""The notifier under the supervisor's eye, as a process that is only said to be."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.tasks import Tasks
from relay.daemon.link import LinkError
from relay.daemon.settings.config import parse
from relay.daemon.supervisor import notifier_process as module
from relay.daemon.supervisor.notifier_process import NotifierProcess
from tests.daemon.test_workers import FakeChild
from tests.fakes.clock import ManualClock


class Room:
    """A notifier that is not started yet."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lives: list[FakeChild] = []
        self.born = asyncio.Condition()
        self.may_start = asyncio.Event()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.tasks = Tasks("test")
        monkeypatch.setattr(module, "Child", self)
        monkeypatch.setattr(module, "_START_AFTER_S", 0.0)
        settings = parse(f"[spool]\npath = '{tmp_path}'\n", tmp_path / "relay.toml")
        self.notifier = NotifierProcess("boot", settings, ManualClock(), self.tasks, self._answer)

    async def _answer(self, life: int, what: str, fields: dict[str, Any]) -> str:
        self.asked.append((what, fields))
        return "answered"

    async def start(self, outfit: Any, answer: Any) -> FakeChild:
        """In place of Child.start."""
        self.lives.append(FakeChild(outfit, answer))
        async with self.born:
            self.born.notify_all()
        return self.lives[-1]

    async def until(self, count: int) -> FakeChild:
        async with asyncio.timeout(20), self.born:
            await self.born.wait_for(lambda: len(self.lives) >= count)
        return self.lives[count - 1]


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    made = Room(tmp_path, monkeypatch)
    async with AsyncExitStack() as stack:
        await made.tasks.start(stack)
        made.notifier.start(made.may_start)
        yield made


async def test_it_starts_when_it_may_and_is_ready_when_it_says_so(room: Room) -> None:
    assert room.lives == []
    room.may_start.set()
    child = await room.until(1)
    assert (child.outfit.role, child.outfit.sockets, room.notifier.is_ready) == ("notifier", [], False)
    with pytest.raises(LinkError, match="not ready"):
        await room.notifier.ask("anything")
    assert await child.answer("ready", {}) is None
    assert room.notifier.is_ready
    assert await child.answer("notice", {"subject": "s"}) == "answered"
    assert room.asked == [("notice", {"subject": "s"})]


async def test_one_that_dies_is_started_anew_with_the_newest_configuration(room: Room) -> None:
    room.may_start.set()
    child = await room.until(1)
    await child.answer("ready", {})
    await room.notifier.prepare("newer")
    await room.notifier.take_over("newer")
    assert child.link.asked == ["prepare", "take over"]
    child.process.end(-9)
    second = await room.until(2)
    assert second.outfit.texts == ("boot", "newer")
    assert (room.notifier.restarts.count, room.notifier.is_ready) == (1, False)


async def test_a_configuration_that_it_refuses_changes_nothing(room: Room) -> None:
    room.may_start.set()
    child = await room.until(1)
    await child.answer("ready", {})
    child.link.refuses["prepare"] = "no such topic"
    with pytest.raises(LinkError, match="no such topic"):
        await room.notifier.prepare("newer")
    assert room.notifier.text == "boot"


async def test_one_that_is_not_there_keeps_nobody_from_a_configuration(room: Room) -> None:
    await room.notifier.prepare("newer")
    room.may_start.set()
    child = await room.until(1)
    assert child.outfit.texts == ("boot", "boot")
    await child.answer("ready", {})
    child.link.refuses["prepare"], child.link.is_open = "the other process is gone", False
    await room.notifier.prepare("newer")
    await room.notifier.take_over("newer")
    assert room.notifier.text == "newer"


async def test_at_the_end_it_is_asked_to_and_not_started_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.may_start.set()
    child = await room.until(1)
    nice: list[tuple[int, int, list[int]]] = []
    monkeypatch.setattr(module, "set_nice", lambda to, pid: nice.append((to, pid, [*child.signals])))
    ending = asyncio.create_task(room.notifier.end(30.0))
    await asyncio.sleep(0)
    assert child.signals == [signal.SIGTERM]
    assert nice == [(0, child.process.pid, [])], "it gives way to others no more, before it is to end"
    child.process.end(0)
    await ending
    await asyncio.sleep(0)
    assert len(room.lives) == 1
