"""Followers: each at its own pace, from its own position."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.base.events import EventKind, Logged
from relay.daemon.notifier.following import Follower
from relay.spool.positions import FILE, Positions
from tests.fakes.clock import ManualClock
from tests.fakes.event_log import Shards


class Recorder:
    """A sink that remembers, and fails when it is told to."""

    name = "recorder"
    kinds: Collection[EventKind] = ()

    def __init__(self, position: Mapping[int, int] | None = None) -> None:
        self.start = position or {}
        self.taken: list[tuple[int, int]] = []
        self.reached: Mapping[int, int] = {}
        self.fails = 0
        self.fault: Exception = OSError("not now")
        self.came = asyncio.Event()

    async def position(self) -> Mapping[int, int]:
        return self.start

    async def take(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> None:
        if self.fails:
            self.fails -= 1
            raise self.fault
        self.taken += [(one.shard, one.offset) for one in batch]
        self.reached = reached
        self.came.set()


async def test_it_goes_on_from_the_position_of_the_sink(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 2)
    for _ in range(3):
        shards.add(1, 1)
    sink = Recorder({1: 2})
    follower = Follower(tmp_path, sink)
    assert await follower.step()
    assert (sink.taken, sink.reached, follower.behind) == ([(1, 3)], {1: 3, 2: 0}, 0)
    assert not await follower.step()
    shards.add(2, 2)
    assert await follower.step()
    assert sink.taken == [(1, 3), (2, 1)]


async def test_what_a_sink_did_not_take_comes_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.daemon.notifier.following._PAUSE_S", 0.001)
    shards = Shards(tmp_path, 1)
    shards.add(1, 1)
    sink = Recorder()
    sink.fails = 3
    async with AsyncExitStack() as stack:
        follower = Follower(tmp_path, sink, poll_s=0.001)
        await follower.start(stack)
        async with asyncio.timeout(20):
            await sink.came.wait()
    assert (sink.taken, follower.failures) == ([(1, 1)], 3)
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
        "events are not taken; tried again"
    ]


async def test_where_a_sink_is_is_written_down_wherever_it_keeps_that(tmp_path: Path) -> None:
    shards, clock = Shards(tmp_path, 1), ManualClock()
    shards.add(1, 1, count=2)
    follower = Follower(tmp_path, Recorder({1: 1}), clock=clock)

    def noted() -> dict[int, int]:
        return Positions(tmp_path).get("relay/recorder")

    await follower.step()
    assert noted() == {1: 1}  # at once: what it has not taken has to stay
    await follower.step()
    assert noted() == {1: 1}  # not with each batch
    clock.advance(1.0)
    await follower.step()
    assert noted() == {1: 2}  # nothing came
    shards.close()


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        (SpoolError("the disk is full"), [(1, 1), (1, 2), (1, 3)]),
        (SpoolCorrupt("it is gone"), [(1, 1), (1, 2)] * 2),
    ],
)
async def test_a_sink_that_has_lost_what_it_had_is_asked_for_its_position_anew(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: SpoolError,
    taken: list[tuple[int, int]],
) -> None:
    monkeypatch.setattr("relay.daemon.notifier.following._PAUSE_S", 0.001)
    shards, sink = Shards(tmp_path, 1), Recorder()
    shards.add(1, 1, count=2)
    async with AsyncExitStack() as stack:
        follower = Follower(tmp_path, sink, poll_s=0.001)
        await follower.start(stack)
        async with asyncio.timeout(20):
            await sink.came.wait()
            sink.came.clear()
            sink.fails, sink.fault = 1, fault
            shards.add(1, 1)
            await sink.came.wait()
    shards.close()
    assert sink.taken[: len(taken)] == taken
    [told] = [one for one in caplog.records if one.message == "events are not taken; tried again"]
    assert not told.exc_info
    assert vars(told)["why"] == str(fault)


async def test_damaged_positions_are_mended_and_whoever_follows_goes_on_where_he_is(tmp_path: Path) -> None:
    shards, clock, sink = Shards(tmp_path, 1), ManualClock(), Recorder()
    follower = Follower(tmp_path, sink, clock=clock)
    for damage in (lambda file: file.write_bytes(b"no database" * 500), Path.unlink):
        shards.add(1, 1)
        assert await follower.step()
        clock.advance(1.0)
        damage(tmp_path / FILE)
        for _ in range(2):  # also where nothing comes
            await follower.step()
        assert Positions(tmp_path).get("relay/recorder") == follower._after
    shards.close()
    assert sink.taken == [(1, 1), (1, 2)]
    assert (tmp_path / "corrupt" / f"{FILE}-1").exists()


async def test_a_sink_that_comes_to_want_others_while_the_log_is_read_misses_none(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 1)
    sink = Recorder()
    sink.kinds = (EventKind.NOTICE,)
    follower = Follower(tmp_path, sink)
    read = follower._log.read

    def reading(*arguments: Any) -> Any:
        found = read(*arguments)
        sink.kinds = ()
        return found

    follower._log.read = reading  # type: ignore[method-assign]
    shards.add(1, 1)
    assert await follower.step()
    assert sink.taken == []
    assert await follower.step()
    assert sink.taken == [(1, 1)]
