from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock

Opener = Callable[..., Awaitable[Shard]]

ROOM = SpoolLimits(disk_reserve_bytes=0)


class Shards:
    """Opens shards below one path, and closes them in between or at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self._stacks: dict[int, AsyncExitStack] = {}

    async def open(self, number: int = 1, limits: SpoolLimits = ROOM) -> Shard:
        stack = self._stacks[number] = AsyncExitStack()
        try:
            return await Shard.open(self.path, number, limits, self.clock, stack)
        except BaseException:
            await self.close(number)
            raise

    async def close(self, number: int = 1) -> None:
        await self._stacks.pop(number).aclose()

    async def reopen(self, number: int = 1, limits: SpoolLimits = ROOM) -> Shard:
        await self.close(number)
        return await self.open(number, limits)

    async def close_all(self) -> None:
        for number in list(self._stacks):
            await self.close(number)


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[Shards]:
    opened = Shards(tmp_path / "spool")
    yield opened
    await opened.close_all()
