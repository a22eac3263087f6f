"""Who waits on disk and why, how they come back, and how they end if they do not; on both stores."""

import asyncio

from relay.base.message import RecipientState
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.parked import FIRST, ParkedAsk
from relay.directory.records import Suspended, Suspension
from relay.traffic.suspensions import Suspensions
from tests.traffic.world import DOWN, LATER, OK, World, turn


async def parked(world: World, domain: str = "example.org", account: int = 1) -> list[tuple[str, int, str]]:
    """(address, attempts, reply) of those who are parked."""
    (page,) = await world.store.parked_pages([ParkedAsk(domain, account, FIRST, 10_000)], set())
    return [(r.address, r.attempts, r.reply) for m in page.messages for r in m.recipients]


async def take_all(world: World, site: str, count: int) -> list[str]:
    taken = []
    for _ in range(count):
        attempt = await world.take(site)
        taken.append(attempt.recipients[0].address)
        world.finish(attempt, OK)
    return taken


async def test_a_dead_site_costs_no_attempt_and_comes_back_in_order(make) -> None:
    world = await make()
    await world.send("first@example.org")
    for n in range(5):
        await world.send(f"{n}@example.org")
        world.clock.advance(1)
    world.scheduler.site_failed("mx:example.org", DOWN)  # that was an attempt for the first
    await world.until(lambda: world.scheduler.window.held == 0)
    await world.send("5@example.org")  # is not even written twice
    assert await parked(world) == [(f"{n}@example.org", 0, "connect: no route to host") for n in range(6)]
    assert len(await world.store.due(world.clock.now() + 1e6, 100, set())) == 1
    world.woken.clear()
    world.clock.advance(34)
    await world.until(lambda: world.woken)  # one goes ahead, to see whether the site is there
    await turn()
    assert world.scheduler.sites() == [("mx:example.org", 1, False)]
    world.scheduler.site_failed("mx:example.org", DOWN)
    await world.until(lambda: world.scheduler.window.held == 0)
    world.clock.advance(120)
    await world.until(lambda: world.scheduler.sites() == [("mx:example.org", 1, False)])
    world.scheduler.site_up("mx:example.org")
    assert await take_all(world, "example.org", 5) == [f"{n}@example.org" for n in range(1, 6)]
    await world.pass_time(600)
    assert await take_all(world, "example.org", 2) == ["first@example.org", "0@example.org"]
    assert await world.is_quiet()
    assert world.settler.deferred == 2


async def test_a_slow_site_leaves_room_for_the_others(make) -> None:
    """Five hundred messages for one site: two thirds of the window, and the rest on disk."""
    world = await make(window=100)
    for n in range(500):
        await world.send(f"{n}@slow.example")
    assert world.scheduler.window.held <= 70
    await world.send("a@live.example")
    assert await take_all(world, "live.example", 1) == ["a@live.example"]
    assert len(await take_all(world, "slow.example", 500)) == 500
    assert await world.is_quiet()
    assert world.settler.delivered == 501


async def test_many_slow_sites_leave_room_too(make) -> None:
    world = await make(window=200)
    for n in range(400):
        await world.send(f"{n}@{n % 40}.slow.example")
    for n in range(20):
        await world.send(f"{n}@live.example")
        assert world.scheduler.window.held <= 200
        await take_all(world, "live.example", 1)
    for n in range(40):
        assert len(await take_all(world, f"{n}.slow.example", 10)) == 10
    assert await world.is_quiet()


async def test_order_holds_over_memory_and_disk(make) -> None:
    """What comes in while older mail is parked does not overtake it; what has a deadline does."""
    world = await make(window=64)
    for n in range(200):
        await world.send(f"{n}@example.org")
        world.clock.advance(0.01)
    urgent = await world.send("now@example.org", deadline=world.clock.now() + 60)
    assert (await take_all(world, "example.org", 1)) == ["now@example.org"]
    assert urgent.recipients[0].state is RecipientState.FRESH
    assert await take_all(world, "example.org", 200) == [f"{n}@example.org" for n in range(200)]
    assert await world.is_quiet()


async def test_a_password_passes_a_campaign_of_its_own_account_and_of_another(make) -> None:
    world = await make(window=640)
    for n in range(1500):
        await world.send(f"{n}@example.org")
    await world.send("other@example.org", account=2)
    await world.send("own@example.org", deadline=world.clock.now() + 120)
    assert set(await take_all(world, "example.org", 3)) >= {"other@example.org", "own@example.org"}


async def test_an_urgent_flood_is_bounded_too(make) -> None:
    world = await make(window=160)
    for n in range(400):
        await world.send(f"{n}@example.org", deadline=world.clock.now() + 600 - n)
    assert world.scheduler.window.held <= 160
    await world.send("x@example.org", account=2, deadline=world.clock.now() + 60)
    assert "x@example.org" in await take_all(world, "example.org", 2)
    await take_all(world, "example.org", 399)
    assert await world.is_quiet()


async def test_what_comes_due_and_finds_no_room_is_parked_once(make) -> None:
    world = await make(window=100)
    for n in range(300):
        await world.send(f"{n}@example.org")
    for _ in range(300):
        world.finish(await world.take("example.org"), LATER)
    await world.until(lambda: world.scheduler.window.held == 0)
    world.clock.advance(300)
    await world.until(lambda: world.scheduler.parking.total >= 450)
    loads = world.scheduler.loader.loads
    for _ in range(20):
        await world.pass_time(1)
    assert world.scheduler.loader.loads == loads == 300
    taken = await take_all(world, "example.org", 300)
    assert sorted(taken) == sorted(f"{n}@example.org" for n in range(300))
    assert await world.is_quiet()


async def test_the_parked_expire_and_their_sender_hears_why(make) -> None:
    world = await make()
    one = await world.send("a@example.org", max_age=3600.0)
    await world.take("example.org")
    world.scheduler.finished(_attempt(one, world), {0: DOWN})
    two = await world.send("b@example.org", max_age=3600.0)
    world.scheduler.site_failed("mx:example.org", DOWN)
    three = await world.send("c@example.org", deadline=world.clock.now() + 60)
    await world.until(lambda: world.scheduler.window.held == 0)
    for passed, told in ((59, []), (2, [three]), (3500, [three]), (60, [one, two, three])):
        for _ in range(passed // 20 + 1):  # the site is tried again and again, and stays down
            world.clock.advance(passed / (passed // 20 + 1))
            await world.pass_time(0)
            if world.scheduler.sites()[0][1]:
                world.scheduler.site_failed("mx:example.org", DOWN)
        await world.until(lambda told=told: len(world.bounces.told) >= len(told))
        assert sorted(i for i, _ in world.bounces.told) == sorted(m.id for m in told)
    outcomes = {why.detail for why in world.bounces.why}
    assert outcomes == {"no route to host"}


def _attempt(one, world):
    (attempt,) = world.scheduler.lanes.taken
    assert attempt.message is one
    return attempt


async def test_what_is_late_in_memory_is_given_up_and_not_sent(make) -> None:
    world = await make()
    late = await world.send("late@example.org", deadline=world.clock.now() + 60)
    await world.until(lambda: world.scheduler.sites() == [("mx:example.org", 1, False)])
    await world.send("b@example.org", sender="x@other.example")
    world.clock.advance(61)
    assert (await world.take("example.org")).recipients[0].address == "b@example.org"
    await world.until(lambda: world.bounces.told)
    assert world.bounces.told == [(late.id, ["late@example.org"])]
    assert world.bounces.why[0].reason is Reason.EXPIRED


async def test_what_no_connection_takes_is_given_up_all_the_same(make) -> None:
    world = await make()
    late = await world.send("late@example.org", deadline=world.clock.now() + 60)
    told = await world.send("told@example.org", deadline=world.clock.now() + 60, is_by_notify=True)
    world.clock.advance(61)
    await world.until(lambda: world.bounces.told)
    assert world.bounces.told == [(late.id, ["late@example.org"])]
    assert (await world.take("example.org")).message is told


async def test_a_restart_finds_the_parked(make, store) -> None:
    first = await make(window=20)
    for n in range(100):
        await first.send(f"{n}@{n % 3}.example")
    await first.store.parked_groups()
    first.scheduler.drain()
    await first.scheduler._tasks.end()
    waiting = len(await parked(first, "0.example")) + len(await parked(first, "1.example"))
    assert waiting > 30
    second = await make(window=20)
    await second.until(lambda: len(second.scheduler.sites()) >= 2)
    for domain in ("0.example", "1.example"):
        assert len(await take_all(second, domain, len(await parked(second, domain)))) > 10


async def test_suspended_mail_waits_on_disk_and_comes_back(make) -> None:
    world = await make()
    await world.routes.find("example.org")
    await world.send("a@example.org", "b@other.example")
    row = Suspension(Suspended.DOMAIN, "example.org", "they asked us to", 0.0)
    world.scheduler.suspend(Suspensions([row]))
    await world.send("c@example.org")
    assert await take_all(world, "other.example", 1) == ["b@other.example"]
    await world.until(lambda: world.scheduler.window.held == 0)
    found = await parked(world)
    assert [address for address, _, _ in found] == ["a@example.org", "c@example.org"]
    assert {said for _, _, said in found} == {"domain example.org is suspended: they asked us to"}
    for _ in range(5):
        await world.pass_time(60)
    assert world.scheduler.take("mx:example.org") is None
    world.scheduler.suspend(Suspensions())
    assert await take_all(world, "example.org", 2) == ["a@example.org", "c@example.org"]
    assert await world.is_quiet()


async def test_a_domain_that_cannot_be_looked_up_is_left_alone_for_a_while(make) -> None:
    world = await make(window=100)
    world.routes.sites["slow.example"] = Deferred(Scope.SITE, Reason.DNS_TEMPORARY, detail="SERVFAIL")
    world.routes.gate.clear()
    for n in range(200):
        await world.send(f"{n}@slow.example")
    assert world.scheduler.window.held <= 64
    world.routes.gate.set()
    await world.until(lambda: world.scheduler.window.held == 0)
    await world.pass_time(1)
    assert len(await parked(world, "slow.example")) == 136
    world.routes.sites.clear()
    await world.pass_time(30)
    assert len(await take_all(world, "slow.example", 136)) == 136


async def test_one_lane_of_a_group_may_be_down_while_another_takes_its_mail(make) -> None:
    """Two sources in turn: what leaves from the one that the site refuses does not hold up the other's."""
    world = await make(window=40)
    world.spread_over = ("one", "two")
    sent = []
    for n in range(200):
        sent.append(await world.send(f"{n}@example.org"))
        world.clock.advance(0.01)
    world.scheduler.site_failed("mx:example.org@one", DOWN)
    by_two = [n for n, one in enumerate(sent) if world.source(one).name == "two"]
    taken = []
    for _ in range(1000):
        while (attempt := world.scheduler.take("mx:example.org@two")) is not None:
            taken.append(attempt.recipients[0].address)
            world.finish(attempt, OK)
        if len(taken) == len(by_two):
            break
        await world.pass_time(0.1)  # in vain a group is looked at every five seconds
        await asyncio.sleep(0.001)
    assert sorted(taken) == sorted(f"{n}@example.org" for n in by_two)
    world.scheduler.site_up("mx:example.org@one")
    rest = len(sent) - len(by_two) - 1
    assert len(await take_all(world, "example.org@one", rest)) == rest
    await world.pass_time(300)
    assert len(await take_all(world, "example.org@one", 1)) == 1
    assert await world.is_quiet()
