"""Tasks have an owner that hears of failure and ends them."""

import asyncio
import logging
from contextlib import AsyncExitStack

from relay.base.tasks import Tasks


async def forever(events, name):
    try:
        await asyncio.Event().wait()
    finally:
        events.append(f"{name} ended")


async def test_unwinding_ends_what_runs():
    events = []
    async with AsyncExitStack() as stack:
        tasks = Tasks("owner")
        await tasks.start(stack)
        task = tasks.spawn(forever(events, "a"), "a")
        tasks.spawn(forever(events, "b"), "b")
        await asyncio.sleep(0)
        assert len(tasks) == 2
        assert task.get_name() == "owner/a"
        assert events == []
    assert sorted(events) == ["a ended", "b ended"]
    assert len(tasks) == 0


async def test_a_failure_is_logged_and_heard(caplog):
    heard = []
    tasks = Tasks("owner", heard.append)

    async def fails():
        raise ValueError("no luck")

    with caplog.at_level(logging.ERROR):
        await asyncio.wait([tasks.spawn(fails(), "fails")])
        await asyncio.sleep(0)
    assert [str(failure) for failure in heard] == ["no luck"]
    assert [record.task for record in caplog.records] == ["owner/fails"]
    assert len(tasks) == 0


async def test_success_and_cancellation_are_silent(caplog):
    heard = []
    tasks = Tasks("owner", heard.append)

    async def works():
        return 42

    assert await tasks.spawn(works(), "works") == 42
    tasks.spawn(forever([], "x"), "x")
    await tasks.end()
    assert heard == []
    assert caplog.records == []


async def test_a_failure_without_a_listener_is_only_logged(caplog):
    tasks = Tasks("owner")

    async def fails():
        raise ValueError("no luck")

    await asyncio.wait([tasks.spawn(fails(), "fails")])
    await asyncio.sleep(0)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_what_is_started_while_ending_ends_too():
    events = []
    tasks = Tasks("owner")

    async def starts_another():
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(forever(events, "late"), "late")

    tasks.spawn(starts_another(), "first")
    await asyncio.sleep(0)
    await tasks.end()
    assert len(tasks) == 0


async def test_a_task_may_end_its_owner_without_waiting_for_itself():
    tasks = Tasks("owner")
    tasks.spawn(forever([], "other"), "other")
    await asyncio.wait_for(tasks.spawn(tasks.end(), "ender"), 5)
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_waiting_for_all_ends_none():
    tasks = Tasks("owner")
    go, events = asyncio.Event(), []

    async def work():
        await go.wait()
        tasks.spawn(more(), "more")

    async def more():
        events.append("more")

    tasks.spawn(work(), "work")
    waiting = asyncio.get_running_loop().create_task(tasks.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    await asyncio.wait_for(waiting, 5)
    assert (events, len(tasks)) == (["more"], 0)
