"""Rounds: all that is due, a bounded number at a time, and nothing that fails ends them."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from relay.base.errors import DirectoryError, SpoolError
from relay.daemon.duties.watch import Watch


class Rows:
    """A duty over numbers."""

    name = "rows"

    def __init__(self, count: int) -> None:
        self.due = list(range(count))
        self.seen: list[int] = []
        self.running = self.most = 0
        self.faults: dict[int, Exception] = {}
        self.outage: Exception | None = None
        self.round_done = asyncio.Event()

    def claim(self, limit: int) -> Sequence[int]:
        if self.outage is not None:
            raise self.outage
        claimed, self.due = self.due[:limit], self.due[limit:]
        return claimed

    async def check(self, item: int) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if item in self.faults:
            raise self.faults[item]
        self.seen.append(item)
        self.round_done.set()


async def test_a_round_looks_at_all_that_is_due_a_few_at_a_time() -> None:
    one, other = Rows(25), Rows(7)
    assert await Watch([one, other], batch=10, concurrency=4).round() == 32
    assert (sorted(one.seen), sorted(other.seen)) == (list(range(25)), list(range(7)))
    assert one.most <= 4


async def test_what_fails_is_logged_and_the_rest_is_done(caplog: pytest.LogCaptureFixture) -> None:
    rows = Rows(5)
    rows.faults = {1: ZeroDivisionError("a bug"), 3: SpoolError("disk full")}
    await Watch([rows], batch=10).round()
    assert sorted(rows.seen) == [0, 2, 4]
    assert [record.message for record in caplog.records] == ["watch: check failed", "watch: put off"]


async def test_an_outage_of_the_directory_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rows = Rows(3)
    watch = Watch([rows])
    rows.outage = DirectoryError("server gone")
    assert [await watch.round(), await watch.round()] == [0, 0]
    assert watch.is_stale
    rows.outage = None
    assert await watch.round() == 3
    assert [record.message for record in caplog.records] == [
        "watch: directory out of reach",
        "watch: directory within reach again",
    ]
    rows.outage = ZeroDivisionError("a bug")
    assert await watch.round() == 0


async def test_it_goes_on_until_the_stack_unwinds() -> None:
    rows = Rows(0)
    async with AsyncExitStack() as stack:
        await Watch([rows], interval_s=0.0).start(stack)
        for number in range(3):
            rows.round_done.clear()
            rows.due = [number]
            async with asyncio.timeout(10):
                await rows.round_done.wait()
    assert rows.seen == [0, 1, 2]
