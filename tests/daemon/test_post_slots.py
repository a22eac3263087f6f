"""Slots for posts: what is doubtful waits for its like, and half of the others are for a first post each."""

import asyncio
from contextlib import AsyncExitStack

from relay.daemon.notifier.post_slots import PostSlots


async def is_free(slots: PostSlots, *, is_doubtful: bool) -> bool:
    """Whether one is to be had without waiting."""

    async def take() -> None:
        async with slots.one(is_doubtful=is_doubtful):
            pass

    task = asyncio.get_running_loop().create_task(take())
    for _ in range(5):
        await asyncio.sleep(0)
    if task.done():
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def test_doubtful_posts_use_up_their_own_slots_alone() -> None:
    slots = PostSlots(4, 2)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(slots.one(is_doubtful=True))
        assert not await is_free(slots, is_doubtful=True)
        assert await is_free(slots, is_doubtful=False)
        assert (slots.in_use, slots.is_crowded) == (0, False)
    assert await is_free(slots, is_doubtful=True)


async def test_it_is_crowded_while_half_is_in_use_and_whoever_waits_in_vain_leaves_nothing() -> None:
    slots = PostSlots(4, 2)
    async with AsyncExitStack() as held:
        await held.enter_async_context(slots.one(is_doubtful=False))
        assert not slots.is_crowded
        for _ in range(3):
            await held.enter_async_context(slots.one(is_doubtful=False))
            assert slots.is_crowded
        assert not await is_free(slots, is_doubtful=False)
        assert slots.in_use == 4
    assert (slots.in_use, slots.is_crowded) == (0, False)
    assert await is_free(slots, is_doubtful=False)
