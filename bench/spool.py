"""What the spool costs: store and settle messages in one shard, as a worker does, and print microseconds.

``python -m bench.spool [--size BYTES] [--messages N] [--concurrency N] [--folder DIR]``
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from relay.base.clock import SystemClock
from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.base.message import Message, Recipient
from relay.spool.shard import Shard, SpoolLimits


async def measure(folder: Path, size: int, messages: int, concurrency: int) -> None:
    clock, ids = SystemClock(), MessageIds(1)
    content = os.urandom(size // 2).hex().encode()
    async with AsyncExitStack() as stack:
        shard = await Shard.open(folder, 1, SpoolLimits(), clock, stack)
        left = messages

        async def client() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                now = clock.now()
                recipient = Recipient(0, "someone@example.org", "example.org")
                message = Message(
                    ids.make(now), 1, 1, "a@example.com", [recipient], len(content), now, now + 50000, content
                )
                event = Event(now, EventKind.SEND, message.id, 1, '{"recipients":["someone@example.org"]}')
                await shard.commit(Change(stored=[message], events=[event]))
                slots = list(shard.journal.begin(message.key, [0]))
                event = Event(now, EventKind.DELIVERY, message.id, 1, '{"reply":"250 2.0.0 Ok: queued"}')
                shard.note(
                    Change(finished=[message.key], settled=[(message.key, 0)], events=[event], slots=slots)
                )

        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*[client() for _ in range(concurrency)])
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        c = shard.committer
        print(
            f"{size} bytes: {messages / wall:.0f} msgs/s, {cpu / messages * 1e6:.0f} us CPU a message, "
            f"{c.changes / c.commits:.1f} changes and "
            f"{c.commit_seconds.sum / c.commits * 1e3:.2f} ms a commit"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--concurrency", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        uvloop.run(measure(Path(name), options.size, options.messages, options.concurrency))
