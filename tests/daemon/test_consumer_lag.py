from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.daemon.notifier import consumer_lag as module
from relay.daemon.notifier.consumer_lag import ConsumerLag
from relay.spool.positions import FILE, Positions
from tests.fakes.clock import ManualClock
from tests.fakes.event_log import Shards

NOW = 1_800_000_000.0


@pytest.fixture
def lag(tmp_path: Path) -> ConsumerLag:
    shards = Shards(tmp_path, 2)
    for shard, at in ((1, NOW - 50), (1, NOW - 40), (2, NOW - 30)):
        shards.add(shard, shard, at=at)
    return ConsumerLag(tmp_path, ManualClock(NOW))


async def test_without_positions_there_is_nobody(lag: ConsumerLag, tmp_path: Path) -> None:
    await lag.look()
    assert lag.readings() == {"consumer_behind": {}, "consumer_behind_seconds": {}}
    assert not (tmp_path / FILE).exists()


async def test_events_and_seconds_behind(lag: ConsumerLag, tmp_path: Path) -> None:
    positions = Positions(tmp_path)
    positions.set("relay/statistics", {1: 2, 2: 1}, NOW)
    positions.set("warehouse", {1: 1, 2: 0}, NOW)
    positions.set("new", {1: 0}, NOW)
    await lag.look()
    assert lag.readings() == {
        "consumer_behind": {"relay/statistics": 0, "warehouse": 2, "new": 3},
        "consumer_behind_seconds": {"relay/statistics": 0.0, "warehouse": 40.0, "new": 50.0},
    }
    positions.forget("warehouse")
    await lag.look()
    assert set(lag.readings()["consumer_behind"]) == {"relay/statistics", "new"}


async def test_there_is_a_bound_on_consumers(
    lag: ConsumerLag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for number in range(4):
        Positions(tmp_path).set(f"c{number}", {1: 0}, NOW + number)
    await lag.look()
    assert set(lag.readings()["consumer_behind"]) == {"c3", "c2"}


async def test_what_cannot_be_read_keeps_its_numbers(lag: ConsumerLag, tmp_path: Path) -> None:
    Positions(tmp_path).set("warehouse", {1: 1, 2: 0}, NOW)
    await lag.look()
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    await lag.look()
    assert lag.readings()["consumer_behind"] == {"warehouse": 2}


async def test_it_looks_at_once_and_ends_with_the_stack(lag: ConsumerLag, tmp_path: Path) -> None:
    Positions(tmp_path).set("warehouse", {1: 1}, NOW)
    async with AsyncExitStack() as stack:
        await lag.start(stack)
        await lag.look()
        assert lag.readings()["consumer_behind"] == {"warehouse": 2}
