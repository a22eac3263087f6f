"""What comes into memory from disk, and when.

Contract: recipients that are due are loaded whenever there is room in the window, and at least every
``poll_s``; each is *known* before it is admitted, so that it is not loaded twice. Reading may fail; it is
tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from relay.base.clock import Clock
from relay.base.message import Message
from relay.traffic.neighbours import Store
from relay.traffic.window import Window

log = logging.getLogger(__name__)


class Loader:
    """Reads the queue of one worker. Owner: the scheduler, in the event loop."""

    def __init__(
        self,
        shards: Mapping[int, Store],
        window: Window,
        clock: Clock,
        poll_s: float,
        admit: Callable[[Message], None],
        between: Callable[[], None],
    ) -> None:
        """``admit`` takes a message that was loaded; ``between`` is called between two rounds."""
        self.loads = 0
        self._shards = shards
        self._window = window
        self._clock = clock
        self._poll_s = poll_s
        self._admit = admit
        self._between = between
        self._room = asyncio.Event()
        self._more_due = True

    def call(self) -> None:
        """There is something to load: look at once."""
        self._more_due = True
        self._room.set()

    def left(self) -> None:
        """Recipients have left the window."""
        if self._more_due and not self._room.is_set() and self._window.wants:
            self._room.set()

    async def run(self) -> None:
        """Load for ever."""
        while True:
            self._room.clear()
            self._more_due = False
            for number in list(self._shards):
                try:
                    await self._load(number)
                except Exception:
                    log.exception("reading the queue failed; tried again", extra={"shard": number})
            self._between()
            if self._more_due and self._window.wants:
                continue
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._room.wait()
            except TimeoutError:
                pass

    async def _load(self, number: int) -> None:
        """Bring in what is due in one shard, as far as there is room."""
        wants = self._window.wants
        if not wants:
            self._more_due = True
            return
        known = self._window.known.setdefault(number, set())
        messages = await self._shards[number].due(self._clock.now(), wants, set(known))
        taken = sum(len(m.recipients) for m in messages)
        self._more_due |= taken >= wants
        self.loads += taken
        for message in messages:  # all are known before the first can be settled
            known.update((message.key, r.number) for r in message.recipients)
        for message in messages:
            self._admit(message)
