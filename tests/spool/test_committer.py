"""Group commit, and every way in which it can fail."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from relay.base.errors import SpoolError, SpoolFull
from relay.base.events import Change, Event, EventKind
from relay.base.message import RecipientState
from relay.spool.retention import Keep
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.disk import fsync_shim, small_disk
from tests.fakes.spool import NOW, deferring, done, message, storing, tables

BAD_TEXT = "\udcff"  # a lone surrogate: no UTF-8, hence no row


async def test_many_changes_few_transactions(shards) -> None:
    shard = await shards.open()
    kept = [message() for _ in range(1000)]
    commits, changes = shard.committer.commits, shard.committer.changes
    await asyncio.gather(*[shard.commit(storing(one)) for one in kept])
    assert shard.committer.changes - changes == 1000
    assert shard.committer.commits - commits < 50
    spool = shard.committer
    assert spool.commit_seconds.count == spool.commit_changes.count == spool.commits
    assert spool.commit_changes.sum == spool.changes
    assert 0 < spool.sync_seconds.sum < spool.commit_seconds.sum


async def test_a_future_resolves_after_commit_and_not_before(shards) -> None:
    """Another connection sees the row at the moment the future is done."""
    shard = await shards.open()
    seen: list[int] = []
    for _ in range(20):
        future = shard.commit(storing(message()))
        future.add_done_callback(lambda _: seen.append(tables(shard.folder)["message"]))
        await future
    await asyncio.sleep(0)
    assert seen == list(range(1, 21))


async def test_a_change_that_cannot_be_written_does_not_take_others_with_it(shards) -> None:
    shard = await shards.open()
    good = [message() for _ in range(100)]
    bad = message(BAD_TEXT + "@example.org")
    futures = [shard.commit(storing(one)) for one in [*good[:50], bad, *good[50:]]]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(r).__name__ for r in results] == ["NoneType"] * 50 + ["SpoolError"] + ["NoneType"] * 50
    assert tables(shard.folder)["message"] == 100
    assert not shard.committer.is_failing
    assert shard.committer.failures == 1


async def test_an_outcome_that_cannot_be_written_is_written_without_its_text(shards) -> None:
    shard = await shards.open()
    one, two = message(), message("b@example.org", "c@example.org")
    await shard.commit(storing(one, two))
    places = [*shard.journal.begin(one.key, [0]), *shard.journal.begin(two.key, [0])]
    outcome = done(one)
    outcome.events.append(Event(NOW, EventKind.DELIVERY, one.id, 1, BAD_TEXT))
    outcome.slots = places[:1]
    later = deferring(two, 0, NOW + 60, attempts=3, reply=BAD_TEXT)
    later.slots = places[1:]
    await asyncio.gather(shard.commit(outcome), shard.commit(later))
    (left,) = await shard.due(NOW + 60, 9, set())
    assert [(r.number, r.attempts, r.due_at, r.reply) for r in left.recipients] == [(0, 3, NOW + 60, "")]
    assert tables(shard.folder)["message"] == 1
    assert shard.journal.pending() == []


async def test_an_outcome_whose_bounce_cannot_be_written_is_held(shards) -> None:
    shard = await shards.open()
    one = message("b@example.org", "c@example.org")
    await shard.commit(storing(one))
    bounce = message(BAD_TEXT + "@example.com", sender="")
    change = Change(
        stored=[bounce], settled=[(one.key, 0)], deferred=deferring(one, 1, NOW).deferred, finished=[]
    )
    with pytest.raises(SpoolError, match="cannot be written"):
        await shard.commit(change)
    assert await shard.due(NOW + 1e6, 9, set()) == []
    shard = await shards.reopen()
    assert await shard.due(NOW + 1e6, 9, set()) == []
    states = await shard.control(lambda c: c.execute("SELECT number, state, reply FROM recipient").fetchall())
    assert [(number, state) for number, state, _ in states] == [(0, 2), (1, 2)]
    assert states[0][2].startswith("held: its outcome could not be written")


async def test_held_stays_held_when_an_attempt_ends_meanwhile(shards) -> None:
    shard = await shards.open()
    one = message()
    one.recipients[0].state = RecipientState.HELD
    await shard.commit(storing(one))
    await shard.commit(deferring(one, 0, NOW))
    assert await shard.due(NOW + 1e6, 9, set()) == []


async def test_old_events_go_while_changes_come_and_when_it_is_opened(shards) -> None:
    """The commit thread drops what retention says, beside its commits; offsets only grow."""

    async def bounds(shard: Shard) -> tuple[int, int]:
        sql = "SELECT min(offset), max(offset) FROM event"
        return await shard.control(lambda c: c.execute(sql).fetchone())

    limits = SpoolLimits(disk_reserve_bytes=0, keep=Keep(for_s=86_400.0))
    shard = await shards.open(limits=limits)
    events = [Event(NOW, EventKind.SEND, "x", 1)] * 100
    for _ in range(3):
        await shard.commit(Change(events=events))
    assert await bounds(shard) == (1, 300)
    shards.clock.advance(2 * 86_400.0)
    await shard.commit(Change(events=[Event(shards.clock.now(), EventKind.SEND, "x", 1)]))
    await shard.control(lambda c: None)  # the step comes after the commit
    assert await bounds(shard) == (301, 301)
    shards.clock.advance(2 * 86_400.0)
    shard = await shards.reopen(limits=limits)
    await shard.commit(Change(events=[Event(shards.clock.now(), EventKind.SEND, "x", 1)]))
    await shard.control(lambda c: None)
    assert await bounds(shard) == (302, 302)


async def test_a_shard_at_rest_looks_after_its_events_too(shards) -> None:
    shard = await shards.open()
    await shard.commit(Change(events=[Event(NOW - 2 * 86_400.0, EventKind.SEND, "x", 1)] * 9))
    shard = await shards.reopen(limits=SpoolLimits(disk_reserve_bytes=0, keep=Keep(for_s=86_400.0)))
    async with asyncio.timeout(20):
        while shard.retention.dropped < 8:
            await asyncio.sleep(0)


async def test_the_disk_is_full(tmp_path: Path) -> None:
    """New mail is refused, outcomes wait, and all goes on once there is room."""
    from contextlib import AsyncExitStack

    from relay.spool.shard import Shard
    from tests.fakes.clock import ManualClock

    with small_disk(tmp_path / "disk", "8M") as disk:
        async with AsyncExitStack() as stack:
            limits = SpoolLimits(disk_reserve_bytes=0, large_bytes=100_000)
            shard = await Shard.open(disk, 1, limits, ManualClock(), stack)
            kept = []
            ballast = disk / "ballast"
            ballast.write_bytes(b"x" * 3_000_000)
            with pytest.raises(SpoolFull):  # noqa: PT012
                while True:
                    one = message(content=os.urandom(50_000))
                    await shard.commit(storing(one))
                    kept.append(one)
            assert len(kept) > 10
            with ballast.open("ab", buffering=0) as stream:  # noqa: SIM117
                with pytest.raises(OSError, match="No space"):  # noqa: PT012
                    while True:
                        stream.write(b"x" * 4096)
            large = message(content=b"x" * 200_000)
            with pytest.raises(SpoolFull):
                await shard.commit(storing(large))
            assert list((shard.folder / "large").iterdir()) == []
            places = shard.journal.begin(kept[0].key, [0])  # on a full disk: no SIGBUS
            assert len(places) == 1
            outcomes = [shard.commit(done(one)) for one in kept[1:]]
            ballast.unlink()
            await asyncio.gather(*outcomes)
            assert not shard.committer.is_failing
            assert tables(shard.folder)["message"] == 1
            await shard.commit(storing(message()))


def test_fsync_fails(tmp_path: Path) -> None:
    """No promise on an fsync that failed, no outcome lost, and it works again afterwards."""
    library, flag = fsync_shim(tmp_path), tmp_path / "failing"
    done = subprocess.run(
        [sys.executable, "-m", "tests.spool.on_failing_disk", str(tmp_path / "spool"), str(flag)],
        env={**os.environ, "LD_PRELOAD": str(library), "FSYNC_FAILS_WHILE": str(flag)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "stored promised",
        "new while failing SpoolError",
        "failing True",
        "new at the door raised SpoolError",
        "control refused",
        "outcomes wait True True",
        "outcome after promised",
        "bounce after promised",
        "failing False",
        "new after promised",
        "files True",
        "{'message': 3, 'body': 1, 'recipient': 3, 'event': 5, 'uncertain': 0}",
        "True",
    ]


async def test_while_the_disk_fails_a_write_of_our_own_finds_out_when_it_is_back(shards) -> None:
    """Without outcomes to try again, and with new mail refused at the door, nothing else would."""
    shard = await shards.open()
    shard.committer.failure = SpoolError("as after a failed fsync")
    shard.committer._queue.put((Change(), None))
    with pytest.raises(SpoolError, match="failed fsync"):
        shard.commit(storing(message()))
    while shard.committer.is_failing:
        await shard.is_empty()
    await shard.commit(storing(message()))


async def test_a_database_that_cannot_be_opened_again_loses_no_outcome(shards) -> None:
    """Too many open files, say, at the moment the connection is renewed."""
    shard = await shards.open()
    one = message()
    await shard.commit(storing(one))
    committer = shard.committer
    broken = asyncio.Event()
    loop = asyncio.get_running_loop()

    def breaks(connection) -> None:
        connection.rollback()
        committer._connection = None
        real, committer._folder = committer._folder, committer._folder / "missing"
        loop.call_soon_threadsafe(broken.set)
        breaks.real = real

    with pytest.raises(SpoolError):
        await shard.control(breaks)
    await broken.wait()
    future = shard.commit(done(one))
    while not committer.is_failing:
        await shard.is_empty()
    assert not future.done()
    committer._folder = breaks.real
    await future
    assert await shard.is_empty()


async def test_outcomes_that_the_disk_refuses_to_the_end(shards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.spool.committer._RETRY_S", 0.01)
    shard = await shards.open()
    one = message()
    await shard.commit(storing(one))
    places = shard.journal.begin(one.key, [0])
    outcome = done(one)
    outcome.slots = list(places)

    def fails(connection, changes):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shard.committer, "_transact", fails)
    future = shard.commit(outcome)
    await shards.close()
    with pytest.raises(SpoolError):
        await future
    monkeypatch.undo()
    shard = await shards.open()
    assert shard.uncertain_found == 1
    (again,) = await shard.due(NOW + 1e6, 9, set())
    assert again.id == one.id
