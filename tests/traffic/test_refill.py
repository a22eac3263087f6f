"""Groups whose rows take several lanes, some closed; and lanes that are stuck; on both stores."""

import asyncio
import random

import pytest

from tests.traffic.world import DOWN, OK, World

SOURCES = ("one", "two", "three")


def lane(source: str) -> str:
    return f"mx:example.org@{source}"


def take_open(world: World, closed: set[str], taken: list[str]) -> None:
    for source in SOURCES:
        while source not in closed and (attempt := world.scheduler.take(lane(source))) is not None:
            taken.extend(r.address for r in attempt.recipients)
            world.scheduler.site_up(lane(source))
            world.finish(attempt, OK)


async def polls(world: World, count: int, closed: set[str], taken: list[str], wanted: int) -> None:
    """Let the scheduler look at the disk some times; what is closed stays so."""
    for _ in range(count):
        take_open(world, closed, taken)
        for source in closed:
            world.scheduler.site_failed(lane(source), DOWN)
        if len(taken) >= wanted:
            return
        await world.pass_time(0.1)
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("seed", range(3))
async def test_open_lanes_of_a_group_are_served_whatever_happens_to_the_others(make, seed: int) -> None:
    chance = random.Random(seed)
    world = await make(window=chance.choice([20, 40, 100]))
    world.spread_over = SOURCES
    moves = chance.random() < 0.5  # else all have one rank
    sent: dict[str, str] = {}
    taken: list[str] = []
    closed: set[str] = set()
    for n in range(240):
        one = await world.send(f"{n}@example.org", max_age=1e6)
        sent[f"{n}@example.org"] = world.source(one).name
        if moves:
            world.clock.advance(0.01)
        if chance.random() < 0.1:
            closed ^= {chance.choice(SOURCES)}
        if chance.random() < 0.2:
            await polls(world, 2, closed, taken, 1000)
    closed = set(chance.sample(SOURCES, chance.choice([1, 2])))
    # a site that fails takes one attempt with it each time: those are due later
    for source in closed:
        world.scheduler.site_failed(lane(source), DOWN)
    mine = {address for address, source in sent.items() if source not in closed}
    for _ in range(400):
        await polls(world, 25, closed, taken, 1000)
        world.clock.advance(20)
        if mine <= set(taken):
            break
    assert mine <= set(taken)
    for _ in range(600):  # the disk is read in a thread, which a busy machine may keep waiting
        await polls(world, 20, set(), taken, len(sent))
        if len(taken) == len(sent):
            break
        world.clock.advance(60)
    assert sorted(taken) == sorted(sent)
    assert await world.is_quiet()
