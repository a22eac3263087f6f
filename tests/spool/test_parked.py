"""Those who are parked: found group by group, in order of rank, and late ones by themselves."""

from functools import partial

from relay.base.events import Change, Parked
from relay.base.message import Message, RecipientState
from relay.base.parked import FIRST, ParkedAsk, ParkedGroup
from relay.spool import operate
from relay.spool.choosing import BEFORE_ALL, Chooser, Chosen
from tests.fakes.spool import NOW, deferring, done, message, storing


def parked(*addresses: str, **fields) -> Message:
    one = message(*addresses, **fields)
    for recipient in one.recipients:
        recipient.state = RecipientState.PARKED
    return one


def addresses(messages: list[Message]) -> list[str]:
    return [r.address for one in messages for r in one.recipients]


async def test_groups_are_found_with_their_first_rank(shards) -> None:
    shard = await shards.open()
    assert await shard.parked_groups() == []
    await shard.commit(
        storing(
            parked("1@b.example", account=2, max_age=9),
            parked("2@b.example", account=1, max_age=7),
            parked("3@b.example", "4@a.example", account=2, max_age=8),
            message("5@c.example"),
        )
    )
    expected = [
        ParkedGroup("a.example", 2, NOW + 8),
        ParkedGroup("b.example", 1, NOW + 7),
        ParkedGroup("b.example", 2, NOW + 8),
    ]
    assert await shard.parked_groups() == expected
    shard = await shards.reopen()
    assert await shard.parked_groups() == expected
    assert len(await shard.due(NOW + 1e6, 100, set())) == 1  # not those who are parked


async def test_pages_are_in_order_of_rank_bounded_and_skip_what_is_known(shards) -> None:
    shard = await shards.open()
    many = [parked(f"{n}@b.example", max_age=100 - n) for n in range(10)]
    two = parked("x@b.example", "y@b.example", max_age=50)
    await shard.commit(storing(*many, two, parked("other@b.example", account=2)))
    ask = ParkedAsk("b.example", 1, FIRST, 4)
    (first,) = await shard.parked_pages([ask], set())
    assert (addresses(first.messages), first.place, first.is_end) == (
        ["x@b.example", "y@b.example", "9@b.example", "8@b.example"],
        (NOW + 93, many[7].key, 0),
        False,
    )
    assert len(first.messages) == 3
    assert first.messages[0].recipients[0].state is RecipientState.PARKED
    known = {(one.key, r.number) for one in first.messages for r in one.recipients}
    rest = ParkedAsk("b.example", 1, first.place, 100)
    none = ParkedAsk("b.example", 3, FIRST, 4)
    found = await shard.parked_pages([rest, none, ParkedAsk("b.example", 1, FIRST, 8)], known)
    assert addresses(found[0].messages) == [f"{n}@b.example" for n in range(7, -1, -1)]
    assert [page.is_end for page in found] == [True, True, True]
    assert found[1].messages == []


async def test_parking_what_was_loaded_or_fresh_and_not_what_is_held(shards) -> None:
    shard = await shards.open()
    one = message("a@b.example", "b@b.example", "c@b.example")
    one.recipients[2].state = RecipientState.HELD
    await shard.commit(storing(one))
    await shard.commit(deferring(one, 0, NOW + 5, reply="450 full"))
    await shard.commit(Change(parked=[Parked(one.key, n, "down" * (n == 1)) for n in range(3)]))
    (page,) = await shard.parked_pages([ParkedAsk("b.example", 1, FIRST, 9)], set())
    found = {r.address: (r.attempts, r.reply) for m in page.messages for r in m.recipients}
    assert found == {"a@b.example": (1, "450 full"), "b@b.example": (0, "down")}
    await shard.commit(done(one, 0))
    await shard.commit(deferring(one, 1, NOW + 5))
    assert await shard.parked_groups() == []


async def test_flush_makes_the_parked_due_and_hold_and_delete_know_them(shards) -> None:
    shard = await shards.open()
    await shard.commit(storing(*[parked(f"{n}@{n}.example") for n in range(3)]))

    async def do(name: str, **chosen) -> object:
        meant = Chosen(state="parked", **chosen)
        pairs = Chooser(shard.folder).chunk(meant, operate.AMONG[name], BEFORE_ALL, 9)
        now = {} if name == "delete" else {"now": NOW}
        return await shard.control(partial(getattr(operate, name), pairs=pairs, **now))

    assert await do("flush", domain="0.example") == 1
    assert await do("hold", domain="1.example") == 1
    assert addresses(await shard.due(NOW, 9, set())) == ["0@0.example"]
    assert len((await do("delete")).messages) == 1
    assert await shard.parked_groups() == []


async def test_late_are_those_past_their_age_or_a_deadline_that_ends_them(shards) -> None:
    shard = await shards.open()
    ends, tells, old, young = (parked(f"{n}@b.example") for n in ("ends", "tells", "old", "young"))
    ends.deadline = tells.deadline = NOW + 10
    tells.is_by_notify = True
    old.expires_at = NOW + 20
    await shard.commit(storing(ends, tells, old, young))
    ask = ParkedAsk("b.example", 1, FIRST, 9)

    async def late(now: float, known=frozenset()) -> list[str]:
        return addresses(await shard.parked_late([ask], now, known))

    assert await late(NOW + 9) == []
    assert await late(NOW + 10) == ["ends@b.example"]
    assert await late(NOW + 20) == ["ends@b.example", "old@b.example"]
    assert await late(NOW + 20, {(ends.key, 0)}) == ["old@b.example"]
    assert addresses(await shard.parked_late([ask._replace(limit=1)], NOW + 20, set())) == ["ends@b.example"]


async def test_parked_ones_stay_parked_over_a_crash(shards) -> None:
    shard = await shards.open()
    await shard.commit(storing(parked("a@b.example"), message("f@b.example")))
    shard = await shards.reopen()
    assert addresses(await shard.due(NOW + 1e6, 9, set())) == ["f@b.example"]
    assert len(await shard.parked_groups()) == 1


async def test_what_is_due_can_be_read_on_from_a_moment(shards) -> None:
    shard = await shards.open()
    one = message("a@b.example", "b@b.example")
    await shard.commit(storing(one))
    await shard.commit(deferring(one, 0, NOW + 1))
    await shard.commit(deferring(one, 1, NOW + 2))
    assert addresses(await shard.due(NOW + 9, 9, set(), since=NOW + 1.5)) == ["b@b.example"]
