"""Following the event log: one loop for each of those who make something of the events.

A ``Sink`` takes batches of events, at its own pace and from its own position: one that fails or is slow holds
up no other. Contract with a sink: ``position()`` is what it has taken for good; ``take(batch, reached)``
returns once it has taken the batch for good, position ``reached`` included. After a crash or an exception the
same events come again, so that taking must be harmless the second time. Within a message the order is that
of ``relay.spool.event_log``.

Wherever a sink keeps its position, a copy is in ``positions`` under "relay/" and its name, a second old at
most: what a sink has not taken is not dropped (``relay.spool.retention``), and `relay events consumers` shows
how far it is.

A sink that fails is tried again after a while, for ever; the log says so once, and once when it is over. One
that raises SpoolCorrupt has lost what it had and is asked for its position anew; but where the damage is that
of ``positions``, they are set aside, and all go on where they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from relay.base.clock import Clock, SystemClock
from relay.base.errors import RelayError, SpoolCorrupt, SpoolError
from relay.base.events import EventKind, Logged
from relay.base.tasks import Tasks
from relay.spool.event_log import EventLog
from relay.spool.positions import OWN, Positions

log = logging.getLogger(__name__)

_POLL_S = 0.2
_PAUSE_S = 1.0  # after a failure, doubling
_LONGEST_PAUSE_S = 30.0
_NOTE_EVERY_S = 1.0
BATCH = 500


class Sink(Protocol):
    """Who makes something of events."""

    @property
    def name(self) -> str:
        """For the log and the metrics."""
        ...

    @property
    def kinds(self) -> Collection[EventKind]:
        """What it wants to see; nothing is everything."""
        ...

    async def position(self) -> Mapping[int, int]:
        """Offsets by shard that it has taken for good; asked once, at the start."""
        ...

    async def take(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> None:
        """Take these events; ``reached`` is its position then. ``batch`` may be empty."""
        ...


class Follower:
    """Leads one sink along the event log."""

    def __init__(self, spool: Path, sink: Sink, poll_s: float = _POLL_S, clock: Clock | None = None) -> None:
        self.sink = sink
        self._name = OWN + sink.name.removeprefix(OWN)
        self._positions = Positions(spool)
        self._clock = clock or SystemClock()
        self._noted: Mapping[int, int] | None = None
        self._noted_at = 0.0  # monotonic
        self.taken = 0  # events
        self.failures = 0
        self.behind = 0  # events that it has not looked at, as of the last look
        self._log = EventLog(spool)
        self._poll_s = poll_s
        self._thread = ThreadPoolExecutor(1, f"follow-{sink.name}")
        self._tasks = Tasks(f"follow {sink.name}")
        self._after: dict[int, int] | None = None

    async def start(self, stack: AsyncExitStack) -> None:
        """Follow until the stack unwinds."""
        stack.callback(self._log.close)
        stack.callback(self._thread.shutdown)
        await self._tasks.start(stack)
        self._tasks.spawn(self._follow(), "follow")

    async def _follow(self) -> None:
        pause_s = 0.0
        while True:
            try:
                is_more = await self.step()
            except Exception as error:
                self.failures += 1
                if isinstance(error, SpoolCorrupt) and not await self._mend():
                    self._after = None
                if not pause_s:
                    log.error(
                        "events are not taken; tried again",
                        extra={"sink": self.sink.name, "why": str(error)},
                        exc_info=not isinstance(error, RelayError),  # else a bug
                    )
                else:
                    log.debug("events are not taken", extra={"sink": self.sink.name, "why": str(error)})
                pause_s = min(2 * pause_s or _PAUSE_S, _LONGEST_PAUSE_S)
                await asyncio.sleep(pause_s)
                continue
            if pause_s:
                log.info("events are taken again", extra={"sink": self.sink.name})
                pause_s = 0.0
            if not is_more:
                await asyncio.sleep(self._poll_s)

    async def step(self) -> bool:
        """Read once and hand over; whether there was something. Raises what the reading or the sink does."""
        loop = asyncio.get_running_loop()
        if self._after is None:
            self._after = dict(await self.sink.position())
            await self._note()
        kinds = self.sink.kinds
        batch, reached = await loop.run_in_executor(self._thread, self._log.read, self._after, BATCH, kinds)
        if self.sink.kinds != kinds:  # it wants to see others now, of which some may have been passed over
            return True
        if reached == self._after:
            self.behind = 0
            await self._note()
            return False
        await self.sink.take(batch, reached)
        self._after = reached
        self.taken += len(batch)
        self.behind, _ = await loop.run_in_executor(self._thread, self._log.behind, reached)
        await self._note()
        return True

    async def _note(self) -> None:
        """Write down where the sink is, if it has moved and it is time."""
        assert self._after is not None
        now = self._clock.monotonic()
        if self._noted is not None and now - self._noted_at < _NOTE_EVERY_S:
            return
        if self._after == self._noted and self._positions.is_there:
            return
        loop, after = asyncio.get_running_loop(), self._after
        try:
            await loop.run_in_executor(
                self._thread, self._positions.set, self._name, after, self._clock.now()
            )
        except SpoolError as error:  # the sink knows better; events are kept for longer than they need be
            log.warning("position is not written down", extra={"sink": self.sink.name, "why": str(error)})
            if isinstance(error, SpoolCorrupt) and await self._mend():
                return
        self._noted, self._noted_at = after, now

    async def _mend(self) -> bool:
        """Whether the positions were damaged, and are no more."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._positions.mend)
        except SpoolError as error:
            log.error("positions stay damaged", extra={"why": str(error)})
            return False
