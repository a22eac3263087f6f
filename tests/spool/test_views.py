"""What the operator sees while a worker owns the shard, and after."""

import pytest

from relay.base.events import Change, Uncertain
from relay.base.message import RecipientState
from relay.spool import views
from relay.spool.choosing import Chosen
from tests.fakes.spool import IDS, NOW, deferring, message, storing


@pytest.fixture
async def spool(shards):
    """Three messages on shard 1, one on shard 2."""
    first, second = await shards.open(1), await shards.open(2)
    one = message("a@example.org", "b@sub.example.org", now=NOW, sender="x@one.example")
    two = message("c@example.net", now=NOW + 10, account=2)
    held = message("d@example.org", now=NOW + 20, sender="")
    held.recipients[0].state = RecipientState.HELD
    other = message("e@example.org", now=NOW + 5)
    other.id = other.id[:-6] + "000002"
    await first.commit(storing(one, two, held))
    await second.commit(storing(other))
    await first.commit(deferring(one, 1, NOW + 300, attempts=2, reply="450 later"))
    return shards, {"one": one, "two": two, "held": held, "other": other}


def names(listed, kept) -> str:
    by_id = {m.id: name for name, m in kept.items()}
    return " ".join(by_id[one.id] for one in listed)


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Chosen(), "one other two held"),
        (Chosen(state="held"), "held"),
        (Chosen(state="deferred"), "one"),
        (Chosen(state="fresh"), "one other two"),
        (Chosen(domain="example.org"), "one other held"),
        (Chosen(domain="sub.example.org"), "one"),
        (Chosen(domain=".example.org"), "one other held"),
        (Chosen(domain=".org"), "one other held"),
        (Chosen(domain="%"), ""),
        (Chosen(account=2), "two"),
        (Chosen(sender="x@one.example"), "one"),
        (Chosen(sender=""), "held"),
        (Chosen(older_than=NOW + 5), "one"),
        (Chosen(newer_than=NOW + 5), "other two held"),
        (Chosen(newer_than=NOW + 5, older_than=NOW + 20, domain="example.org"), "other"),
    ],
)
async def test_listing_by(spool, chosen: Chosen, found: str) -> None:
    shards, kept = spool
    assert names(views.list_messages(shards.path, chosen), kept) == found
    newest = views.list_messages(shards.path, chosen, order="newest")
    assert names(newest, kept) == " ".join(reversed(found.split()))


async def test_limit_offset_and_order(spool) -> None:
    shards, kept = spool
    assert names(views.list_messages(shards.path, limit=2, offset=1), kept) == "other two"
    assert names(views.list_messages(shards.path, limit=None), kept) == "one other two held"
    due = views.list_messages(shards.path, Chosen(state="deferred"), order="due")
    assert names(due, kept) == "one"
    with pytest.raises(ValueError, match="is no order"):
        views.list_messages(shards.path, order="size")
    with pytest.raises(ValueError, match="needs a limit"):
        views.list_messages(shards.path, order="due", limit=None)
    with pytest.raises(ValueError, match="is no state"):
        list(views.list_messages(shards.path, Chosen(state="lost")))


async def test_a_line_of_the_listing(spool) -> None:
    shards, kept = spool
    (line,) = views.list_messages(shards.path, Chosen(state="deferred"))
    assert line == views.Listed(
        id=kept["one"].id, shard=1, account_id=1, sender="x@one.example", size_bytes=22, arrived_at=NOW,
        expires_at=NOW + 50_000, recipients=1, state="deferred", due_at=NOW + 300, attempts=2,
        address="b@sub.example.org", reply="450 later",
    )  # fmt: skip


async def test_counts(spool) -> None:
    shards, _ = spool
    found = views.counts(shards.path, top=2)
    assert (found.messages, found.recipients, found.bytes, found.uncertain) == (4, 5, 88, 0)
    assert found.by_state == {"fresh": 3, "deferred": 1, "held": 1, "parked": 0}
    assert found.by_domain[0] == ("example.org", 3)
    assert len(found.by_domain) == 2


async def test_show(spool) -> None:
    shards, kept = spool
    found = views.show(shards.path, kept["one"].id)
    assert [(r.address, r.state, r.attempts, r.due_at, r.reply) for r in found.recipients] == [
        ("a@example.org", RecipientState.FRESH, 0, 0.0, ""),
        ("b@sub.example.org", RecipientState.DEFERRED, 2, NOW + 300, "450 later"),
    ]
    assert (found.sender, found.shard, found.content) == ("x@one.example", 1, None)
    assert views.show(shards.path, kept["other"].id).shard == 2
    assert views.show(shards.path, IDS.make(NOW)) is None
    assert views.show(shards.path, IDS.make(NOW)[:-6] + "00000f") is None
    with pytest.raises(ValueError, match="is not a message id"):
        views.show(shards.path, "4XYZ")


async def test_uncertain(spool) -> None:
    shards, kept = spool
    shard = await shards.reopen()
    told = [Uncertain(kept["one"].id, f"{n:04}@example.org", NOW, "reply-lost") for n in range(1200)]
    await shard.commit(Change(uncertain=told))
    assert list(views.uncertain(shards.path)) == told  # more than a page


async def test_it_works_with_no_worker_and_with_no_spool(spool, tmp_path) -> None:
    shards, kept = spool
    await shards.close_all()
    assert names(views.list_messages(shards.path), kept) == "one other two held"
    assert list(views.list_messages(tmp_path / "nothing")) == []
    assert views.counts(tmp_path / "nothing").messages == 0


async def test_a_listing_is_read_a_page_at_a_time(shards, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory is a page, however long the queue is."""
    monkeypatch.setattr(views, "_PAGE", 100)
    shard = await shards.open()
    await shard.commit(storing(*[message(f"{n}@example.org", now=NOW + n) for n in range(1000)]))
    pages: list[int] = []
    real = views._rows
    monkeypatch.setattr(views, "_rows", lambda *a: pages.append(len(rows := real(*a))) or rows)
    listing = views.list_messages(shards.path, limit=None)
    assert [next(listing).address for _ in range(150)][-1] == "149@example.org"
    assert pages == [100, 100]
    await shard.commit(storing(message("late@example.org", now=NOW + 5000)))  # the worker goes on meanwhile
    assert [one.address for one in listing][-1] == "late@example.org"
    assert max(pages) == 100
