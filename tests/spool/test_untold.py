"""Those who are parked for long: found page by page, without those who know."""

from relay.base.events import Change
from relay.base.message import Message, RecipientState
from tests.fakes.spool import NOW, message, storing
from tests.spool.test_parked import addresses, parked

DAY = 86_400.0


async def look(shard, *, before: float = NOW, limit: int = 100, now: float = NOW) -> list[list[str]]:
    """The addresses of each page, to the end."""
    pages, after = [], 0
    while True:
        messages, after = await shard.parked_untold(after, limit, before, now)
        pages.append(addresses(messages))
        if not after:
            return pages


def by_notify(address: str, deadline: float) -> Message:
    one = parked(address, now=NOW + DAY)
    one.deadline, one.is_by_notify = deadline, True
    return one


async def test_who_is_found(shards) -> None:
    shard = await shards.open()
    two = parked("a@x.example", "b@x.example")
    two.recipients[1].state = RecipientState.DEFERRED
    told = parked("c@x.example", "d@x.example")
    stays = parked("j@x.example", now=NOW + DAY)
    stays.deadline = NOW - 1  # that one is given up
    await shard.commit(
        storing(
            two,
            told,
            message("e@x.example"),  # on its way
            parked("f@x.example", sender=""),
            parked("g@x.example", now=NOW + 1),  # not yet
            by_notify("h@x.example", NOW - 1),
            by_notify("i@x.example", NOW + 1),
            stays,
        )
    )
    assert await look(shard) == [["a@x.example", "c@x.example", "d@x.example", "h@x.example"]]
    await shard.commit(Change(told=[(told.key, 0), (two.key, 0)]))
    assert await look(shard) == [["d@x.example", "h@x.example"]]
    assert await look(shard, before=0.0) == [["h@x.example"]]
    messages, _ = await shard.parked_untold(0, 100, NOW, NOW)
    assert messages[0].recipients[0].state is RecipientState.PARKED


async def test_page_by_page(shards) -> None:
    shard = await shards.open()
    assert await look(shard) == [[]]
    await shard.commit(storing(*[parked(f"{n}@x.example") for n in range(5)]))
    assert await look(shard, limit=2) == [
        ["0@x.example", "1@x.example"],
        ["2@x.example", "3@x.example"],
        ["4@x.example"],
    ]
    assert await look(shard, limit=5) == [[f"{n}@x.example" for n in range(5)], []]
