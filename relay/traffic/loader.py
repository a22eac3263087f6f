"""What comes into memory from disk, and when.

Contract: recipients that are due are loaded as they come due, whether there is room or not: those whose lane
or account has none are parked, and are not met again by a scan of those that are due. Parked ones follow as
room comes free (``refill``). Each is *known* before it is admitted, so that it is not loaded twice. Reading
may fail; it is tried again.

Cost: one scan of those that are due every ``poll_s``, and more while there are many. A scan goes on from
where the last one ended, and passes over those that are in memory once a minute only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from relay.base.clock import Clock
from relay.base.message import Message
from relay.traffic.neighbours import Store
from relay.traffic.refill import Refill
from relay.traffic.window import Window

log = logging.getLogger(__name__)

_LEAST = 500  # recipients loaded at once, room or not
_MOST = 2000
_PAUSE_S = 0.1  # between two loads while the window is full, so that parking leaves the disk to others
_FROM_THE_BEGINNING_S = 60.0
_MARGIN_S = 60.0  # rows are written with a due time up to so much before they are seen


class Loader:
    """Reads the queue of one worker. Owner: the scheduler, in the event loop."""

    def __init__(
        self,
        shards: Mapping[int, Store],
        window: Window,
        clock: Clock,
        poll_s: float,
        admit: Callable[[Message], None],
        refill: Refill,
        between: Callable[[], None],
    ) -> None:
        """``admit`` takes a message that was loaded; ``between`` is called every ``poll_s``."""
        self.loads = 0
        self._shards = shards
        self._window = window
        self._clock = clock
        self._poll_s = poll_s
        self._admit = admit
        self._refill = refill
        self._between = between
        self._called = asyncio.Event()
        self._is_due_wanted = True
        self._since: dict[int, float] = {}
        self._restart_at = 0.0  # loop's time at which scans begin from the beginning
        self._look_at = 0.0

    def call(self) -> None:
        """Something is due, or what was due has changed: look at once, from the beginning."""
        self._is_due_wanted = True
        self._since.clear()
        self._called.set()

    def call_refill(self) -> None:
        """Parked mail may come in."""
        self._called.set()

    async def run(self) -> None:
        """Load for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._called.clear()
            now = loop.time()
            if is_tick := now >= self._look_at:
                self._look_at = now + self._poll_s
                self._between()
            is_more, pause_s = await self._round(now, is_tick)
            if is_more:
                if pause_s:
                    await asyncio.sleep(pause_s)
                continue
            try:
                async with asyncio.timeout(max(0.0, self._look_at - loop.time())):
                    await self._called.wait()
            except TimeoutError:
                pass

    async def _round(self, now: float, is_tick: bool) -> tuple[bool, float]:
        """One look at each shard; whether there is more to do at once, and after what pause."""
        is_due_wanted, self._is_due_wanted = self._is_due_wanted or is_tick, False
        if is_restart := now >= self._restart_at:
            self._restart_at = now + _FROM_THE_BEGINNING_S
            self._since.clear()
        is_more, pause_s = False, 0.0
        for number in list(self._shards):
            try:
                if is_restart:
                    await self._refill.recall(number)
                if is_due_wanted and await self._load(number):
                    is_more = self._is_due_wanted = True
                    pause_s = 0.0 if self._window.room() > 0 else _PAUSE_S
                is_more |= await self._refill.fill(number)
                if is_tick:
                    self._is_due_wanted |= await self._refill.give_up_late(number, self._clock.now())
            except Exception:
                log.exception("reading the queue failed; tried again", extra={"shard": number})
        return is_more, pause_s

    async def _load(self, number: int) -> bool:
        """Bring in what is due in one shard; whether there may be more."""
        now = self._clock.now()
        limit = min(max(self._window.room(), _LEAST), _MOST)
        known = self._window.known.setdefault(number, set())
        since = self._since.get(number, 0.0)
        messages = await self._shards[number].due(now, limit, set(known), since if since <= now else 0.0)
        taken = sum(len(m.recipients) for m in messages)
        self.loads += taken
        for message in messages:  # all are known before the first can be settled
            known.update((message.key, r.number) for r in message.recipients)
        if messages:
            last = max(r.due_at for r in messages[-1].recipients)
            self._since[number] = last - _MARGIN_S
        for message in messages:
            self._admit(message)
        return taken >= limit
