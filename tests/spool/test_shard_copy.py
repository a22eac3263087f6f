"""A shard is copied while its worker works, and waits when it comes back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relay.base.events import EventKind
from relay.spool import content, copies, schema, shard_copy
from relay.spool.positions import Positions
from relay.spool.rebuild import GAP_EVENTS
from relay.spool.shard import SpoolLimits
from tests.fakes import old_stores
from tests.fakes.spool import NOW, deferring, done, message, storing

LARGE = SpoolLimits(disk_reserve_bytes=0, large_bytes=5000)


def copied(folder: Path, target: Path, files: list[str]) -> list[str]:
    """Take a copy, with the names of its large files."""

    def add(file: Path) -> None:
        file.read_bytes()
        files.append(file.name)

    return shard_copy.take(folder, target, add)


async def test_rows_and_files_of_a_shard_at_work(shards, tmp_path) -> None:
    shard = await shards.open(limits=LARGE)
    small, large, gone = message(), message(content=b"x" * 6000), message(content=b"y" * 6000)
    await shard.commit(storing(small, large, gone))
    await shard.commit(deferring(small, 0, NOW + 60))
    await shard.commit(done(gone))
    files: list[str] = []
    assert copied(shard.folder, tmp_path / "copy.db", files) == []
    assert files == [large.id]
    counted = shard_copy.count(tmp_path / "copy.db")
    assert (counted.messages, counted.recipients, counted.large) == (2, 2, [large.id])
    assert counted.by_state == {"fresh": 1, "deferred": 1, "held": 0, "parked": 0}
    assert sorted(one.name for one in tmp_path.glob("copy.db*")) == ["copy.db"]


async def test_what_is_finished_between_row_and_file_is_not_in_the_copy(shards, tmp_path) -> None:
    shard = await shards.open(limits=LARGE)
    first, second, small = message(content=b"x" * 6000), message(content=b"y" * 6000), message()
    await shard.commit(storing(first, second, small))
    await shard.commit(deferring(second, 0, NOW + 60))

    def add(file: Path) -> None:
        if file.name == first.id:  # delivered while the copier is at work on another
            with closing(sqlite3.connect(shard.folder / schema.DATABASE)) as connection, connection:
                connection.execute("DELETE FROM recipient WHERE message = ?", (second.key,))
                connection.execute("DELETE FROM message WHERE key = ?", (second.key,))
            content.remove_files(shard.folder, [second.id])
        file.read_bytes()

    assert shard_copy.take(shard.folder, tmp_path / "copy.db", add) == [second.id]
    counted = shard_copy.count(tmp_path / "copy.db")
    assert (counted.messages, counted.recipients, counted.large) == (2, 2, [first.id])
    assert copies.check(tmp_path / "copy.db") == "ok"
    assert sorted(one.name for one in tmp_path.glob("copy.db*")) == ["copy.db"]


async def test_a_file_that_is_missing_though_its_message_waits_is_damage_that_stays(shards, tmp_path) -> None:
    shard = await shards.open(limits=LARGE)
    one = message(content=b"x" * 6000)
    await shard.commit(storing(one))
    content.file_of(shard.folder, one.id).unlink()
    assert copied(shard.folder, tmp_path / "copy.db", []) == []
    assert shard_copy.count(tmp_path / "copy.db").large == [one.id]


@pytest.mark.parametrize("hold", [True, False])
async def test_put_back_it_is_held_or_goes(shards, hold: bool) -> None:
    shard = await shards.open(limits=LARGE)
    fresh, deferred = message(), message("a@example.org", "b@example.org")
    await shard.commit(storing(fresh, deferred))
    await shard.commit(deferring(deferred, 1, NOW + 9))
    await shards.close()
    assert shard_copy.put_back(shard.folder, NOW, hold=hold) == (3 if hold else 0)
    assert sorted(one.name for one in shard.folder.glob("spool.db*")) == ["spool.db"]
    shard = await shards.open(limits=LARGE)
    due = await shard.due(NOW + 1e6, 9, set())
    assert sorted(one.id for one in due) == ([] if hold else sorted([fresh.id, deferred.id]))
    counted = shard_copy.count(shard.folder / schema.DATABASE)
    assert counted.by_state["held"] == (3 if hold else 0)


async def test_offsets_that_may_have_been_seen_are_not_used_again(shards) -> None:
    shard = await shards.open()
    await shard.commit(storing(message()))
    await shards.close()
    positions = Positions(shards.path)
    positions.set("shop", {1: 70}, NOW)  # it has seen more than the backup has
    shard_copy.put_back(shard.folder, NOW, hold=True)
    shard = await shards.open()
    new = message()
    await shard.commit(storing(new))
    await shards.close()
    with closing(sqlite3.connect(shard.folder / schema.DATABASE)) as connection:
        rows = connection.execute("SELECT offset, kind, message_id FROM event ORDER BY offset").fetchall()
    assert rows[-2][:2] == (70 + GAP_EVENTS, EventKind.GAP.value)
    assert rows[-1] == (71 + GAP_EVENTS, EventKind.SEND.value, new.id)


@pytest.mark.parametrize("old", [1, 2, 3])
async def test_a_shard_of_an_older_version_is_taken_and_put_back(shards, tmp_path, old: int) -> None:
    folder = tmp_path / "old" / "shard-000001"
    ids = old_stores.shard(folder / schema.DATABASE, old)
    assert copied(folder, tmp_path / "copy.db", []) == []
    assert copies.frozen_schema_of(tmp_path / "copy.db") == old
    assert shard_copy.count(tmp_path / "copy.db").recipients == len(ids)
    assert shard_copy.put_back(folder, NOW, hold=True) == len(ids)
    schema.open_writer(folder).close()
    assert shard_copy.count(folder / schema.DATABASE).by_state["held"] == len(ids)
