"""Which recipients are meant: by every filter, a chunk at a time, while the shard is written."""

import sqlite3

import pytest

from relay.base.errors import SpoolError
from relay.spool.choosing import BEFORE_ALL, Chooser, Chosen
from tests.fakes.spool import NOW, deferring, done, message, storing


@pytest.fixture
async def shard(shards):
    """Twelve messages, two recipients each; every third of another account, every second an hour later."""
    shard = await shards.open()
    messages = [
        message(
            f"a{n}@one.example",
            f"b{n}@sub.two.example",
            now=NOW + 3600 * (n % 2),
            account=2 if n % 3 == 0 else 1,
            sender="" if n == 5 else "a@example.com",
        )
        for n in range(12)
    ]
    await shard.commit(storing(*messages))
    await shard.commit(deferring(messages[0], 0, NOW))
    shard.messages = messages
    return shard


def addresses(shard, chosen: Chosen) -> int:
    return len(Chooser(shard.folder).chunk(chosen, "1", BEFORE_ALL, 1000))


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Chosen(), 24),
        (Chosen(domain="one.example"), 12),
        (Chosen(domain="two.example"), 0),
        (Chosen(domain=".two.example"), 12),
        (Chosen(domains=("one.example", "three.example")), 12),
        (Chosen(domains=()), 0),
        (Chosen(account=2), 8),
        (Chosen(account=2, domain="one.example"), 4),
        (Chosen(sender=""), 2),
        (Chosen(state="deferred"), 1),
        (Chosen(state="fresh"), 23),
        (Chosen(state="parked"), 0),
        (Chosen(older_than=NOW + 1), 12),
        (Chosen(newer_than=NOW + 1, account=1), 8),
    ],
)
async def test_every_filter(shard, chosen: Chosen, found: int) -> None:
    assert addresses(shard, chosen) == found
    assert Chooser(shard.folder).count(chosen, "1") == found


async def test_by_id(shard) -> None:
    ids = [shard.messages[3].id, shard.messages[1].id]
    chooser = Chooser(shard.folder)
    keys = sorted(shard.messages[n].key for n in (1, 3))
    assert chooser.chunk(Chosen(ids=ids), "1", BEFORE_ALL, 9) == [(k, n) for k in keys for n in (0, 1)]
    assert chooser.chunk(Chosen(ids=ids), "1", (keys[0], 0), 2) == [(keys[0], 1), (keys[1], 0)]


async def test_chunks_make_the_whole_and_do_not_overlap(shard) -> None:
    chooser, after, found = Chooser(shard.folder), BEFORE_ALL, []
    while pairs := chooser.chunk(Chosen(domain="one.example"), "1", after, 5):
        assert len(pairs) <= 5
        found += pairs
        after = pairs[-1]
    assert found == [(one.key, 0) for one in shard.messages]


async def test_a_chunk_is_found_without_reading_or_sorting_the_rest(shard) -> None:
    """What a step costs must not grow with the queue: no temporary tree, no index that is sorted anew."""
    plans: list[str] = []

    class Watched(Chooser):
        def _read(self, question):
            connection = sqlite3.connect(shard.folder / "spool.db")
            connection.set_trace_callback(plans.append)
            try:
                return question(connection)
            finally:
                connection.set_trace_callback(None)
                plans[:] = [
                    row[3]
                    for sql in plans
                    for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
                ]
                connection.close()

    for chosen in (Chosen(), Chosen(domain="one.example"), Chosen(account=1), Chosen(older_than=NOW)):
        for among in ("1", "+r.state = 1", "+r.state = 3"):
            plans.clear()
            Watched(shard.folder).chunk(chosen, among, BEFORE_ALL, 5)
            assert plans[0] == "SEARCH r USING PRIMARY KEY ((message,number)>(?,?))", (chosen, among)
            assert "USE TEMP B-TREE FOR ORDER BY" not in plans


async def test_messages_with_those_recipients_that_are_left(shard) -> None:
    one, two = shard.messages[0], shard.messages[2]
    await shard.commit(done(two, 0))
    pairs = [(one.key, 1), (two.key, 0), (two.key, 1)]
    first, second = Chooser(shard.folder).messages(1, pairs)
    assert (first.id, first.shard, [r.address for r in first.recipients]) == (
        one.id,
        1,
        ["b0@sub.two.example"],
    )
    assert (second.id, [r.number for r in second.recipients]) == (two.id, [1])


async def test_domains(shard) -> None:
    assert sorted(Chooser(shard.folder).domains()) == ["one.example", "sub.two.example"]


async def test_a_state_that_is_none(shard) -> None:
    with pytest.raises(ValueError, match="'nonsense' is no state; there are fresh, deferred, held, parked"):
        Chooser(shard.folder).count(Chosen(state="nonsense"), "1")


def test_a_shard_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(SpoolError, match="cannot read"):
        Chooser(tmp_path).domains()
