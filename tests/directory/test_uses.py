"""The last use of credentials reaches the directory, and a directory that refuses it disturbs nothing."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest

from relay.base.errors import DirectoryError
from relay.directory.store import Directory
from relay.directory.uses import Uses
from tests.fakes.clock import ManualClock


class Written:
    """What was written; it fails while it is told to."""

    def __init__(self) -> None:
        self.writes: list[dict[str, float]] = []
        self.is_failing = False

    def mark_used(self, uses: Mapping[str, float]) -> None:
        if self.is_failing:
            raise DirectoryError("the directory is read-only")
        self.writes.append(dict(uses))


async def test_uses_are_written_together_and_once(clock: ManualClock) -> None:
    written = Written()
    uses = Uses(written, clock)
    uses.note("ONE")
    clock.advance(5)
    uses.note("ONE")
    uses.note("TWO")
    await uses.write()
    await uses.write()
    assert written.writes == [{"ONE": clock.now(), "TWO": clock.now()}]


async def test_what_could_not_be_written_is_written_later(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    written = Written()
    uses = Uses(written, clock)
    first = clock.now()
    written.is_failing = True
    for key_id in ("ONE", "TWO"):
        uses.note(key_id)
        await uses.write()
    clock.advance(60)
    uses.note("ONE")
    written.is_failing = False
    await uses.write()
    assert written.writes == [{"ONE": clock.now(), "TWO": first}]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # once for both failures
    assert caplog.records[0].why == "the directory is read-only"


async def test_it_writes_by_itself_and_once_more_at_the_end(clock: ManualClock) -> None:
    loop, arrived, written = asyncio.get_running_loop(), asyncio.Event(), Written()

    class Watched(Written):
        def mark_used(self, uses: Mapping[str, float]) -> None:
            written.mark_used(uses)
            loop.call_soon_threadsafe(arrived.set)

    async with AsyncExitStack() as stack:
        often, seldom = Uses(Watched(), clock, 0.001), Uses(written, clock)
        await often.start(stack)
        await seldom.start(stack)
        often.note("ONE")
        await arrived.wait()
        seldom.note("TWO")
    assert written.writes == [{"ONE": clock.now()}, {"TWO": clock.now()}]


async def test_a_locked_directory_does_not_hold_up_the_end(
    directory: Directory, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    directory.accounts.create("shop")
    key_id = directory.credentials.create("shop").key_id
    uses = Uses(directory.credentials, clock)
    async with AsyncExitStack() as stack:
        await uses.start(stack)
        uses.note(key_id)
        with directory._database.writing():
            await stack.aclose()
    assert [record.message for record in caplog.records] == [
        "last use of credentials not written; it is tried again"
    ]
    await uses._write_last()  # the thread is gone: no trouble either
    assert directory.credentials.list()[0][0].last_used_at is None
