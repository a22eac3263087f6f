"""Suppression lists of a million addresses: import, index, memory, look-up, and what loading costs the loop.

    python -m bench.suppression [--entries N] [--url postgresql://...]

A third of the entries are on the service-wide list, the rest on those of ten accounts. *Look-up* is
``Suppression.suspects`` for messages to one recipient that nobody suppresses; *question* is one address that
is listed, asked of the directory from the event loop. *Hold-up* is the longest that the event loop did
nothing else while the index was loaded beside it. Seconds of CPU are told beside those of the clock, for a
machine that others use too. Standard output ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from relay.base.clock import SystemClock
from relay.base.message import Recipient
from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.codec.suppression_csv import read
from relay.directory.records import Account
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from relay.directory.suppression_live import LiveSuppression
from relay.policy.suppression import Suppression

ACCOUNTS = 10
_BATCH = 10_000


def lines(entries: int) -> bytes:
    """A CSV file of so many addresses."""
    return b"".join(b"user.%d@example%d.org,BOUNCE\n" % (n, n % 997) for n in range(entries))


def list_of(number: int) -> int:
    """The list that an entry is on."""
    return SERVICE if number % 3 == 0 else 1 + number % ACCOUNTS


def fill(directory: Directory, entries: int) -> None:
    """Import them as the command line does, onto many lists."""
    batch: list[tuple[int, Listed]] = []
    for number, one in enumerate(read(io.BytesIO(lines(entries)).readline, SystemClock().now())):
        assert isinstance(one, Listed), one
        batch.append((list_of(number), one))
        if len(batch) == _BATCH:
            directory.suppression.put(batch)
            batch.clear()
    directory.suppression.put(batch)


async def load(live: LiveSuppression) -> tuple[float, float]:
    """Seconds until the index is there, and the longest that the loop was held up meanwhile."""
    worst, begin = 0.0, time.perf_counter()
    loading = asyncio.ensure_future(live.poll())
    last = begin
    while not loading.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        worst, last = max(worst, now - last - 0.001), now
    assert live.is_loaded
    return time.perf_counter() - begin, worst


def resident_mb() -> float:
    """Memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def measure(directory: Directory, entries: int) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {"entries": entries}
    begin, used = time.perf_counter(), time.process_time()
    fill(directory, entries)
    found["import_s"] = round(time.perf_counter() - begin, 2)
    found["import_cpu_s"] = round(time.process_time() - used, 2)
    begin = time.perf_counter()
    exported = sum(1 for _ in directory.suppression.listed(SERVICE))
    found["export_s"] = round((time.perf_counter() - begin) * entries / max(1, exported), 2)
    before = resident_mb()
    async with AsyncExitStack() as stack:
        live = LiveSuppression(directory.suppression, SystemClock(), interval_s=3600.0)
        stack.callback(live._asker.shutdown)
        stack.callback(live._reader.shutdown)
        await live._tasks.start(stack)
        used = time.process_time()
        seconds, worst = await load(live)
        found["load_cpu_s"] = round(time.process_time() - used, 2)
        index = live._index
        assert index is not None
        found["load_s"] = round(seconds, 2)
        found["hold_up_ms"] = round(worst * 1000, 1)
        found["index_mb"] = round(index.size_bytes / 1e6, 2)
        found["resident_mb"] = round(resident_mb() - before, 1)
        policy = Suppression(live, SystemClock(), 14 * 86_400.0)
        account = Account(1, "one")
        some = [[Recipient(0, f"Someone.{n}@example.net", "example.net")] for n in range(20_000)]
        found["lookup_us"] = round(
            min(timeit.repeat(lambda: _ask_all(policy, account, some), number=1)) * 50, 2
        )
        empty = Suppression(_Empty(), SystemClock(), 14 * 86_400.0)  # type: ignore[arg-type]
        found["lookup_empty_us"] = round(
            min(timeit.repeat(lambda: _ask_all(empty, account, some), number=1)) * 50, 2
        )
        begin = time.perf_counter()
        numbers = [n for n in range(min(entries, 3_000)) if list_of(n) == 1][:100]
        for n in numbers:
            listed = f"user.{n}@example{n % 997}.org"
            assert live.may_have(1, listed)
            assert await live.find(1, [listed], 0.0) == {listed: SuppressionReason.BOUNCE}
        found["question_ms"] = round((time.perf_counter() - begin) * 1000 / len(numbers), 2)
    return found


class _Empty:
    is_empty = True


def _ask_all(policy: Suppression, account: Account, messages: list[list[Recipient]]) -> None:
    for recipients in messages:
        assert not policy.suspects(account, recipients)


def directories(url: str, folder: Path) -> Iterator[Directory]:
    """One, with its accounts, in the database of that URL or in a file."""
    create_key_file(folder / "relay.key")
    directory = Directory(url or f"sqlite:///{folder / 'directory.db'}", folder / "relay.key", "us-east-1")
    directory.migrate()
    for number in range(ACCOUNTS):
        directory.accounts.create(f"bench-{number}")
    yield directory
    directory.close()


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="bench.suppression")
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--url", default="", help="an empty database; default: SQLite in a temporary folder")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as folder:
        for directory in directories(given.url, Path(folder)):
            found = asyncio.run(measure(directory, given.entries))
    for name, value in found.items():
        print(f"{name:<16} {value:>12,}")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
