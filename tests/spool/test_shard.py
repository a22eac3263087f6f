"""The promise, as its users see it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError, SpoolFull
from relay.base.events import Change
from relay.base.message import Message, RecipientState
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.spool import NOW, deferring, done, message, storing, tables


async def all_due(shard: Shard, before: float = NOW + 1e6) -> list[Message]:
    return await shard.due(before, 1000, set())


async def test_stored_then_settled_leaves_nothing(shards) -> None:
    shard = await shards.open()
    one = message("b@example.org", "c@example.net")
    await shard.commit(storing(one))
    assert await shard.contents([one]) == {one.key: b"Subject: hi\r\n\r\nhello\r\n"}
    assert not await shard.is_empty()
    await shard.commit(done(one, 0))
    assert not await shard.is_empty()
    await shard.commit(done(one, 1))
    assert await shard.is_empty()
    await shards.close()
    assert tables(shard.folder) == {"message": 0, "body": 0, "recipient": 0, "event": 3, "uncertain": 0}


async def test_fresh_ones_are_not_due_until_a_restart(shards) -> None:
    shard = await shards.open()
    await shard.commit(storing(message("b@example.org")))
    assert await all_due(shard) == []
    assert await shard.next_due() is None
    shard = await shards.reopen()
    (one,) = await all_due(shard)
    assert (one.sender, one.left, one.content, one.shard) == ("a@example.com", 0, None, 1)
    assert [(r.address, r.state, r.attempts) for r in one.recipients] == [
        ("b@example.org", RecipientState.DEFERRED, 0)
    ]
    assert shard.waiting_found == 1


async def test_due_is_ordered_bounded_and_skips_what_is_known(shards) -> None:
    shard = await shards.open()
    kept = []
    for delay in (50, 10, 30, 20, 40):
        one = message(f"{delay}@example.org")
        await shard.commit(storing(one))
        await shard.commit(deferring(one, 0, NOW + delay, attempts=delay, reply=f"450 {delay}"))
        kept.append(one)
    due = await shard.due(NOW + 35, 10, set())
    assert [m.recipients[0].address for m in due] == ["10@example.org", "20@example.org", "30@example.org"]
    assert (due[0].recipients[0].attempts, due[0].recipients[0].reply) == (10, "450 10")
    assert [m.recipients[0].address for m in await shard.due(NOW + 35, 1, {(due[0].key, 0)})] == [
        "20@example.org"
    ]
    assert await shard.next_due() == NOW + 10


async def test_a_message_may_be_loaded_in_part(shards) -> None:
    shard = await shards.open()
    one = message("b@example.org", "c@example.net", "d@example.com")
    await shard.commit(storing(one))
    await shard.commit(deferring(one, 0, NOW + 10))
    await shard.commit(deferring(one, 2, NOW + 10))
    (part,) = await shard.due(NOW + 10, 1, set())
    assert [r.number for r in part.recipients] == [0]
    await shard.commit(done(part))
    (part,) = await shard.due(NOW + 10, 9, set())
    assert [r.number for r in part.recipients] == [2]
    await shard.commit(done(part))
    assert not await shard.is_empty()
    await shard.commit(done(one, 1))
    assert await shard.is_empty()


async def test_keys_are_never_used_twice_even_if_the_clock_goes_back(shards) -> None:
    shard = await shards.open()
    one = message()
    await shard.commit(storing(one))
    shards.clock.jump(-86400)
    shard = await shards.reopen()
    two = message()
    await shard.commit(storing(two))
    assert two.key > one.key


async def test_one_owner(shards) -> None:
    await shards.open()
    async with AsyncExitStack() as stack:
        with pytest.raises(SpoolError, match="is in use by another process"):
            await Shard.open(shards.path, 1, SpoolLimits(), shards.clock, stack)
    await shards.reopen()  # and the failed attempt took nothing from the owner


async def test_large_content_is_a_file_that_goes_with_its_message(shards) -> None:
    shard = await shards.open(limits=SpoolLimits(disk_reserve_bytes=0, large_bytes=1000))
    one, small = message("b@example.org", "c@example.org", content=b"x" * 1001), message(content=b"x" * 1000)
    await shard.commit(storing(one, small))
    file = shard.folder / "large" / one.id
    assert (one.is_large, small.is_large) == (True, False)
    assert await shard.contents([one, small]) == {one.key: file, small.key: b"x" * 1000}
    assert file.read_bytes() == b"x" * 1001
    assert file.stat().st_mode & 0o777 == 0o600
    await shard.commit(done(one, 1))
    assert file.exists()
    await shard.commit(done(one, 0))
    await shard.control(lambda connection: None)  # the file goes after the commit
    assert not file.exists()


async def test_empty_content_is_content(shards) -> None:
    shard = await shards.open()
    one = message(content=b"")
    await shard.commit(storing(one))
    assert await shard.contents([one]) == {one.key: b""}


async def test_a_row_that_is_gone(shards) -> None:
    shard = await shards.open()
    one = message()
    one.key = 7
    found = await shard.contents([one])
    assert isinstance(found[7], SpoolCorrupt)
    change = await shard.set_aside(one, found[7])
    assert change == Change(settled=[(7, 0)], finished=[7], tried_before=[(7, 0)])
    assert shard.corrupt == 0
    assert list((shard.folder / "corrupt").iterdir()) == []


async def test_damage_is_set_aside_and_the_rest_goes_on(shards) -> None:
    shard = await shards.open()
    one, two = message("b@example.org", "c@example.org"), message()
    await shard.commit(storing(one, two))
    await shard.control(
        lambda c: c.execute(
            "UPDATE body SET content = 'Subject: ho' || x'0d0a0d0a' WHERE key = ?", (one.key,)
        )
    )
    found = await shard.contents([one, two])
    assert found[two.key] == two.content
    damage = found[one.key]
    assert isinstance(damage, SpoolCorrupt)
    await shard.commit(await shard.set_aside(one, damage))
    corrupt = shard.folder / "corrupt"
    assert (corrupt / f"{one.id}.eml").read_bytes().startswith(b"Subject: ho")
    assert "c@example.org" in (corrupt / f"{one.id}.json").read_text()
    envelope = (corrupt / f"{one.id}.json").read_text()
    await shard.set_aside(one, damage)  # its other attempt comes to the same end
    assert (corrupt / f"{one.id}.json").read_text() == envelope
    assert shard.corrupt == 1
    await shard.commit(done(two))
    assert await shard.is_empty()


async def test_a_large_file_that_is_gone_or_short(shards) -> None:
    shard = await shards.open(limits=SpoolLimits(disk_reserve_bytes=0, large_bytes=10))
    gone, short, good = (message(content=b"x" * 100) for _ in range(3))
    await shard.commit(storing(gone, short, good))
    (shard.folder / "large" / gone.id).unlink()
    (shard.folder / "large" / short.id).write_bytes(b"x" * 99)
    found = await shard.contents([gone, short, good])
    assert [type(found[m.key]).__name__ for m in (gone, short, good)] == [
        "SpoolCorrupt",
        "SpoolCorrupt",
        "PosixPath",
    ]
    for one in (gone, short):
        await shard.commit(await shard.set_aside(one, found[one.key]))
    assert (shard.folder / "corrupt" / f"{short.id}.eml").read_bytes() == b"x" * 99
    assert not (shard.folder / "large" / short.id).exists()


async def test_the_disk_reserve_refuses_new_mail_and_takes_outcomes(shards) -> None:
    shard = await shards.open()
    one = message()
    await shard.commit(storing(one))
    shard = await shards.reopen(limits=SpoolLimits(disk_reserve_bytes=1 << 60))
    with pytest.raises(SpoolFull):
        shard.commit(storing(message()))
    bounce = message(sender="")
    await shard.commit(Change(stored=[bounce], settled=[(one.key, 0)], finished=[one.key]))
    assert await shard.contents([bounce]) == {bounce.key: bounce.content}


async def test_free_space_is_looked_up_once_a_second(shards, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    shard = await shards.open()
    looks: list[Path] = []
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: (looks.append(path), real(path))[1])
    for _ in range(10):
        assert not shard.is_full
    shards.clock.advance(1)
    assert not shard.is_full
    assert len(looks) <= 2


async def test_control_returns_or_fails_with_nothing_changed(shards) -> None:
    shard = await shards.open()
    one = message()
    await shard.commit(storing(one))
    assert await shard.control(lambda c: c.execute("SELECT count(*) FROM recipient").fetchone()) == (1,)

    def fails(connection) -> None:
        connection.execute("DELETE FROM recipient")
        raise ValueError("no")

    with pytest.raises(SpoolError, match="no"):
        await shard.control(fails)
    assert await shard.control(lambda c: c.execute("SELECT count(*) FROM recipient").fetchone()) == (1,)


async def test_a_closed_shard_promises_nothing(shards) -> None:
    shard = await shards.open()
    await shards.close()
    with pytest.raises(SpoolError, match="closed"):
        await shard.commit(storing(message()))
    with pytest.raises(SpoolError, match="closed"):
        await shard.control(lambda c: None)


async def test_what_waits_when_the_shard_closes_is_committed(shards) -> None:
    shard = await shards.open()
    futures = [shard.commit(storing(message())) for _ in range(1000)]
    await shards.close()
    await asyncio.gather(*futures)
    assert tables(shard.folder)["message"] == 1000


async def test_many_readers_at_once_get_their_own_content(shards) -> None:
    """One statement text, many questions: none may see another's parameters."""
    shard = await shards.open()
    kept = [message(content=b"%d" % n) for n in range(200)]
    await shard.commit(storing(*kept))
    for _ in range(5):
        found = await asyncio.gather(*[shard.contents([one]) for one in kept])
        assert [f[one.key] for f, one in zip(found, kept, strict=True)] == [one.content for one in kept]
