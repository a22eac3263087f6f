"""Recipients per minute, from the events of all shards."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.events import Change, Event, EventKind
from relay.spool.sent import sent_by_minute
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock

NOW = 1_800_000_000.0


def sent(at: float, account: int = 7, recipients: int = 1, kind: EventKind = EventKind.SEND) -> Event:
    destination = ",".join(f'"{number}@receiver.example"' for number in range(recipients))
    return Event(at, kind, "id", account, f'{{"destination":[{destination}]}}')


async def test_over_all_shards_by_minute(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        for number in (1, 2):
            shard = await Shard.open(tmp_path, number, SpoolLimits(0), ManualClock(NOW), stack)
            old = [sent(NOW - 90_000.0 + second) for second in range(300)]
            events = [
                *old,
                sent(NOW - 120.0, recipients=3),
                sent(NOW - 60.0, account=8),
                sent(NOW, recipients=10),
                sent(NOW, kind=EventKind.DELIVERY),
            ]
            await shard.commit(Change(events=events))
        minute = int(NOW // 60)
        assert sent_by_minute(tmp_path, 7, NOW - 86_400.0) == [(minute - 2, 6), (minute, 20)]
        assert sent_by_minute(tmp_path, 7, NOW - 86_400.0, 60.0) == [(minute - 1, 6), (minute + 1, 20)]
        assert sent_by_minute(tmp_path, 7, NOW - 90_001.0)[0][1] > 0
        assert sum(count for _, count in sent_by_minute(tmp_path, 7, 0.0)) == 2 * 313
        assert sent_by_minute(tmp_path, 7, NOW + 1.0) == []


async def test_mail_to_the_simulator_does_not_count(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        shard = await Shard.open(tmp_path, 1, SpoolLimits(0), ManualClock(NOW), stack)
        to = '["a@b.example","bounce@Simulator.relay.example","x@notsimulator.relay.example"]'
        await shard.commit(Change(events=[Event(NOW, EventKind.SEND, "id", 7, f'{{"destination":{to}}}')]))
        assert [count for _, count in sent_by_minute(tmp_path, 7, 0.0)] == [3]
        simulator = "simulator.relay.example"
        assert [count for _, count in sent_by_minute(tmp_path, 7, 0.0, simulator=simulator)] == [2]


async def test_nothing_sent(tmp_path: Path) -> None:
    assert sent_by_minute(tmp_path, 7, 0.0) == []
    async with AsyncExitStack() as stack:
        await Shard.open(tmp_path, 1, SpoolLimits(0), ManualClock(NOW), stack)
        assert sent_by_minute(tmp_path, 7, 0.0) == []


def test_a_shard_that_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "shard-000001"
    folder.mkdir()
    (folder / "spool.db").write_bytes(b"x" * 8192)
    assert sent_by_minute(tmp_path, 7, 0.0) == []
    assert "events left out of an account's usage" in caplog.text
