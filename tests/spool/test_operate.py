"""Flush, hold, release, reroute, delete: what they do to the rows, through the shard."""

from functools import partial

import pytest

from relay.base.events import Change, Transcript
from relay.base.suppression import ON_ACCOUNT_LIST
from relay.spool import operate
from relay.spool.choosing import BEFORE_ALL, Chooser, Chosen
from relay.spool.shard import SpoolLimits
from tests.fakes.spool import NOW, deferring, done, message, storing, tables


async def waiting(shard, before: float) -> list[str]:
    due = await shard.due(before, 100, set())
    return sorted(r.address for m in due for r in m.recipients)


async def domains(shard) -> dict[str, str]:
    due = await shard.due(NOW + 1e6, 100, set())
    return {r.address: r.domain for m in due for r in m.recipients}


async def apply(shard, what: str, chosen: Chosen, now: float = NOW, **more):
    """All of the chosen in one go."""
    pairs = Chooser(shard.folder).chunk(chosen, operate.AMONG[what], BEFORE_ALL, 10_000)
    times = {} if what == "delete" else {"now": now}
    return await shard.control(partial(getattr(operate, what), pairs=pairs, **times, **more))


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
    assert await apply(shard, "flush", Chosen(domain="one.example")) == 2
    assert await waiting(shard, NOW) == ["a@one.example", "c@one.example"]
    assert await apply(shard, "flush", Chosen()) == 4
    assert len(await waiting(shard, NOW)) == 4


async def test_hold_and_release(queue) -> None:
    shard, one, _ = queue
    assert await apply(shard, "hold", Chosen(ids=[one.id])) == 2
    assert await apply(shard, "hold", Chosen(ids=[one.id])) == 0
    assert await apply(shard, "flush", Chosen()) == 2
    assert await waiting(shard, NOW + 1e6) == ["c@one.example", "d@two.example"]
    assert await apply(shard, "release", Chosen(domain="two.example"), NOW + 5) == 1
    assert await waiting(shard, NOW + 5) == ["b@two.example", "c@one.example", "d@two.example"]
    assert await apply(shard, "release", Chosen()) == 1


async def test_what_is_held_stays_so_over_a_restart(shards, queue) -> None:
    shard, _, _ = queue
    fresh = message("e@one.example")
    await shard.commit(storing(fresh))
    assert await apply(shard, "hold", Chosen(domain="one.example")) == 3
    shard = await shards.reopen()
    assert await waiting(shard, NOW + 1e6) == ["b@two.example", "d@two.example"]


async def test_what_changed_since_it_was_chosen_is_left_alone(queue) -> None:
    shard, one, _ = queue
    pairs = [(one.key, 0), (one.key, 1)]
    await shard.commit(done(one, 0))
    await apply(shard, "hold", Chosen(domain="two.example"))
    assert await shard.control(partial(operate.flush, now=NOW, pairs=pairs)) == 0
    assert await shard.control(partial(operate.hold, now=NOW, pairs=pairs)) == 0
    assert await shard.control(partial(operate.release, now=NOW, pairs=pairs)) == 1


async def test_reroute_and_back(queue) -> None:
    shard, one, large = queue
    await apply(shard, "hold", Chosen(domain="two.example", ids=[large.id]))
    assert await apply(shard, "reroute", Chosen(domain="two.example"), next_hop="mx.other.example:25") == 2
    assert await waiting(shard, NOW) == ["b@two.example"]  # at once; what is held stays so
    assert await apply(shard, "release", Chosen()) == 1
    assert await domains(shard) == {
        "a@one.example": "one.example",
        "b@two.example": "mx.other.example:25",
        "c@one.example": "one.example",
        "d@two.example": "mx.other.example:25",
    }
    assert await apply(shard, "back", Chosen(ids=[one.id])) == 1  # a@one.example was never elsewhere
    assert await apply(shard, "back", Chosen(domain="mx.other.example:25")) == 1
    assert set((await domains(shard)).values()) == {"one.example", "two.example"}


async def test_an_address_literal_was_not_rerouted(shards) -> None:
    shard = await shards.open()
    one = message("a@[IPv6:2001:db8::1]", "b@x.example")
    await shard.commit(storing(one))
    await shard.commit(deferring(one, 0, NOW))
    await shard.commit(deferring(one, 1, NOW))
    assert await apply(shard, "back", Chosen()) == 0
    assert await apply(shard, "reroute", Chosen(domain="x.example"), next_hop="[2001:db8::2]:25") == 1
    assert await apply(shard, "back", Chosen()) == 1
    assert (await domains(shard))["b@x.example"] == "x.example"


async def test_who_is_suppressed_is_sent_nowhere_else(shards) -> None:
    shard = await shards.open()
    one = message("a@x.example", "b@x.example")
    one.recipients[0].domain = ON_ACCOUNT_LIST
    await shard.commit(storing(one))
    for number in (0, 1):
        await shard.commit(deferring(one, number, NOW))
    assert await apply(shard, "reroute", Chosen(), next_hop="mx.other.example:25") == 1
    assert await domains(shard) == {"a@x.example": ON_ACCOUNT_LIST, "b@x.example": "mx.other.example:25"}


async def test_delete_recipients_then_messages(queue) -> None:
    shard, one, large = queue
    assert await apply(shard, "delete", Chosen(domain="one.example")) == (2, [])
    assert tables(shard.folder)["recipient"] == 2
    assert tables(shard.folder)["message"] == 2
    gone = await apply(shard, "delete", Chosen())
    assert gone == (2, [(one.key, one.id, False), (large.key, large.id, True)])
    file = shard.folder / "large" / large.id
    assert file.exists()
    shard.remove_files([large.id])
    assert not file.exists()
    assert await shard.is_empty()
    assert tables(shard.folder)["body"] == 0
    assert await apply(shard, "delete", Chosen()) == (0, [])


async def test_transcripts_are_deleted_with_their_recipients(queue) -> None:
    shard, one, large = queue
    said = [Transcript(m.key, n, NOW, "> MAIL") for m in (one, large) for n in (0, 1)]
    await shard.commit(Change(transcripts=said))
    await apply(shard, "delete", Chosen(domain="one.example"))
    counted = "SELECT count(*) FROM transcript"
    assert await shard.control(lambda c: c.execute(counted).fetchone()) == (2,)
    await apply(shard, "delete", Chosen())
    assert await shard.control(lambda c: c.execute(counted).fetchone()) == (0,)


async def test_a_crash_before_the_files_are_removed(shards, queue) -> None:
    shard, _, large = queue
    await apply(shard, "delete", Chosen())
    shard = await shards.reopen()
    assert not (shard.folder / "large" / large.id).exists()


async def test_many_at_once(shards) -> None:
    shard = await shards.open()
    await shard.commit(storing(*[message(f"{n}@example.org") for n in range(2000)]))
    gone = await apply(shard, "delete", Chosen(domain="example.org"))
    assert len({key for key, _, _ in gone.messages}) == 2000
    assert await shard.is_empty()


async def test_with_a_condition_that_is_no_sql(queue) -> None:
    shard, _, _ = queue
    for text in ("' OR 1 --", "%", "_", '"'):
        assert (await apply(shard, "delete", Chosen(domain=text, sender=text))).recipients == 0
    assert tables(shard.folder)["recipient"] == 4
