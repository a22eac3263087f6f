"""Notices of delay for those who wait without attempts: parked on disk, since their lane is full, down or
suspended.

Contract: every ``EVERY_S`` all that is parked is looked through, a page at a time; of a recipient that waits
for too long the sender hears what there is to tell, and the recipient stays where it is. The notice, and the
note that it was made, are one change. Who is in memory is left alone: its next attempt tells. (One that
comes into memory at that very moment may be told of twice.) While nothing is parked, nothing is read.

After a crash: what was noted is not told again. Failure: logged, and tried again with the next look.

Who hears, and when, is the verdict's to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from relay.base.clock import Clock
from relay.base.errors import SpoolCorrupt
from relay.base.events import Change
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred
from relay.base.parked import ParkedGroup
from relay.base.tasks import Tasks
from relay.traffic.last_known import last_known
from relay.traffic.window import Window

log = logging.getLogger(__name__)

EVERY_S = 300.0
_PAGE = 2000  # messages looked at in one go
_PAUSE_S = 0.02  # between pages, for those who wait for the reader too
_NEVER_LEFT = "it has not been tried yet"


class Store(Protocol):
    """What is needed of a shard."""

    def commit(self, change: Change) -> asyncio.Future[None]: ...
    async def contents(self, messages: list[Message]) -> dict[int, bytes | Path | SpoolCorrupt]: ...
    async def parked_groups(self) -> list[ParkedGroup]: ...
    async def parked_untold(
        self, after: int, limit: int, arrived_before: float, now: float
    ) -> tuple[list[Message], int]: ...


class Verdict(Protocol):
    """Who hears of it."""

    def late_since(self, now: float) -> float: ...
    def wants_content_of_late(self, message: Message, recipients: list[Recipient]) -> bool: ...
    def late(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: bytes | Path | None
    ) -> Change: ...


class LateNotices:
    """Looks through what is parked. Owner: the event loop."""

    def __init__(
        self,
        shards: Mapping[int, Store],
        verdict: Verdict,
        window: Window,
        clock: Clock,
        announce: Callable[[Message], None],
        submit: Callable[[Message], None],
    ) -> None:
        """``announce`` and ``submit`` are the scheduler's, before and after a message is stored."""
        self._shards = shards
        self._verdict = verdict
        self._window = window
        self._clock = clock
        self._announce = announce
        self._submit = submit
        self._tasks = Tasks("late notices")

    async def start(self, stack: AsyncExitStack) -> None:
        """Begin to look; end with the stack."""
        await self._tasks.start(stack)
        self._tasks.spawn(self._run(), "late notices")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            for number in list(self._shards):
                try:
                    await self.look(number)
                except Exception:
                    log.exception("notices of delay are not made; tried again", extra={"shard": number})

    async def look(self, number: int) -> None:
        """Look through one shard. Raises SpoolError."""
        shard = self._shards[number]
        if not await shard.parked_groups():
            return
        now, after = self._clock.now(), 0
        while True:
            since = self._verdict.late_since(now)
            messages, after = await shard.parked_untold(after, _PAGE, since, now)
            for message in messages:
                await self._tell(shard, number, message)
            if not after:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _tell(self, shard: Store, number: int, message: Message) -> None:
        known = self._window.known.get(number, ())
        recipients = [one for one in message.recipients if (message.key, one.number) not in known]
        content: bytes | Path | None = None
        if self._verdict.wants_content_of_late(message, recipients):
            found = (await shard.contents([message]))[message.key]
            content = None if isinstance(found, SpoolCorrupt) else found
        waiting = [(one, last_known(one.reply, _NEVER_LEFT)) for one in recipients]
        change = self._verdict.late(message, waiting, content)
        if not change.told:
            return
        for notice in change.stored:
            self._announce(notice)
        await shard.commit(change)
        for notice in change.stored:
            self._submit(notice)
