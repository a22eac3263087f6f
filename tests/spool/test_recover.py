"""What a crash, a kill or damage leaves, and what opening makes of it."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.base.events import Change, Event, EventKind
from relay.spool import content, rebuild, recover, schema
from relay.spool.event_log import EventLog
from relay.spool.positions import Positions
from relay.spool.shard import SpoolLimits
from tests.fakes.spool import NOW, deferring, done, message, storing, tables

PAGE = 16384
LARGE = SpoolLimits(disk_reserve_bytes=0, large_bytes=5000)


async def test_the_uncertain_are_those_whose_dot_has_no_outcome(shards) -> None:
    shard = await shards.open()
    names = ("settled", "deferred", "unknown", "cleared", "no-dot")
    one = message(*[f"{name}@example.org" for name in names])
    await shard.commit(storing(one))
    settled, deferred = done(one, 0), deferring(one, 1, NOW)
    settled.slots = list(shard.journal.begin(one.key, [0]))
    deferred.slots = list(shard.journal.begin(one.key, [1]))
    await shard.commit(settled)
    await shard.commit(deferred)
    shard.journal.begin(one.key, [2])
    shard.journal.begin(one.key, [2])  # a second connection tried
    shard.journal.clear(shard.journal.begin(one.key, [3]))
    shard = await shards.reopen()
    assert shard.uncertain_found == 1
    assert await shard.control(
        lambda c: c.execute("SELECT message_id, address, why FROM uncertain").fetchall()
    ) == [(one.id, "unknown@example.org", "crash")]
    assert shard.journal.pending() == []
    shard = await shards.reopen()
    assert shard.uncertain_found == 0
    shards.clock.advance(15 * 86400)
    shard = await shards.reopen()
    assert tables(shard.folder)["uncertain"] == 0


async def test_files_without_a_row_go_and_rows_without_a_file_are_damage(shards) -> None:
    shard = await shards.open(limits=LARGE)
    kept, lost = message(content=b"k" * 6000), message(content=b"l" * 6000)
    await shard.commit(storing(kept, lost))
    (shard.folder / "large" / "0-no-row").write_bytes(b"no 250 for this")
    (shard.folder / "large" / lost.id).unlink()
    shard = await shards.reopen(limits=LARGE)
    assert os.listdir(shard.folder / "large") == [kept.id]
    due = await shard.due(NOW + 1, 9, set())
    found = await shard.contents(due)
    assert {type(one).__name__ for one in found.values()} == {"PosixPath", "SpoolCorrupt"}


def fill(count: int) -> list:
    return [message(f"{n}@example.org", content=b"%d " % n + b"x" * 4000) for n in range(count)]


def overwrite(folder: Path, page: int, text: bytes = b"\xa5" * PAGE, at: int = 0) -> None:
    with (folder / schema.DATABASE).open("r+b") as stream:
        stream.seek((page - 1) * PAGE + at)
        stream.write(text)


def leaf_pages(folder: Path, table: str) -> list[int]:
    """Pages of a table's rows, by looking for the page type of a leaf that holds our text."""
    text = (folder / schema.DATABASE).read_bytes()
    mark = {"body": b"x" * 500, "recipient": b"@example.orgexample.org"}[table]
    kinds = {"body": (0x0D,), "recipient": (0x0A,)}[table]
    return [
        at // PAGE + 1
        for at in range(PAGE, len(text), PAGE)
        if text[at] in kinds and mark in text[at : at + PAGE]
    ]


@pytest.mark.parametrize("octets", [16, 100, PAGE])
async def test_a_header_that_was_overwritten_costs_nothing(shards, octets: int) -> None:
    shard = await shards.open()
    kept = fill(300)
    await shard.commit(storing(*kept))
    await shards.close()
    overwrite(shard.folder, 1, b"\xa5" * octets)
    shard = await shards.open()
    assert shard.corrupt == 1
    due = await shard.due(NOW + 1, 1000, set())
    assert sorted(m.id for m in due) == sorted(m.id for m in kept)
    found = await shard.contents(due)
    assert [found[m.key] for m in sorted(due, key=lambda m: m.key)] == [m.content for m in kept]
    assert tables(shard.folder)["event"] == 300 + 1  # one tells of the gap
    (aside,) = (shard.folder / "corrupt").iterdir()
    assert {"spool.db", "page-1"} <= set(os.listdir(aside))


async def test_pages_in_the_middle_cost_their_own_rows_only(shards) -> None:
    """Two pages of content are lost; their messages are set aside one by one, the others go on."""
    shard = await shards.open()
    kept = fill(300)
    await shard.commit(storing(*kept))
    await shards.close()
    bodies = leaf_pages(shard.folder, "body")
    assert len(bodies) > 30
    for page in (bodies[10], bodies[20]):
        overwrite(shard.folder, page)
    shard = await shards.open()
    due = await shard.due(NOW + 1, 1000, set())
    assert len(due) == 300
    found = await shard.contents(due)
    bad = [m for m in due if isinstance(found[m.key], SpoolCorrupt)]
    assert 2 <= len(bad) <= 20
    for one in bad:
        await shard.commit(await shard.set_aside(one, found[one.key]))
    good = [m for m in due if m not in bad]
    await shard.commit(done(good[0]))
    for one in good[1:]:
        shard.note(done(one))
    await shard.control(lambda c: None)
    assert await shard.is_empty()
    assert shard.committer.rebuilds <= 1
    assert not shard.committer.is_failing
    envelopes = [name for name in os.listdir(shard.folder / "corrupt") if name.endswith(".json")]
    assert sorted(envelopes) == sorted(f"{m.id}.json" for m in bad)


async def test_after_damage_offsets_of_events_go_on_behind_what_anyone_has_seen(shards) -> None:
    """The newest events are lost; a consumer had seen them already, and misses nothing that comes."""
    shard = await shards.open()
    await shard.commit(Change(events=[Event(NOW, EventKind.SEND, "x", 1)] * 10))
    await shard.control(lambda c: c.execute("DELETE FROM event WHERE offset > 5").rowcount)
    await shards.close()
    Positions(shards.path).set("billing", {1: 9, 2: 77}, NOW)
    overwrite(shard.folder, 1, b"\xa5" * 100)
    shard = await shards.open()
    await shard.commit(Change(events=[Event(NOW, EventKind.DELIVERY, "x", 1)]))
    log = EventLog(shards.path)
    batch, _ = log.read({1: 9})
    assert [one.event.kind for one in batch] == [EventKind.GAP, EventKind.DELIVERY]
    assert batch[0].offset > 9 + 1_000_000
    assert log.behind({1: 9}) == (2, 0)
    log.close()


async def test_a_damaged_page_of_recipients_is_found_at_the_start(shards) -> None:
    shard = await shards.open()
    kept = fill(3000)
    for at in range(0, 3000, 500):
        await shard.commit(storing(*kept[at : at + 500]))
    await shards.close()
    pages = leaf_pages(shard.folder, "recipient")
    assert len(pages) > 4
    for page in (pages[1], pages[3]):
        overwrite(shard.folder, page)
    shard = await shards.open()
    assert shard.corrupt == 1
    due = await shard.due(NOW + 1, 10_000, set())
    per_page = 3000 / len(pages)
    assert 3000 - 3.5 * per_page < len(due) < 3000
    found = await shard.contents(due)
    assert all(isinstance(one, bytes) for one in found.values())
    for one in due:
        shard.note(done(one))
    await shard.control(lambda c: None)
    assert await shard.is_empty()


async def test_after_damage_files_without_a_row_are_kept(shards) -> None:
    shard = await shards.open(limits=LARGE)
    one = message(content=b"k" * 6000)
    await shard.commit(storing(one))
    await shards.close()
    (shard.folder / schema.DATABASE).write_bytes(b"")
    for suffix in ("-wal", "-shm"):
        (shard.folder / (schema.DATABASE + suffix)).unlink(missing_ok=True)
    overwrite(shard.folder, 1, b"nothing that is a database")
    shard = await shards.open(limits=LARGE)
    assert await shard.is_empty()
    (kept,) = (shard.folder / "corrupt").rglob("*.eml")
    assert kept.read_bytes() == b"k" * 6000


async def test_a_database_that_vanished_does_not_take_its_files_along(shards) -> None:
    shard = await shards.open(limits=LARGE)
    one = message(content=b"k" * 6000)
    await shard.commit(storing(one))
    await shards.close()
    (shard.folder / schema.DATABASE).unlink()
    shard = await shards.open(limits=LARGE)
    assert shard.corrupt == 1
    assert (shard.folder / "corrupt" / f"{one.id}.eml").read_bytes() == b"k" * 6000


async def test_a_rebuild_cut_off_between_its_renames_goes_on(shards) -> None:
    shard = await shards.open()
    one = message()
    await shard.commit(storing(one))
    await shards.close()
    for is_old_there in (True, False):
        database = shard.folder / schema.DATABASE
        database.rename(shard.folder / (schema.DATABASE + ".rebuilt"))
        if is_old_there:
            database.write_bytes(b"damaged")
        shard = await shards.open()
        assert [m.id for m in await shard.due(NOW + 1, 9, set())] == [one.id]
        await shards.close()


async def test_a_newer_version_is_an_error_and_not_damage(shards) -> None:
    shard = await shards.open()
    await shard.control(lambda c: None)
    await shards.close()
    connection = schema.open_writer(shard.folder)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(SpoolError, match="version 99"):
        await shards.open()
    assert os.listdir(shard.folder / "corrupt") == []


def test_shards_are_found_by_their_databases(tmp_path: Path) -> None:
    for number in (1, 2, 0xABCDEF):
        os.close(recover.lock(recover.shard_folder(tmp_path, number)))
    assert recover.shards_in(tmp_path) == []
    for number in (2, 0xABCDEF):
        recover.open_database(recover.shard_folder(tmp_path, number), NOW)[0].close()
    assert recover.shards_in(tmp_path) == [2, 0xABCDEF]


def test_a_file_is_durable_under_its_name(tmp_path: Path) -> None:
    (tmp_path / content.FOLDER).mkdir()
    content.write_files(tmp_path, [("a", b"1"), ("b", b"")])
    assert content.file_of(tmp_path, "a").read_bytes() == b"1"
    content.remove_files(tmp_path, ["a", "b", "never"])
    assert os.listdir(tmp_path / content.FOLDER) == []
    assert rebuild.finish(tmp_path, NOW) is False


KILLED = """
import asyncio, sys, uuid
from contextlib import AsyncExitStack
from pathlib import Path
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock
from tests.fakes.spool import done, message, storing

async def main():
    async with AsyncExitStack() as stack:
        limits = SpoolLimits(disk_reserve_bytes=0, large_bytes=5000)
        shard = await Shard.open(Path(sys.argv[1]), 1, limits, ManualClock(), stack)
        async def client(number):
            while True:
                one = message(content=b"x" * (7000 if number % 4 == 0 else 500))
                await shard.commit(storing(one))
                print("stored", one.id, flush=True)
                place = shard.journal.begin(one.key, [0])
                print("dot", one.id, flush=True)
                change = done(one); change.slots = list(place)
                await shard.commit(change)
                print("settled", one.id, flush=True)
        await asyncio.gather(*[client(n) for n in range(8)])

asyncio.run(main())
"""


async def test_killed_at_any_moment_it_keeps_what_it_promised(shards) -> None:
    dice = random.Random(5)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(shards.path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        lines = [process.stdout.readline() for _ in range(dice.randrange(20, 400))]
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].splitlines()
        said: dict[str, set[str]] = {"stored": set(), "dot": set(), "settled": set()}
        for line in lines:
            word, _, name = line.decode().strip().partition(" ")
            if len(name) == 60:
                said[word].add(name)
        shard = await shards.open(limits=LARGE)
        due = await shard.due(NOW + 1e6, 100_000, set())
        there = {m.id for m in due}
        assert said["stored"] - said["dot"] <= there  # nothing promised is lost
        assert not said["settled"] & there  # nothing settled comes back
        unsure = {
            name
            for (name,) in await shard.control(
                lambda c: c.execute("SELECT message_id FROM uncertain").fetchall()
            )
        }
        assert unsure <= there
        assert {name for name in there if name in said["dot"]} <= unsure  # all that may go twice are listed
        assert set(os.listdir(shard.folder / "large")) == {m.id for m in due if m.is_large}
        found = await shard.contents(due)
        assert not [one for one in found.values() if isinstance(one, SpoolCorrupt)]
        for one in due:
            shard.note(done(one))
        await shard.control(lambda c: (c.execute("DELETE FROM uncertain"), None)[1])
        assert await shard.is_empty()
        await shards.close()
