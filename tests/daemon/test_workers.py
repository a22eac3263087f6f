"""The set of workers, with children that are only said to be: who is asked, who is waited for."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.base.tasks import Tasks
from relay.daemon.exits import EX_CONFIG, EX_TEMPFAIL
from relay.daemon.link import LinkError
from relay.daemon.settings.config import parse
from relay.daemon.supervisor import workers as module
from relay.daemon.supervisor.workers import Workers
from tests.fakes.clock import ManualClock


class FakeProcess:
    pid = 1 << 30  # of nobody

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.ended = asyncio.Event()

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.returncode is not None
        return self.returncode

    def end(self, status: int) -> None:
        self.returncode = status
        self.ended.set()


class FakeLink:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses: dict[str, str] = {}
        self.is_open = True

    async def serve(self) -> None: ...

    async def ask(self, what: str, timeout_s: float = 60.0, **fields: Any) -> None:
        self.asked.append(what)
        if what in self.refuses:
            raise LinkError(self.refuses[what])


class FakeChild:
    """A worker that starts, and then does what the test says."""

    def __init__(self, outfit: Any, answer: Any) -> None:
        self.outfit, self.answer = outfit, answer
        self.number, self.text = outfit.number, outfit.texts[1]
        self.process, self.link = FakeProcess(), FakeLink()
        self.is_ready = self.is_aborted = False
        self.signals: list[int] = []

    def kill(self, number: int = 9) -> None:
        if self.process.returncode is None:
            self.signals.append(number)
            if number == 9:
                self.process.end(-9)

    def publish(self, readings: dict[str, Any], now: float) -> None:
        self.published, self.published_at = readings, now

    async def readings(self) -> dict[str, Any] | None:
        return {"accepted": self.number} if self.number else None


class Room:
    """Two workers, not started yet."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[FakeChild] = []
        self.starting_fails: list[OSError] = []
        self.unusable = 0
        self.asked: list[tuple[int, str, dict[str, Any]]] = []
        self.clock = ManualClock()
        self.tasks = Tasks("test")
        self.delays: list[float] = []
        monkeypatch.setattr(module, "Child", self)
        self.config = parse(f"[spool]\npath = '{tmp_path}'\n", tmp_path / "relay.toml")
        self.spool = tmp_path
        self.workers = Workers(
            "boot", self.config, [[], []], self.clock, self.tasks, self._unusable, self._asked
        )

    async def _asked(self, life: int, what: str, fields: dict[str, Any]) -> Any:
        self.asked.append((life, what, fields))
        return "answered"

    def _unusable(self) -> None:
        self.unusable += 1

    async def start(self, outfit: Any, answer: Any) -> FakeChild:
        """In place of Child.start."""
        if self.starting_fails:
            raise self.starting_fails.pop()
        self.started.append(FakeChild(outfit, answer))
        return self.started[-1]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.started) < count or len(self.workers.children) < 2:
                await asyncio.sleep(0.005)

    async def all_ready(self) -> None:
        self.workers.start()
        await self.until(2)
        for child in self.started:
            await child.answer("ready", {})


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    made = Room(tmp_path, monkeypatch)
    yield made
    made.workers._board.close()


async def test_all_are_ready_once_the_last_one_says_so(room: Room) -> None:
    room.workers.start()
    await room.until(2)
    one, two = room.started
    assert room.workers.readiness() == {0: False, 1: False}
    assert await one.answer("ready", {}) is None
    assert not room.workers.all_ready.is_set()
    with pytest.raises(LinkError, match="worker 1 is not ready; try again in a moment"):
        room.workers.everyone()
    await two.answer("ready", {})
    assert room.workers.all_ready.is_set()
    assert len(room.workers.everyone()) == 2
    await room.tasks.end()


async def test_one_that_does_not_answer_is_missing_from_the_readings(room: Room) -> None:
    await room.all_ready()
    assert await room.workers.readings() == {1: {"accepted": 1}}
    await room.tasks.end()


async def test_readings_that_a_worker_sends_are_kept_with_their_time(room: Room) -> None:
    await room.all_ready()
    room.clock.advance(5)
    assert await room.started[1].answer("publish", {"readings": {"accepted": 7}}) is None
    assert room.started[1].published == {"accepted": 7}
    assert room.started[1].published_at == room.clock.monotonic()
    assert room.asked == []
    await room.tasks.end()


async def test_the_dead_are_replaced(room: Room) -> None:
    await room.all_ready()
    room.started[0].process.end(-9)
    await room.until(3)
    assert room.workers.readiness() == {0: False, 1: True}
    assert [one.number for one in room.started] == [0, 1, 0]
    assert room.workers.restarts[0].count == 1
    await room.tasks.end()


async def test_a_process_that_cannot_be_had_is_asked_for_again(room: Room) -> None:
    room.starting_fails = [OSError(11, "Resource temporarily unavailable")]
    room.workers.start()
    await room.until(2)
    assert sum(one.count for one in room.workers.restarts.values()) == 1
    await room.tasks.end()


@pytest.mark.parametrize(("status", "unusable"), [(EX_CONFIG, 1), (EX_TEMPFAIL, 0), (1, 0), (-9, 0)])
async def test_a_wrong_configuration_ends_the_start(room: Room, status: int, unusable: int) -> None:
    room.workers.start()
    await room.until(2)
    room.started[0].process.end(status)
    if not unusable:
        await room.until(3)
    for _ in range(5):
        await asyncio.sleep(0)
    assert room.unusable == unusable
    await room.tasks.end()


async def test_a_configuration_that_breaks_later_ends_nothing(room: Room) -> None:
    await room.all_ready()
    room.started[0].process.end(EX_CONFIG)
    await room.until(3)
    assert room.unusable == 0
    await room.tasks.end()


async def test_orphans_are_shared_out(room: Room) -> None:
    for number in (1, 2, 3, 4, 7):
        folder = room.spool / f"shard-{number:06x}"
        folder.mkdir()
        (folder / "spool.db").touch()
    room.workers.start()
    await room.until(2)
    assert [one.outfit.orphans for one in room.started] == [[3, 7], [4]]
    await room.tasks.end()


async def test_a_new_configuration_reaches_all_or_none(room: Room) -> None:
    await room.all_ready()
    one, two = room.started
    await room.workers.take_over("new")
    assert one.link.asked == two.link.asked == ["prepare", "take over"]
    two.link.refuses = {"prepare": "[x] y: is wrong"}
    with pytest.raises(LinkError, match=r"\[x\] y: is wrong"):
        await room.workers.take_over("newer")
    assert one.link.asked == ["prepare", "take over", "prepare"]  # and no more
    assert room.workers.text == "new"
    await room.tasks.end()


async def test_one_that_promised_and_then_could_not_is_started_anew(room: Room) -> None:
    await room.all_ready()
    room.started[0].link.refuses = {"take over": "KeyError: a bug"}
    await room.workers.take_over("new")
    assert [one.signals for one in room.started] == [[15], []]
    assert room.started[1].link.asked == ["prepare", "take over"]
    await room.tasks.end()


async def test_one_that_was_starting_meanwhile_gets_it_when_it_is_ready(room: Room) -> None:
    room.workers.start()
    await room.until(2)
    one, two = room.started
    await one.answer("ready", {})
    await room.workers.take_over("new")
    assert two.link.asked == []
    assert await two.answer("ready", {}) == "new"
    one.process.end(-9)
    await room.until(3)
    assert room.started[2].outfit.texts == ("boot", "new")
    assert await room.started[2].answer("ready", {}) is None
    await room.tasks.end()


async def test_it_drains_within_the_bound(room: Room) -> None:
    await room.all_ready()
    draining = room.tasks.spawn(room.workers.drain(30.0, asyncio.Event()), "drain")
    await asyncio.sleep(0)
    assert [one.signals for one in room.started] == [[15], [15]]
    room.started[0].process.end(0)
    await asyncio.sleep(0)
    assert not draining.done()
    room.started[1].process.end(0)
    await draining
    assert len(room.started) == 2
    await room.tasks.end()


@pytest.mark.parametrize("is_asked", [True, False])
async def test_what_does_not_end_is_killed(
    room: Room, is_asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await room.all_ready()
    at_once = asyncio.Event()
    if is_asked:
        at_once.set()
    await room.workers.drain(30.0 if is_asked else 0.01, at_once)
    await room.workers.kill()
    assert [one.signals for one in room.started] == [[15, 9], [15, 9]]
    assert "workers killed before they had ended" in caplog.text
    await room.tasks.end()


async def test_what_workers_ask_is_passed_on_with_the_number_of_their_life(room: Room) -> None:
    await room.all_ready()
    for child in room.started:
        assert await child.answer("lease", {"account": 7}) == "answered"
    first, second = (life for life, _, _ in room.asked)
    assert first != second
    assert [rest for _, *rest in room.asked] == [["lease", {"account": 7}]] * 2
