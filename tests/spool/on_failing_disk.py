"""Run with fsync_shim preloaded: what a shard says while fsync fails, and after. Prints one line a step."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from relay.base.errors import SpoolError
from relay.base.events import Change
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock
from tests.fakes.spool import done, message, storing, tables


async def say(step: str, future: asyncio.Future[None]) -> None:
    try:
        await future
        print(step, "promised")
    except SpoolError as error:
        print(step, type(error).__name__)


async def main(path: Path, flag: Path) -> None:
    limits = SpoolLimits(disk_reserve_bytes=0, large_bytes=100_000)
    async with AsyncExitStack() as stack:
        shard = await Shard.open(path, 1, limits, ManualClock(), stack)
        one, two, three = message(), message(), message()
        await say("stored", shard.commit(storing(one, two, three)))
        flag.touch()
        refused, large = message(), message(content=b"x" * 200_000)
        await say("new while failing", shard.commit(storing(refused)))
        print("failing", shard.committer.is_failing)
        try:
            await say("new at the door", shard.commit(storing(large)))
        except SpoolError as error:
            print("new at the door raised", type(error).__name__)
        bounce = message(sender="", content=b"y" * 200_000)
        outcome = done(one)
        kept = shard.commit(outcome)
        with_bounce = shard.commit(Change(stored=[bounce], settled=[(two.key, 0)], finished=[two.key]))
        asked = shard.control(lambda c: c.execute("DELETE FROM message").rowcount)
        try:
            await asked
        except SpoolError:
            print("control refused")
        print("outcomes wait", not kept.done(), not with_bounce.done())
        flag.unlink()
        await say("outcome after", kept)
        await say("bounce after", with_bounce)
        print("failing", shard.committer.is_failing)
        await say("new after", shard.commit(storing(large)))
        files = sorted(os.listdir(shard.folder / "large"))
        print("files", files == sorted([bounce.id, large.id]))
    print(tables(shard.folder))
    async with AsyncExitStack() as stack:
        shard = await Shard.open(path, 1, limits, ManualClock(), stack)
        print(
            sorted(m.id for m in await shard.due(9e9, 99, set())) == sorted([three.id, bounce.id, large.id])
        )


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
