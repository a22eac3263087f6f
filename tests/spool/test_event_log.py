"""The event log of several shards, in the order of each message."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.base.events import EventKind, Logged
from relay.spool import schema
from relay.spool.event_log import EventLog
from relay.spool.recover import shard_folder
from tests.fakes.event_log import Shards


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    made = Shards(tmp_path, 2)
    yield made
    made.close()


def told(batch: list[Logged]) -> list[tuple[int, int]]:
    return [(one.shard, one.offset) for one in batch]


def test_read_goes_on_where_it_ended(shards: Shards) -> None:
    log = EventLog(shards.path)
    for _ in range(3):
        shards.add(1, 1)
    shards.add(2, 2)
    batch, reached = log.read({}, limit=2)
    assert (told(batch), reached) == ([(1, 1), (1, 2), (2, 1)], {1: 2, 2: 1})
    batch, reached = log.read(reached, limit=2)
    assert (told(batch), reached) == ([(1, 3)], {1: 3, 2: 1})
    assert log.read(reached) == ([], reached)
    assert log.last() == reached


def test_what_is_not_of_the_kind_is_passed_over_and_not_looked_at_again(shards: Shards) -> None:
    log = EventLog(shards.path)
    for kind in (EventKind.SEND, EventKind.BOUNCE, EventKind.SEND):
        shards.add(1, 1, kind)
    batch, reached = log.read({}, kinds=[EventKind.BOUNCE])
    assert (told(batch), reached) == ([(1, 2)], {1: 3, 2: 0})


def test_what_another_shard_has_comes_after_what_the_messages_own_has(shards: Shards) -> None:
    """Shard 1 learns of a bounce of a message of shard 2, whose delivery is read in the same go."""
    log = EventLog(shards.path)
    shards.add(2, 2, EventKind.SEND, at=1.0)
    shards.add(2, 2, EventKind.DELIVERY, at=2.0)
    shards.add(1, 2, EventKind.BOUNCE, at=3.0)
    batch, reached = log.read({}, limit=1)
    assert (told(batch), reached) == ([(2, 1)], {1: 0, 2: 1})
    batch, reached = log.read(reached, limit=1)
    assert (told(batch), reached) == ([(2, 2), (1, 1)], {1: 1, 2: 2})


@pytest.mark.parametrize("home", [1, 2])
def test_nobody_hears_of_a_bounce_before_the_sending_however_far_behind(shards: Shards, home: int) -> None:
    """Thousands of events wait before the Send event, the bounce is the first of the other shard."""
    log, other = EventLog(shards.path), 3 - home
    shards.add(home, home, EventKind.DELIVERY, at=1.0, count=5000)
    shards.add(home, home, EventKind.SEND, at=2.0)
    shards.add(other, home, EventKind.BOUNCE, at=3.0)
    shards.add(other, other, EventKind.DELIVERY, at=4.0, count=700)
    shards.add(home, home, EventKind.DELIVERY, at=5.0, count=3000)
    seen, after = list[tuple[int, int]](), dict[int, int]()
    while (read := log.read(after, limit=500))[1] != after:
        batch, after = read
        seen += told(batch)
    assert seen.index((other, 1)) > seen.index((home, 5001))
    assert seen.index((other, 1)) < seen.index((home, 8001)), "it does not wait for what came later"
    assert len(seen) == len(set(seen)) == 8702


def test_a_message_whose_shard_is_gone_is_not_waited_for(shards: Shards) -> None:
    log = EventLog(shards.path)
    shards.add(1, 2, EventKind.BOUNCE)
    shards.writers.pop(2).close()
    shutil.rmtree(shard_folder(shards.path, 2))
    assert told(log.read({2: 3})[0]) == [(1, 1)]


def test_two_shards_with_news_of_each_other_lose_nothing(shards: Shards) -> None:
    log = EventLog(shards.path)
    for shard, home in ((1, 2), (1, 1), (2, 1), (2, 2), (1, 2), (2, 1)):
        shards.add(shard, home)
    seen, after = [], {}
    while True:
        batch, reached = log.read(after, limit=1)
        seen += told(batch)
        if reached == after:
            break
        after = reached
    assert sorted(seen) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]


def test_the_events_of_a_message_are_found_in_all_shards(shards: Shards) -> None:
    log = EventLog(shards.path)
    shards.add(1, 2, EventKind.BOUNCE)
    shards.add(2, 2, EventKind.SEND)
    shards.add(2, 1)
    found = log.of_message(shards.ids[1])
    assert [one.event.kind for one in found] == [EventKind.SEND, EventKind.BOUNCE]
    with pytest.raises(ValueError, match="not a message id"):
        log.of_message("x")


def test_a_database_that_took_the_place_of_another_is_read(shards: Shards) -> None:
    log = EventLog(shards.path)
    shards.add(1, 1)
    assert len(log.read({})[0]) == 1
    folder = shard_folder(shards.path, 1)
    shards.writers.pop(1).close()
    for name in os.listdir(folder):
        if name.startswith(schema.DATABASE):
            (folder / name).rename(folder / f"old-{name}")
    shards.writers[1] = schema.open_writer(folder)
    shards.add(1, 1)
    shards.add(1, 1)
    assert len(log.read({})[0]) == 2


def test_a_shard_that_cannot_be_read_is_an_error_and_not_a_gap(shards: Shards) -> None:
    log = EventLog(shards.path)
    shards.writers.pop(1).close()
    (shard_folder(shards.path, 1) / schema.DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(SpoolError, match="cannot read the events"):
        log.read({})


def test_the_newest_are_found_by_time_however_rare_they_are(shards: Shards) -> None:
    log = EventLog(shards.path)
    for at in range(600):
        shards.add(1, 1, at=float(at))
    shards.add(1, 1, EventKind.BOUNCE, at=600.0)
    shards.add(2, 2, EventKind.BOUNCE, at=5.0)
    shards.add(2, 2, EventKind.BOUNCE, at=599.5)
    shards.add(1, 1, at=601.0)
    found, ends = log.newest(2, [EventKind.BOUNCE])
    assert (told(found), ends) == ([(2, 2), (1, 601)], {1: 602, 2: 2})
    found, _ = log.newest(5, wanted=lambda one: one.event.at < 3)
    assert told(found) == [(1, 1), (1, 2), (1, 3)]
    assert log.newest(0) == ([], ends)


def test_what_is_since_a_moment_is_behind_these_offsets(shards: Shards) -> None:
    log = EventLog(shards.path)
    for at in (10.0, 20.0, 30.0):
        shards.add(1, 1, at=at)
    assert [log.since(at) for at in (5.0, 10.0, 20.5, 31.0)] == [{1: offset, 2: 0} for offset in (0, 0, 2, 3)]


def test_who_has_followed_another_log_begins_at_the_beginning(shards: Shards) -> None:
    log = EventLog(shards.path)
    shards.add(1, 1)
    batch, reached = log.read({1: 50, 7: 3})
    assert (told(batch), reached) == ([(1, 1)], {1: 1, 2: 0, 7: 3})  # what is known of one that is gone stays


def test_how_many_wait_and_how_many_come_no_more(shards: Shards) -> None:
    log = EventLog(shards.path)
    for _ in range(10):
        shards.add(1, 1)
    shards.add(2, 2)
    shards.writers[1].execute("DELETE FROM event WHERE offset <= 6")
    assert log.behind({1: 8, 2: 1}) == (2, 0)
    assert log.behind({1: 2, 2: 0}) == (5, 4)
    assert log.behind({}) == (5, 0)  # whoever is new has missed nothing
    assert log.behind({1: 99}) == (5, 6)


def test_since_when_the_oldest_waits(shards: Shards) -> None:
    log = EventLog(shards.path)
    assert log.waits_since({}) is None
    for at in (10.0, 20.0):
        shards.add(1, 1, at=at)
    shards.add(2, 2, at=15.0)
    assert log.waits_since({}) == 10.0
    assert log.waits_since({1: 1}) == 15.0
    assert log.waits_since({1: 1, 2: 1}) == 20.0
    assert log.waits_since({1: 2, 2: 1}) is None
    assert log.waits_since({1: 99, 2: 1}) == 10.0  # of another log
