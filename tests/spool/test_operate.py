"""Flush, hold, release, delete: what they do to the rows, through the shard."""

import pytest

from relay.spool import operate
from relay.spool.operate import Chosen
from relay.spool.shard import SpoolLimits
from tests.fakes.spool import NOW, deferring, message, storing, tables


async def waiting(shard, before: float) -> list[str]:
    due = await shard.due(before, 100, set())
    return sorted(r.address for m in due for r in m.recipients)


@pytest.fixture
async def queue(shards):
    """Two messages with two recipients each, due in an hour; one of them large."""
    shard = await shards.open(limits=SpoolLimits(disk_reserve_bytes=0, large_bytes=1000))
    one = message("a@one.example", "b@two.example")
    large = message("c@one.example", "d@two.example", content=b"x" * 2000, account=2)
    await shard.commit(storing(one, large))
    for each in (one, large):
        for number in (0, 1):
            await shard.commit(deferring(each, number, NOW + 3600))
    return shard, one, large


async def test_flush(queue) -> None:
    shard, _, _ = queue
    assert await waiting(shard, NOW) == []
    assert await shard.control(lambda c: operate.flush(c, NOW, Chosen(domain="one.example"))) == 2
    assert await waiting(shard, NOW) == ["a@one.example", "c@one.example"]
    assert await shard.control(lambda c: operate.flush(c, NOW, Chosen())) == 4
    assert len(await waiting(shard, NOW)) == 4


async def test_hold_and_release(queue) -> None:
    shard, one, _ = queue
    assert await shard.control(lambda c: operate.hold(c, NOW, Chosen(ids=[one.id]))) == 2
    assert await shard.control(lambda c: operate.hold(c, NOW, Chosen(ids=[one.id]))) == 0
    assert await shard.control(lambda c: operate.flush(c, NOW, Chosen())) == 2
    assert await waiting(shard, NOW + 1e6) == ["c@one.example", "d@two.example"]
    assert await shard.control(lambda c: operate.release(c, NOW + 5, Chosen(domain="two.example"))) == 1
    assert await waiting(shard, NOW + 5) == ["b@two.example", "c@one.example", "d@two.example"]
    assert await shard.control(lambda c: operate.release(c, NOW, Chosen())) == 1


async def test_what_is_held_stays_so_over_a_restart(shards, queue) -> None:
    shard, _, _ = queue
    fresh = message("e@one.example")
    await shard.commit(storing(fresh))
    assert await shard.control(lambda c: operate.hold(c, NOW, Chosen(domain="one.example"))) == 3
    shard = await shards.reopen()
    assert await waiting(shard, NOW + 1e6) == ["b@two.example", "d@two.example"]


async def test_keys_are_those_of_messages_with_a_chosen_recipient(queue) -> None:
    shard, one, large = queue
    for chosen, keys in [
        (Chosen(), {one.key, large.key}),
        (Chosen(domain="two.example"), {one.key, large.key}),
        (Chosen(account=2), {large.key}),
        (Chosen(state="held"), set()),
    ]:
        assert await shard.control(lambda c, chosen=chosen: operate.keys(c, chosen)) == keys


async def test_delete_recipients_then_messages(queue) -> None:
    shard, one, large = queue
    assert await shard.control(lambda c: operate.delete(c, Chosen(domain="one.example"))) == []
    assert tables(shard.folder)["recipient"] == 2
    assert tables(shard.folder)["message"] == 2
    gone = await shard.control(lambda c: operate.delete(c, Chosen()))
    assert gone == [(one.key, one.id, False), (large.key, large.id, True)]
    file = shard.folder / "large" / large.id
    assert file.exists()
    shard.remove_files([large.id])
    assert not file.exists()
    assert await shard.is_empty()
    assert tables(shard.folder)["body"] == 0
    assert await shard.control(lambda c: operate.delete(c, Chosen())) == []


async def test_a_crash_before_the_files_are_removed(shards, queue) -> None:
    shard, _, large = queue
    await shard.control(lambda c: operate.delete(c, Chosen()))
    shard = await shards.reopen()
    assert not (shard.folder / "large" / large.id).exists()


async def test_many_at_once(shards) -> None:
    shard = await shards.open()
    await shard.commit(storing(*[message(f"{n}@example.org") for n in range(2000)]))
    gone = await shard.control(lambda c: operate.delete(c, Chosen(domain="example.org")))
    assert len({key for key, _, _ in gone}) == 2000
    assert await shard.is_empty()


async def test_with_a_condition_that_is_no_sql(queue) -> None:
    shard, _, _ = queue
    for text in ("' OR 1 --", "%", "_", '"'):
        assert await shard.control(lambda c, t=text: operate.delete(c, Chosen(domain=t, sender=t))) == []
    assert tables(shard.folder)["recipient"] == 4
