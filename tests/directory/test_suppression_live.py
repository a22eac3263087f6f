"""The lists as a worker asks about them: loaded beside the work, followed, and what memory cannot say."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.directory import suppression_live
from relay.directory.store import Directory
from relay.directory.suppression import Change, SuppressionLists
from relay.directory.suppression_live import LiveSuppression
from tests.fakes.clock import ManualClock

BOUNCE = SuppressionReason.BOUNCE
SHOP = 1


class Watched:
    """The lists of a directory, which can be slow, or out of reach."""

    def __init__(self, lists: SuppressionLists) -> None:
        self.lists = lists
        self.may_find = threading.Event()
        self.may_find.set()
        self.finds: list[Mapping[int, Collection[str]]] = []
        self.broken: Exception | None = None

    def serial(self) -> int:
        if self.broken is not None:
            raise self.broken
        return self.lists.serial()

    def changes(self, after: int, limit: int) -> list[Change]:
        return self.lists.changes(after, limit)

    def find(
        self, wanted: Mapping[int, Collection[str]], after: float
    ) -> dict[tuple[int, str], SuppressionReason]:
        self.finds.append(wanted)
        assert self.may_find.wait(20)
        if self.broken is not None:
            raise self.broken
        return self.lists.find(wanted, after)


@pytest.fixture
def watched(directory: Directory) -> Watched:
    return Watched(directory.suppression)


@pytest.fixture
async def live(watched: Watched, clock: ManualClock) -> AsyncIterator[LiveSuppression]:
    """Not following by itself: the tests poll."""
    live = LiveSuppression(watched, clock, interval_s=3600.0)
    async with AsyncExitStack() as stack:
        stack.callback(live._asker.shutdown)
        stack.callback(live._reader.shutdown)
        await live._tasks.start(stack)
        yield live


def put(directory: Directory, *addresses: str, list_of: int = SHOP) -> None:
    directory.suppression.put([(list_of, Listed(one, BOUNCE, 100.0)) for one in addresses])


async def test_until_it_is_loaded_anyone_may_be_listed(live: LiveSuppression, directory: Directory) -> None:
    put(directory, "a@x.example")
    assert (live.is_loaded, live.is_empty, live.entries) == (False, False, 0)
    assert live.may_have(SHOP, "nobody@x.example")
    assert await live.find(SHOP, ["a@x.example", "nobody@x.example"], 0.0) == {"a@x.example": BOUNCE}
    await live.poll()
    assert (live.is_loaded, live.is_empty, live.entries) == (True, False, 1)
    assert live.may_have(SHOP, "a@x.example")
    assert not live.may_have(SHOP, "nobody@x.example")
    assert not live.may_have(SERVICE, "a@x.example")


async def test_it_follows_what_is_put_and_a_removal_is_found_out(
    live: LiveSuppression, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression_live, "_PAGE", 3)
    await live.poll()
    assert live.is_empty
    put(directory, *(f"{n}@x.example" for n in range(10)))
    await live.poll()
    assert live.entries == 10
    directory.suppression.remove(SHOP, ["3@x.example"])
    put(directory, "new@x.example", list_of=SERVICE)
    await live.poll()
    assert live.may_have(SERVICE, "new@x.example")
    assert live.may_have(SHOP, "3@x.example")
    assert await live.find(SHOP, ["3@x.example"], 0.0) == {}


async def test_once_a_day_what_was_removed_is_forgotten(
    live: LiveSuppression, directory: Directory, clock: ManualClock
) -> None:
    put(directory, "a@x.example", "b@x.example")
    await live.poll()
    directory.suppression.remove(SHOP, ["a@x.example"])
    await live.poll()
    assert live.entries == 2
    clock.advance(86_400)
    await live.poll()
    assert (live.entries, live.may_have(SHOP, "a@x.example")) == (1, False)


async def test_a_directory_from_a_backup_is_read_anew(live: LiveSuppression, watched: Watched) -> None:
    watched.lists.put([(SHOP, Listed(f"{n}@x.example", BOUNCE, 1.0)) for n in range(5)])
    await live.poll()

    class Earlier(Watched):
        def serial(self) -> int:
            return 2

        def changes(self, after: int, limit: int) -> list[Change]:
            return [(2, SHOP, "b@x.example")] if after < 2 else []

    live._lists = Earlier(watched.lists)
    await live.poll()
    assert (live.entries, live.may_have(SHOP, "b@x.example")) == (1, True)


async def test_questions_that_come_meanwhile_go_together(
    live: LiveSuppression, directory: Directory, watched: Watched
) -> None:
    put(directory, "a@x.example", "b@x.example")
    watched.may_find.clear()
    asking = [asyncio.create_task(live.find(SHOP, ["a@x.example"], 0.0))]
    while not watched.finds:
        await asyncio.sleep(0)
    for address in ("b@x.example", "c@x.example", "b@x.example"):
        asking.append(asyncio.create_task(live.find(SHOP, [address], 0.0)))
    asking.append(asyncio.create_task(live.find(SERVICE, ["a@x.example"], 0.0)))
    await asyncio.sleep(0)
    asking[2].cancel()  # a client that went away takes nobody's answer with it
    watched.may_find.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert answers[:2] == [{"a@x.example": BOUNCE}, {"b@x.example": BOUNCE}]
    assert isinstance(answers[2], asyncio.CancelledError)
    assert answers[3:] == [{"b@x.example": BOUNCE}, {}]
    assert watched.finds == [
        {SHOP: {"a@x.example"}},
        {SHOP: {"b@x.example", "c@x.example"}, SERVICE: {"a@x.example"}},
    ]
    assert live.asked == 2


@pytest.mark.parametrize("error", [DirectoryError("gone"), RuntimeError("a bug")])
async def test_out_of_reach_it_says_no_and_nobody_can_say_yes(
    live: LiveSuppression,
    directory: Directory,
    watched: Watched,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put(directory, "a@x.example")
    await live.poll()
    watched.broken = error
    await live.poll()
    await live.poll()
    assert len([one for one in caplog.records if one.message == "suppression lists not read"]) == 1
    assert not live.may_have(SHOP, "b@x.example")
    with pytest.raises(DirectoryError):
        await live.find(SHOP, ["a@x.example"], 0.0)
    watched.broken = None
    await live.poll()
    assert await live.find(SHOP, ["a@x.example"], 0.0) == {"a@x.example": BOUNCE}


async def test_at_the_end_nobody_is_left_waiting(directory: Directory, watched: Watched) -> None:
    watched.may_find.clear()
    async with AsyncExitStack() as stack:
        live = LiveSuppression(watched, ManualClock())
        await live.start(stack)
        asking = [asyncio.create_task(live.find(SHOP, ["a@x.example"], 0.0))]
        while not watched.finds:
            await asyncio.sleep(0)
        asking.append(asyncio.create_task(live.find(SHOP, ["b@x.example"], 0.0)))
        await asyncio.sleep(0)
    assert await asyncio.gather(*asking, return_exceptions=True)
    assert all(one.cancelled() for one in asking)
    watched.may_find.set()
    live._asker.shutdown()


async def test_it_follows_by_itself(directory: Directory, key_file: Path, clock: ManualClock) -> None:
    async with AsyncExitStack() as stack:
        live = LiveSuppression(directory.suppression, clock, interval_s=0.01)
        await live.start(stack)
        put(directory, "a@x.example")
        async with asyncio.timeout(30):
            while not (live.is_loaded and live.may_have(SHOP, "a@x.example")):
                await asyncio.sleep(0.01)
