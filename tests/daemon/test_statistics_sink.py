"""The sink over a real event log: exactly once, whatever is killed when."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.counts import Counts
from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.daemon.notifier import statistics_sink as module
from relay.daemon.notifier.following import BATCH, Follower
from relay.daemon.notifier.statistics_sink import StatisticsSink
from relay.spool.event_log import EventLog
from relay.spool.shard import Shard, SpoolLimits
from relay.spool.statistics import Statistics
from relay.spool.statistics_views import reading
from tests.fakes.clock import ManualClock

NOW = 1_800_000_000.0
ROOT = Path(__file__).parents[2]


class Rig:
    """A spool of two shards, and a follower of its log."""

    def __init__(self, spool: Path, shards: list[Shard], stack: AsyncExitStack) -> None:
        self.spool = spool
        self.shards = shards
        self.clock = ManualClock(NOW)
        self.ids = [MessageIds(number) for number in (1, 2)]
        self.excepted: set[str] = set()
        self._stack = stack
        self.begin()

    def begin(self) -> None:
        """As after a start: nothing in memory."""
        thread = ThreadPoolExecutor(1)
        self._stack.callback(thread.shutdown)
        self.statistics, sends = Statistics(self.spool), EventLog(self.spool)
        self._stack.callback(self.statistics.close)
        self._stack.callback(sends.close)
        self.sink = StatisticsSink(
            self.statistics, thread, sends, lambda _, address: address in self.excepted, self.clock
        )
        self.follower = Follower(self.spool, self.sink)

    async def commit(self, number: int, *events: Event) -> None:
        await self.shards[number].commit(Change(events=list(events)))

    async def send(self, *recipients: str, account: int = 7, at: float = NOW, shard: int = 0) -> str:
        message_id = self.ids[shard].make(at)
        detail = {"identity": "shop.example", "destination": recipients}
        await self.commit(shard, Event(at, EventKind.SEND, message_id, account, json.dumps(detail)))
        return message_id

    async def outcome(self, message: str, kind: EventKind, *, shard: int = 0, **detail: Any) -> None:
        await self.commit(shard, Event(NOW + 60.0, kind, message, 7, json.dumps(detail)))

    async def drain(self) -> None:
        while await self.follower.step():
            pass

    def total(self, account: int | None = 7, **only: str) -> Counts:
        with reading(self.spool) as views:
            return views.total(account, 0.0, **only)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        clock = ManualClock(NOW)
        shards = [await Shard.open(tmp_path, number, SpoolLimits(0), clock, stack) for number in (1, 2)]
        yield Rig(tmp_path, shards, stack)


async def test_events_become_counts(rig: Rig) -> None:
    message = await rig.send("a@x.example", "b@x.example", "c@y.example")
    await rig.outcome(message, EventKind.DELIVERY, recipient="a@x.example")
    await rig.outcome(message, EventKind.BOUNCE, shard=1, recipient="b@x.example", bounceType="Permanent")
    await rig.outcome(message, EventKind.COMPLAINT, shard=1, recipient="a@x.example")
    await rig.drain()
    assert rig.total() == Counts(sent=3, delivered=1, hard=1, complaints=1, mails=3, bounced=1, complained=1)
    assert rig.total(identity="shop.example", domain="y.example") == Counts(sent=1, mails=1)
    assert rig.total() == rig.total(identity="shop.example")
    assert rig.sink.changed == {7}
    assert (rig.sink.bounces["Permanent"], rig.sink.complaints) == (1, 1)
    assert not await rig.follower.step()


async def test_own_mail_is_in_no_rate(rig: Rig) -> None:
    rig.excepted = {"bounce@simulator.relay.example", "me@shop.example"}
    message = await rig.send("bounce@simulator.relay.example", "me@shop.example", "a@x.example")
    for recipient in ("bounce@simulator.relay.example", "me@shop.example"):
        await rig.outcome(message, EventKind.BOUNCE, recipient=recipient, bounceType="Permanent")
    own = await rig.send("a@x.example", account=0)
    await rig.outcome(own, EventKind.COMPLAINT, recipient="a@x.example")
    await rig.drain()
    assert rig.total() == Counts(sent=3, hard=2, complaints=1, mails=1, complained=1)
    assert rig.total(0) == Counts(sent=1)


async def test_mail_of_before_an_account_was_resumed_is_in_no_rate(rig: Rig) -> None:
    before, at_once = await rig.send("a@x.example", at=NOW - 1.0), await rig.send("b@x.example")
    rig.statistics.judge_anew(7, NOW, "")
    await rig.outcome(before, EventKind.BOUNCE, recipient="a@x.example", bounceType="Permanent")
    await rig.outcome(at_once, EventKind.BOUNCE, recipient="b@x.example", bounceType="Permanent")
    await rig.drain()
    assert rig.total() == Counts(sent=2, hard=2, mails=1, bounced=1)


async def test_the_identity_of_a_message_of_long_ago_is_looked_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    first, *_ = [await rig.send("a@x.example") for _ in range(5)]
    await rig.drain()
    await rig.outcome(first, EventKind.DELIVERY, shard=1, recipient="a@x.example")
    await rig.outcome("no id of ours", EventKind.DELIVERY, recipient="a@x.example")
    await rig.drain()
    assert rig.total(identity="shop.example") == Counts(sent=5, delivered=1, mails=5)
    assert rig.total().delivered == 2


async def test_a_batch_that_cannot_be_written_is_counted_later_and_once(rig: Rig) -> None:
    await rig.send("a@x.example")
    await rig.drain()
    await rig.send("b@x.example")
    file = rig.spool / "statistics.db"
    rig.statistics.close()
    hidden = file.rename(rig.spool / "hidden")
    file.mkdir()
    with pytest.raises(Exception, match=r"statistics\.db"):
        await rig.follower.step()
    file.rmdir()
    hidden.rename(file)
    await rig.drain()
    assert rig.total().sent == 2


KILLED = """
import asyncio, os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from relay.base.clock import SystemClock
from relay.daemon.notifier.following import Follower
from relay.daemon.notifier.statistics_sink import StatisticsSink
from relay.spool import statistics
from relay.spool.event_log import EventLog

spool, point, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

class Dying(statistics.Statistics):
    def add(self, counts, reached):
        global after
        after -= 1
        die = after == 0
        if die and point == "read":
            os.kill(os.getpid(), signal.SIGKILL)
        if die and point == "written":  # and not committed
            class Last(dict):
                def items(self):
                    os.kill(os.getpid(), signal.SIGKILL)
            reached = Last(reached)
        super().add(counts, reached)
        if die and point == "committed":
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    parts = Dying(spool), ThreadPoolExecutor(1), EventLog(spool)
    sink = StatisticsSink(*parts, lambda *_: False, SystemClock())
    follower = Follower(spool, sink)
    while await follower.step():
        pass

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["read", "written", "committed"])
async def test_each_event_counts_once_wherever_it_is_killed(rig: Rig, point: str) -> None:
    events = [
        Event(NOW, EventKind.SEND, rig.ids[0].make(NOW), 7, '{"destination":["a@x.example"]}')
        for _ in range(2 * BATCH + 10)
    ]
    await rig.commit(0, *events)
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(rig.spool), point, "2"], cwd=ROOT, capture_output=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    with reading(rig.spool) as views:
        assert views.total(7, 0.0).sent == BATCH * (2 if point == "committed" else 1)
    await rig.drain()
    assert rig.total() == Counts(sent=len(events), mails=len(events))
