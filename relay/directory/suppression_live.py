"""The suppression lists as a worker asks about them: the index in memory, and the directory behind it.

Contract: ``may_have`` answers at once; only a False is final. ``find`` asks the directory, in a thread, and
raises DirectoryError if it cannot be asked. Until the index is loaded, ``may_have`` is True for everybody:
slower, and right. After that it follows the directory by polling ``serial`` every half second, so an address
that is put on a list is known in every worker within a second. What is taken off is known at once, as
``find`` tells; once a day the index is built anew, without it.

Questions to the directory go one at a time; those that come meanwhile go together with the next.

A directory that cannot be read leaves the index as it is: it goes on saying no, and a yes cannot be found
out. The log says so once (``relay.directory.refresh`` does).

Cost on the hot path: that of ``SuppressionIndex.may_have``; none while all lists are empty. Loading a million
entries takes 3.6 s of CPU in a thread, measured; the event loop has its turn meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Protocol

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.base.suppression import SuppressionReason
from relay.base.tasks import Tasks
from relay.directory.suppression import Change
from relay.directory.suppression_index import SuppressionIndex

log = logging.getLogger(__name__)

INTERVAL_S = 0.5
_PAGE = 2_000
_REBUILD_S = 86_400.0


class Lists(Protocol):
    """What is asked of the lists (``relay.directory.suppression``); may take a while."""

    def serial(self) -> int: ...
    def changes(self, after: int, limit: int) -> list[Change]: ...
    def find(
        self, wanted: Mapping[int, Collection[str]], after: float
    ) -> dict[tuple[int, str], SuppressionReason]: ...


class LiveSuppression:
    """The lists, kept up to date. Owner of all but the index's inside is the event loop's thread."""

    def __init__(self, lists: Lists, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._lists = lists
        self._clock = clock
        self._interval_s = interval_s
        self._index: SuppressionIndex | None = None
        self._reached = 0
        self._built_at = 0.0
        self._is_failing = False
        self._waiting: list[tuple[int, Collection[str]]] = []
        self._next: asyncio.Future[dict[tuple[int, str], SuppressionReason]] | None = None
        self._is_asking = False
        self._tasks = Tasks("suppression")
        # questions do not wait for a page of the index
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="suppression-index")
        self._asker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="suppression")
        self.asked = 0  # questions to the directory

    @property
    def is_loaded(self) -> bool:
        """Whether the index is there."""
        return self._index is not None

    @property
    def entries(self) -> int:
        """What is in the index: what is listed, and what was taken off since it was built."""
        return self._index.entries if self._index is not None else 0

    @property
    def is_empty(self) -> bool:
        """Nobody is on any list."""
        return self._index is not None and not self._index.entries

    async def start(self, stack: AsyncExitStack) -> None:
        """Load and follow until the stack unwinds; does not wait for the loading."""
        stack.callback(self._asker.shutdown, wait=False, cancel_futures=True)
        stack.callback(self._reader.shutdown, wait=False, cancel_futures=True)
        await self._tasks.start(stack)
        self._tasks.spawn(self._follow(), "follow")

    def may_have(self, list_of: int, listed: str) -> bool:
        """Whether an address in its listed form may be on that list; see above."""
        return self._index is None or self._index.may_have(list_of, listed)

    async def find(self, list_of: int, listed: Collection[str], after: float) -> dict[str, SuppressionReason]:
        """Those of the addresses that are on that list, and why. Raises DirectoryError."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        mine = self._next
        self._waiting.append((list_of, listed))
        if not self._is_asking:
            self._is_asking = True
            self._tasks.spawn(self._ask_on(after), "ask")
        found = await asyncio.shield(mine)
        return {one: found[list_of, one] for one in listed if (list_of, one) in found}

    async def _ask_on(self, after: float) -> None:
        """Ask until nobody waits for an answer."""
        try:
            while self._next is not None:
                answer, waiting = self._next, self._waiting
                self._next, self._waiting = None, []
                wanted: dict[int, set[str]] = {}
                for list_of, listed in waiting:
                    wanted.setdefault(list_of, set()).update(listed)
                self.asked += 1
                loop = asyncio.get_running_loop()
                try:
                    found = await loop.run_in_executor(self._asker, self._lists.find, wanted, after)
                except Exception as error:
                    if not isinstance(error, DirectoryError):
                        log.exception("suppression lists not asked")
                    answer.set_exception(DirectoryError(f"suppression lists: {error}"))
                    answer.exception()  # who waited may be gone
                except BaseException:
                    answer.cancel()
                    raise
                else:
                    answer.set_result(found)
        finally:
            self._is_asking = False
            if self._next is not None:  # we are ended; nobody is to wait for ever
                self._next.cancel()

    async def poll(self) -> None:
        """Take over what has changed. Never raises for a directory out of reach."""
        loop = asyncio.get_running_loop()
        try:
            now = self._clock.monotonic()
            serial = await loop.run_in_executor(self._reader, self._lists.serial)
            # lower: a directory brought back from a backup
            if self._index is None or serial < self._reached or now - self._built_at >= _REBUILD_S:
                await self._build(now)
            elif serial > self._reached:
                self._reached = await self._read(self._index, self._reached)
        except Exception as error:
            if not self._is_failing:
                is_ours = not isinstance(error, DirectoryError)
                log.warning("suppression lists not read", extra={"why": str(error)}, exc_info=is_ours)
            self._is_failing = True
            return
        self._is_failing = False

    async def _build(self, now: float) -> None:
        index = SuppressionIndex()
        reached = await self._read(index, 0)
        self._index, self._reached, self._built_at = index, reached, now

    async def _read(self, index: SuppressionIndex, after: int) -> int:
        """Add what is behind that serial; returns up to which. Between two pages others have their turn."""
        loop = asyncio.get_running_loop()
        while True:
            count, after = await loop.run_in_executor(self._reader, self._add_page, index, after)
            if count < _PAGE:
                return after

    def _add_page(self, index: SuppressionIndex, after: int) -> tuple[int, int]:
        page = self._lists.changes(after, _PAGE)
        for _, list_of, listed in page:
            index.add(list_of, listed)
        return len(page), page[-1][0] if page else after

    async def _follow(self) -> None:
        while True:
            await self.poll()
            await asyncio.sleep(self._interval_s)
