"""What the event log costs: reading it, finding a message in it, dropping from it, and its index.

``python -m bench.events [--events N] [--folder DIR]``: fills one shard with N events as a worker writes them
(a Send and a Delivery a message), with and without the index on messages in turn, then reads and drops.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from relay.base.clock import SystemClock
from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.spool import rows, schema
from relay.spool.event_log import EventLog
from relay.spool.recover import shard_folder
from relay.spool.retention import Keep, Retention

_SEND = (
    '{"source":"app@sender.example","destination":["someone@receiver.example"],"sourceIp":"192.0.2.10",'
    '"credential":"AKIAQJ2EXAMPLEKEYID0","identity":"sender.example","sizeBytes":4096}'
)
_DELIVERY = (
    '{"recipient":"someone@receiver.example","reply":"250 2.0.0 Ok: queued as 4QbX3k2vYzz1","host":'
    '"mx1.receiver.example","address":"192.0.2.55","tls":"TLSv1.3 TLS_AES_256_GCM_SHA384","milliseconds":412}'
)
_BATCH = 20  # messages a commit
_TRIED = 200  # messages looked for


def fill(connection: sqlite3.Connection, count: int) -> tuple[list[str], float]:
    """Write events; returns some of the ids, and CPU microseconds a message."""
    ids, made, at, before = MessageIds(1), list[str](), time.time() - count / 2000, list[Event]()
    started = time.process_time()
    for number in range(0, count // 2, _BATCH):
        at += _BATCH / 1000
        sends = [Event(at, EventKind.SEND, ids.make(at), 1, _SEND) for _ in range(_BATCH)]
        made.append(sends[0].message_id)
        connection.execute("BEGIN IMMEDIATE")
        rows.write(connection, [Change(events=[one]) for one in [*sends, *before]])
        connection.execute("COMMIT")
        before = [Event(at, EventKind.DELIVERY, one.message_id, 1, _DELIVERY) for one in sends]
        if number % (200 * _BATCH) == 0:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return made, (time.process_time() - started) / (count // 2) * 1e6


def index_cost(folder: Path, count: int) -> None:
    """With and without the index, in turn."""
    costs: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(6):
        is_indexed = turn % 2 == 0
        with tempfile.TemporaryDirectory(dir=folder) as name:
            connection = schema.open_writer(Path(name))
            if not is_indexed:
                connection.execute("DROP INDEX event_message")
            costs[is_indexed].append(fill(connection, count)[1])
            connection.close()
    with_it, without = statistics.median(costs[True]), statistics.median(costs[False])
    print(f"writing: {with_it:.1f} us CPU a message with the index, {without:.1f} without")


def timed(what: str, work: Callable[[], object], per: int) -> None:
    """Print the best of three."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    print(f"{what}: {best / per * 1e6:.1f} us each, {per} of them")


def measure(folder: Path, count: int) -> None:
    """Read, find, drop."""
    shard = shard_folder(folder, 1)
    shard.mkdir()
    connection = schema.open_writer(shard)
    made, _ = fill(connection, count)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    print(f"{count} events: {pages * 16384 / count:.0f} bytes each, index included")
    log = EventLog(folder)

    def read_all() -> None:
        after: dict[int, int] = {}
        while True:
            _, reached = log.read(after, 1000)
            if reached == after:
                return
            after = reached

    timed("EventLog.read, by the thousand", read_all, count)
    end = log.last()
    timed("EventLog.read with nothing new", lambda: [log.read(end) for _ in range(1000)], 1000)
    step = max(1, len(made) // _TRIED)
    some = made[::step]
    timed("of_message without deliveries", lambda: [log.of_message(one, False) for one in some], len(some))
    timed("of_message", lambda: [log.of_message(one) for one in some], len(some))
    timed("of_message, whole log looked through", lambda: log.of_message(MessageIds(1).make(1.0)), 1)
    log.close()
    clock = SystemClock()
    retention = Retention(folder, 1, Keep(bytes=0), clock)
    started = time.perf_counter()
    retention.look(connection)
    print(f"Retention.look: {(time.perf_counter() - started) * 1e3:.1f} ms")
    took = []
    while retention.dropped < min(count - 1, 100_000):
        time.sleep(retention.rest_s)
        started, dropped = time.perf_counter(), retention.dropped
        retention.step(connection)
        took.append((time.perf_counter() - started) * 1e3)
        if retention.dropped == dropped:
            break
        if len(took) % 50 == 0:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    print(f"Retention.step: {statistics.median(took):.1f} ms, at most {max(took):.1f}, of {len(took)}")
    connection.close()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        index_cost(Path(name), min(options.events, 100_000))
        measure(Path(name), options.events)
    return 0


if __name__ == "__main__":
    sys.exit(main())
