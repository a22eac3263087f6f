"""Worlds on a store in memory and on the real shard."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock
from tests.fakes.spool import NOW
from tests.fakes.store import FakeStore
from tests.traffic.world import World

Maker = Callable[..., World]


@pytest.fixture(params=["fake", "shard"])
async def store(request, tmp_path: Path) -> AsyncIterator[tuple[FakeStore | Shard, ManualClock]]:
    clock = ManualClock(NOW)
    if request.param == "fake":
        yield FakeStore(), clock
        return
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)  # as the workers do: the loop here is busy, and the shard has threads
    async with AsyncExitStack() as stack:
        stack.callback(sys.setswitchinterval, interval)
        limits = SpoolLimits(disk_reserve_bytes=0, large_bytes=5000)
        yield await Shard.open(tmp_path / "spool", 1, limits, clock, stack), clock


@pytest.fixture
async def make(store) -> AsyncIterator[Maker]:
    async with AsyncExitStack() as stack:
        worlds: list[World] = []

        async def make(**fields) -> World:
            world = World(*store, **fields)
            await world.scheduler.start(stack)
            worlds.append(world)
            return world

        yield make
