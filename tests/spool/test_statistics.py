"""Attempts, deliveries, hard bounces and rejects, by the quarter of an hour."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.base.events import Change, Event, EventKind
from relay.spool.shard import Shard, SpoolLimits
from relay.spool.statistics import Interval, statistics
from tests.fakes.clock import ManualClock

QUARTER = 1_800_000_000.0  # a whole number of quarters of an hour


def event(at: float, kind: EventKind, detail: str = "{}", account: int = 7) -> Event:
    return Event(at, kind, "id", account, detail)


async def test_over_all_shards_by_the_quarter(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        for number in (1, 2):
            shard = await Shard.open(tmp_path, number, SpoolLimits(0), ManualClock(QUARTER), stack)
            events = [
                event(QUARTER - 86_400.0, EventKind.SEND, '{"destination":["a@b.example"]}'),
                event(QUARTER, EventKind.SEND, '{"destination":["a@b.example","c@d.example"]}'),
                event(QUARTER + 1.0, EventKind.DELIVERY),
                event(QUARTER + 899.9, EventKind.BOUNCE, '{"expired":false}'),
                event(QUARTER + 900.0, EventKind.BOUNCE, '{"expired":true}'),
                event(QUARTER + 901.0, EventKind.BOUNCE, '{"expired":false}'),
                event(QUARTER + 902.0, EventKind.REJECT),
                event(QUARTER + 903.0, EventKind.SEND, '{"destination":["a@b.example"]}', account=8),
                event(QUARTER + 904.0, EventKind.NOTICE),
            ]
            await shard.commit(Change(events=events))
        assert statistics(tmp_path, 7, QUARTER - 1.0) == [
            Interval(QUARTER, 4, 2, 2, 0),
            Interval(QUARTER + 900.0, 0, 0, 2, 2),
        ]
        assert statistics(tmp_path, 8, 0.0) == [Interval(QUARTER + 900.0, 2, 0, 0, 0)]
        assert statistics(tmp_path, 7, 0.0)[0] == Interval(QUARTER - 86_400.0, 2, 0, 0, 0)
        assert statistics(tmp_path, 9, 0.0) == []


def test_a_shard_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "shard-000001"
    folder.mkdir()
    (folder / "spool.db").write_bytes(b"x" * 8192)
    with pytest.raises(SpoolError, match="shard-000001"):
        statistics(tmp_path, 7, 0.0)
