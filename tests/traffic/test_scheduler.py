"""The queue manager, as dialogues with a pool of connections; on a store in memory and on the real shard."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.base.events import Change, Event, EventKind
from relay.base.message import Attempt, Message
from relay.base.outcome import Deferred, Failed, Outcome, Reason, Scope
from relay.base.route import Route
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock
from tests.fakes.spool import NOW
from tests.fakes.store import FakeStore
from tests.traffic.world import DOWN, LATER, NEVER, OK, World, turn


async def test_fresh_delivered_and_gone(make) -> None:
    world = await make()
    one = await world.send("b@example.org")
    attempt = await world.take("example.org")
    assert (attempt.message, attempt.lane) == (one, "mx:example.org")
    assert await world.scheduler.content(attempt) == one.content is not None
    assert world.scheduler.take("mx:example.org") is None
    world.scheduler.before_dot(attempt)
    assert len(world.store.journal.pending()) == 1
    world.finish(attempt, OK)
    assert await world.is_quiet()


async def test_deferred_and_taken_again_when_it_is_due(make) -> None:
    world = await make()
    await world.send("b@example.org")
    attempt = await world.take("example.org")
    world.finish(attempt, LATER)
    await world.until(lambda: world.scheduler.window.held == 0)
    assert world.scheduler.budget.used_bytes == 0
    await world.pass_time(299)
    assert world.scheduler.take("mx:example.org") is None
    await world.pass_time(1)
    attempt = await world.take("example.org")
    assert [(r.attempts, r.reply) for r in attempt.recipients] == [(1, "450 4.2.0 later")]
    assert attempt.message.content is None
    assert await world.scheduler.content(attempt) == b"Subject: hi\r\n\r\nhello\r\n"
    assert (world.scheduler.attempts, world.scheduler.first_attempt_seconds.count) == (2, 1)
    assert world.scheduler.in_flight == 1
    world.finish(attempt, OK)
    assert world.scheduler.in_flight == 0
    assert await world.is_quiet()


async def test_one_site_one_attempt_bounded_in_recipients(make) -> None:
    world = await make()
    world.routes.sites = {"a.example": "big", "b.example": "big", "c.example": "small"}
    for domain in world.routes.sites:
        await world.routes.find(domain)
    await world.send("1@a.example", "2@c.example", "3@b.example", "4@a.example", "5@b.example")
    first, second, other = [await world.take(site) for site in ("big", "big", "small")]
    taken = [[r.address for r in a.recipients] for a in (first, second, other)]
    assert taken == [["1@a.example", "4@a.example", "3@b.example"], ["5@b.example"], ["2@c.example"]]
    for attempt in (first, second, other):
        world.finish(attempt, OK)
    assert await world.is_quiet()


async def test_a_site_without_hosts_gets_all_recipients_at_once(make) -> None:
    """The mailbox simulator: its bounces of one message are one report, however many they are."""
    world = await make()
    world.routes.known["simulator.example"] = Route("simulator", ())
    addresses = [f"bounce+{number}@simulator.example" for number in range(8)]
    one = await world.send(*addresses)
    attempt = world.scheduler.take("simulator")
    assert [r.address for r in attempt.recipients] == addresses
    world.finish(attempt, NEVER)
    assert world.bounces.told == [(one.id, addresses)]


async def test_mixed_outcomes_until_the_message_is_gone(make) -> None:
    """Three sites; one delivers, one defers twice, one refuses: each recipient ends once."""
    world = await make()
    one = await world.send("a@one.example", "b@two.example", "c@three.example", "d@two.example")
    world.finish(await world.take("one.example"), OK)
    world.finish(await world.take("three.example"), NEVER)
    world.finish(await world.take("two.example"), OK, LATER)
    bounce = await world.take("example.com")
    assert world.bounces.told == [(one.id, ["c@three.example"])]
    world.finish(bounce, OK)
    for _ in range(2):
        await world.pass_time(900)
        attempt = await world.take("two.example")
        assert [r.address for r in attempt.recipients] == ["d@two.example"]
        world.finish(attempt, LATER)
        await turn()
    await world.pass_time(900)
    world.finish(await world.take("two.example"), OK)
    assert await world.is_quiet()
    assert world.settler.delivered == 4


async def test_domains_without_a_route(make) -> None:
    world = await make()
    world.routes.sites = {
        "gone.example": Failed(Scope.RECIPIENT, Reason.NO_DOMAIN, detail="NXDOMAIN"),
        "slow.example": Deferred(Scope.SITE, Reason.DNS_TEMPORARY, detail="SERVFAIL"),
        "bug.example": RuntimeError("resolver bug"),
    }
    await world.send("a@gone.example", "b@slow.example", "c@bug.example")
    bounce = await world.take("example.com")
    world.finish(bounce, OK)
    world.routes.sites = {}
    await world.until(lambda: world.scheduler.window.held == 0)
    await world.pass_time(300)
    for domain in ("slow.example", "bug.example"):
        world.finish(await world.take(domain), OK)
    assert await world.is_quiet()
    assert world.bounces.told[0][1] == ["a@gone.example"]


async def test_one_lookup_for_many_messages(make) -> None:
    world = await make()
    world.routes.gate.clear()
    for n in range(5):
        await world.send(f"{n}@example.org")
    world.routes.gate.set()
    attempts = [await world.take("example.org") for _ in range(5)]
    assert world.routes.asked == ["example.org"]
    for attempt in attempts:
        world.finish(attempt, OK)
    assert await world.is_quiet()


async def test_a_site_that_is_down_keeps_its_backlog_on_disk(make) -> None:
    world = await make()
    for n in range(3):
        await world.send(f"{n}@example.org")
    attempt = await world.take("example.org")
    world.scheduler.site_failed("mx:example.org", DOWN)
    world.finish(attempt, DOWN)
    await world.send("4@example.org")  # does not even wait
    await world.until(lambda: world.scheduler.window.held == 0)
    assert world.scheduler.sites() == [("mx:example.org", 0, True)]
    world.scheduler.site_up("mx:example.org")
    await world.pass_time(300)
    for _ in range(4):
        world.finish(await world.take("example.org"), OK)
    assert await world.is_quiet()


async def test_what_a_connection_has_in_hand_is_known_until_it_is_finished(make) -> None:
    world = await make()
    one = await world.send("a@example.org", "b@example.org")
    assert world.scheduler.taken(1, {one.key}) == set()
    attempt = await world.take("example.org")
    assert world.scheduler.taken(1, {one.key}) == {(one.key, 0), (one.key, 1)}
    assert world.scheduler.taken(2, {one.key}) == world.scheduler.taken(1, {one.key + 1}) == set()
    world.finish(attempt, OK)
    assert world.scheduler.taken(1, {one.key}) == set()
    assert await world.is_quiet()


async def test_flush_forgets_that_a_site_was_down(make) -> None:
    world = await make()
    await world.send("1@example.org")
    await world.take("example.org")
    world.scheduler.site_failed("mx:example.org", DOWN)
    assert world.scheduler.sites() == [("mx:example.org", 0, True)]
    world.scheduler.flush()
    assert world.scheduler.sites() == [("mx:example.org", 0, False)]


async def test_memory_is_bounded_by_window_and_budget(make) -> None:
    """Some come in, the others wait on disk and follow as the first leave; none is lost or taken twice."""
    world = await make(window=10, budget=50)
    sent = [await world.send(f"{n}@example.org") for n in range(50)]
    assert world.scheduler.window.held == 8
    assert world.scheduler.budget.used_bytes <= 50
    taken: list[str] = []
    while len(taken) < 50:
        attempt = await world.take("example.org")
        assert await world.scheduler.content(attempt) == b"Subject: hi\r\n\r\nhello\r\n"
        assert world.scheduler.window.held <= 10
        assert world.scheduler.budget.used_bytes <= 50
        taken.append(attempt.message.id)
        world.finish(attempt, OK)
        await turn()
    assert sorted(taken) == sorted(one.id for one in sent)
    assert await world.is_quiet()


@pytest.mark.parametrize("store", ["shard"], indirect=True)  # the fake has no files
async def test_large_content_never_counts_as_memory(make) -> None:
    world = await make(budget=100_000)
    await world.send("b@example.org", content=b"x" * 6000)
    attempt = await world.take("example.org")
    assert attempt.message.content is None
    path = await world.scheduler.content(attempt)
    assert isinstance(path, Path)
    assert world.scheduler.budget.used_bytes == 0
    world.finish(attempt, OK)
    assert await world.is_quiet()
    await world.store.control(lambda c: None)
    assert not path.exists()


async def test_a_verdict_that_fails_delays_and_loses_nothing(make) -> None:
    world = await make()
    await world.send("b@example.org")
    attempt = await world.take("example.org")
    world.scheduler.before_dot(attempt)
    world.scheduler.finished(attempt, {})  # a bug of ours: no outcome for the recipient
    await world.store.commit(Change())
    assert not world.store.journal.pending()
    await world.pass_time(300)
    world.finish(await world.take("example.org"), OK)
    assert await world.is_quiet()


async def test_damaged_content_is_set_aside_once_for_all_its_attempts(make) -> None:
    world = await make(budget=0)
    one = await world.send("b@one.example", "c@two.example")
    good = await world.send("d@one.example")
    await damage(world, one)
    for site in ("one.example", "two.example"):
        attempt = await world.take(site)
        with pytest.raises(SpoolCorrupt):
            await world.scheduler.content(attempt)
        world.finish(attempt, Deferred(Scope.MESSAGE, Reason.INTERNAL, None, "content not read"))
        await turn()
    attempt = await world.take("one.example")
    assert (attempt.message, await world.scheduler.content(attempt)) == (good, good_content(good))
    world.finish(attempt, OK)
    assert await world.is_quiet()


def good_content(_: Message) -> bytes:
    return b"Subject: hi\r\n\r\nhello\r\n"


async def damage(world: World, one: Message) -> None:
    if isinstance(world.store, FakeStore):
        world.store.damaged.add(one.key)
    else:
        await world.store.control(
            lambda c: (c.execute("UPDATE body SET content = x'00' WHERE key = ?", (one.key,)), None)[1]
        )


async def test_what_cannot_be_set_aside_stays_in_the_queue(make, monkeypatch) -> None:
    world = await make(budget=0)
    one = await world.send("b@example.org")
    await damage(world, one)

    async def full(*_: object) -> Change:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.store, "set_aside", full)
    attempt = await world.take("example.org")
    with pytest.raises(SpoolCorrupt):
        await world.scheduler.content(attempt)
    world.finish(attempt, LATER)
    await world.until(lambda: world.scheduler.window.held == 0)
    monkeypatch.undo()
    await world.pass_time(300)
    attempt = await world.take("example.org")
    with pytest.raises(SpoolCorrupt):
        await world.scheduler.content(attempt)
    world.finish(attempt, LATER)
    assert await world.is_quiet()


async def test_the_bounce_quotes_what_is_only_on_disk(make) -> None:
    world = await make(budget=0)
    one = await world.send("b@example.org")
    world.finish(await world.take("example.org"), NEVER)
    world.finish(await world.take("example.com"), OK)
    assert world.bounces.told == [(one.id, ["b@example.org"])]
    assert world.bounces.contents == [b"Subject: hi\r\n\r\nhello\r\n"]
    assert await world.is_quiet()


async def test_the_bounce_goes_out_without_a_quote_if_the_content_cannot_be_read(make, monkeypatch) -> None:
    world = await make(budget=0)
    await world.send("b@example.org")

    async def fails(*_: object) -> dict:
        raise SpoolError("cannot read")

    monkeypatch.setattr(world.store, "contents", fails)
    world.finish(await world.take("example.org"), NEVER)
    await world.until(lambda: world.bounces.contents)
    monkeypatch.undo()
    world.finish(await world.take("example.com"), OK)
    assert world.bounces.contents == [None]
    assert await world.is_quiet()


async def test_stopping_while_a_bounce_waits_for_content_keeps_the_outcome(store) -> None:
    """Delivered and refused in one attempt: were the outcome dropped, the first would get it twice."""
    world = World(*store, budget=0)
    async with AsyncExitStack() as stack:
        await world.scheduler.start(stack)
        await world.send("a@example.org", "b@example.org")
        attempt = await world.take("example.org")
        reading = asyncio.Event()

        async def never(*_: object) -> dict:
            reading.set()
            return await asyncio.get_running_loop().create_future()

        real, world.store.contents = world.store.contents, never
        world.finish(attempt, OK, NEVER)
        await reading.wait()
        world.store.contents = real
    await world.until(lambda: world.scheduler.window.fresh == 1)  # the bounce, stored and not sent
    assert world.bounces.told[0][1] == ["b@example.org"]
    assert world.settler.delivered == 1
    assert not world.store.journal.pending()


async def test_draining_hands_out_nothing_and_settles_at_once(make) -> None:
    world = await make(budget=0)
    await world.send("a@example.org")
    await world.send("b@example.org")
    attempt = await world.take("example.org")
    world.scheduler.drain()
    assert world.scheduler.take("mx:example.org") is None
    world.finish(attempt, NEVER)
    assert world.bounces.contents == [None]


async def test_deleted_messages_leave_memory_held_ones_too_others_come_back(make) -> None:
    world = await make()
    for domain in ("example.org", "other.example"):
        await world.routes.find(domain)
    kept = await world.send("a@example.org")
    gone = await world.send("b@example.org", "c@other.example")
    world.routes.gate.clear()
    looking = await world.send("d@slow.example")
    back = await world.send("e@example.org")
    await world.until(lambda: len(world.scheduler.sites()) == 2)
    await delete(world, gone)
    await delete(world, looking)
    assert world.scheduler.forget(1, {gone.key, looking.key, back.key}) == 4
    world.routes.gate.set()
    await turn()
    assert (await world.take("example.org")).message is kept
    again = await world.take("example.org")  # it was neither deleted nor held
    assert (again.message.id, again.message is back) == (back.id, False)
    assert world.scheduler.take("mx:other.example") is None
    assert world.scheduler.take("mx:slow.example") is None
    world.scheduler.finished(Attempt(kept, kept.recipients, "mx:example.org"), {0: OK})
    world.finish(again, OK)
    assert await world.is_quiet()


async def delete(world: World, one: Message) -> None:
    await world.store.commit(Change(finished=[one.key]))


# the real one falls back to less, see tests/spool/test_committer.py
@pytest.mark.parametrize("store", ["fake"], indirect=True)
async def test_an_outcome_that_cannot_be_written_is_not_delivered_again(make) -> None:
    world = await make()
    await world.send("b@example.org")
    world.finish(await world.take("example.org"), LATER)
    await world.pass_time(300)
    attempt = await world.take("example.org")
    world.store.fails_with = SpoolError("cannot be written")
    world.finish(attempt, OK)
    await turn()
    await world.pass_time(3600)
    assert world.scheduler.take("mx:example.org") is None


async def test_reading_the_queue_may_fail(make, monkeypatch) -> None:
    world = await make()
    await world.send("b@example.org")
    world.finish(await world.take("example.org"), LATER)
    await world.until(lambda: world.scheduler.window.held == 0)
    asked: list[int] = []

    async def fails(*_: object) -> list:
        asked.append(1)
        raise SpoolError("cannot read")

    monkeypatch.setattr(world.store, "due", fails)
    await world.pass_time(300)
    await world.until(lambda: asked)
    monkeypatch.undo()
    world.finish(await world.take("example.org"), OK)
    assert await world.is_quiet()


async def test_idle_sites_are_forgotten(make, monkeypatch) -> None:
    monkeypatch.setattr("relay.traffic.lanes._KEEP", 10)
    world = await make()
    world.scheduler.lanes._most = 10
    for n in range(50):
        await world.send(f"a@{n}.example")
        world.finish(await world.take(f"{n}.example"), OK)
    await world.send("a@waits.example")
    await world.until(lambda: ("mx:waits.example", 1, False) in world.scheduler.sites())
    await world.until(lambda: len(world.scheduler.sites()) <= world.scheduler.lanes._most)
    assert len(world.scheduler.sites()) < 40
    world.finish(await world.take("waits.example"), OK)
    assert await world.is_quiet()


async def test_a_clock_that_jumps_loses_nothing(make) -> None:
    world = await make()
    await world.send("b@example.org")
    world.finish(await world.take("example.org"), LATER)
    await world.until(lambda: world.scheduler.window.held == 0)
    world.clock.jump(-86400)
    await world.pass_time(300)
    assert world.scheduler.take("mx:example.org") is None
    world.clock.jump(86400)
    world.scheduler.flush()
    world.finish(await world.take("example.org"), OK)
    assert await world.is_quiet()


async def test_five_thousand_messages_each_recipient_ends_once(make, store) -> None:
    """A pool that delivers, defers and fails at random, with dots, lost replies and sites that go down."""
    dice = random.Random(11)
    world = await make(window=400, budget=40_000)
    ended: Counter[str] = Counter()
    sent: set[str] = set()
    sites = [f"{n}.example" for n in range(20)]
    for site in sites:
        await world.routes.find(site)

    async def send(numbers: range) -> None:
        for n in numbers:
            addresses = [f"{n}.{i}@{dice.choice(sites)}" for i in range(dice.choice((1, 1, 1, 2, 5)))]
            sent.update(addresses)
            await world.send(*addresses, content=b"x" * dice.choice((10, 100, 300)), max_age=14 * 3600.0)

    def outcome(address: str) -> Outcome:
        roll = dice.random()
        if roll < 0.75:
            return OK
        if roll < 0.85:
            return NEVER
        return Deferred(Scope.SESSION, Reason.REPLY_LOST) if roll < 0.9 else LATER

    async def one(site: str) -> bool:
        attempt = world.scheduler.take(f"mx:{site}")
        if attempt is None:
            return False
        await world.scheduler.content(attempt)
        if dice.random() < 0.01:
            world.scheduler.site_failed(attempt.lane, DOWN)
            world.finish(attempt, DOWN)
            return True
        outcomes = {r.number: outcome(r.address) for r in attempt.recipients}
        if dice.random() < 0.9:
            world.scheduler.before_dot(attempt)
        world.scheduler.finished(attempt, outcomes)
        return True

    async def deliver() -> None:
        while True:
            if any(await asyncio.gather(*[one(site) for site in [*sites, "example.com"] * 3])):
                continue
            if all_sent.done() and await world.store.is_empty():
                return
            world.clock.advance(60)
            world.scheduler.flush()
            await asyncio.sleep(0)

    events: list[Event] = []
    real = world.store.commit

    def commit(change: Change) -> asyncio.Future[None]:
        events.extend(change.events)
        return real(change)

    world.store.commit = commit
    all_sent = asyncio.gather(*[send(range(first, 5000, 50)) for first in range(50)])
    async with asyncio.timeout(90):
        await deliver()
        await all_sent
    assert await world.is_quiet()
    import json

    for event in events:
        address = json.loads(event.detail)["recipient"]
        if address != "a@example.com":
            ended[address] += event.kind in (EventKind.DELIVERY, EventKind.BOUNCE)
    assert set(ended) == sent
    assert set(ended.values()) == {1}


async def test_after_a_restart_parts_of_a_message_come_back_and_end(tmp_path: Path) -> None:
    """One delivered, one deferred, one in the air, one never tried: the last three come again."""
    clock = ManualClock(NOW)
    limits = SpoolLimits(disk_reserve_bytes=0)
    async with AsyncExitStack() as stack:
        shard = await Shard.open(tmp_path, 1, limits, clock, stack)
        world = World(shard, clock)
        await world.scheduler.start(stack)
        await world.send("a@one.example", "b@two.example", "c@three.example", "d@four.example")
        world.finish(await world.take("one.example"), OK)
        world.finish(await world.take("two.example"), LATER)
        world.scheduler.before_dot(await world.take("three.example"))
        await turn()
    async with AsyncExitStack() as stack:
        shard = await Shard.open(tmp_path, 1, limits, clock, stack)
        assert (shard.uncertain_found, shard.waiting_found) == (1, 3)
        world = World(shard, clock, window=2)  # not even all of them fit
        await world.scheduler.start(stack)
        for site in ("three.example", "four.example"):
            world.finish(await world.take(site), OK)
        assert not await shard.is_empty()
        await world.pass_time(300)
        world.finish(await world.take("two.example"), OK)
        assert await world.is_quiet()
