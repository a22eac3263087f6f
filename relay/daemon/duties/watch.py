"""What has to be looked at again and again: the records of identities, on one worker of each node.

    watch = Watch([duty, ...])
    await watch.start(stack)          # a round every few seconds
    await watch.round()               # one round now; how many were looked at

Contract: a duty claims what is due (blocking, in a thread), ``check`` looks at one of it and stores what
follows. Batches, ``concurrency`` checks at a time over all duties. A check that fails is logged and stays
claimed until its claim runs out; it ends neither the round nor the watch. A directory that is out of reach is
logged once, and once when it is back.

Time is the duties' matter: they compare what is stored with their clock, so a test moves the clock and calls
``round``. After a crash the claims run out and all is looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from relay.base.errors import DirectoryError, Refused, SpoolError
from relay.base.tasks import Tasks

log = logging.getLogger(__name__)

INTERVAL_S = 2.0
BATCH = 100
CONCURRENCY = 16


class Duty(Protocol):
    """One kind of thing to look at."""

    name: str

    def claim(self, limit: int) -> Sequence[Any]:
        """What is due, and no one else's now; blocking. Raises DirectoryError."""
        ...

    async def check(self, item: Any) -> None:  # noqa: ANN401
        """Look at one of it."""
        ...


class Watch:
    """Does its duties in turn."""

    def __init__(
        self,
        duties: Sequence[Duty],
        interval_s: float = INTERVAL_S,
        batch: int = BATCH,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._duties = list(duties)
        self._interval_s = interval_s
        self._batch = batch
        self._slots = asyncio.Semaphore(concurrency)
        self.is_stale = False

    async def start(self, stack: AsyncExitStack) -> None:
        """Go on until the stack unwinds."""
        tasks = Tasks("watch")
        await tasks.start(stack)
        tasks.spawn(self._go_on(), "rounds")

    async def _go_on(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(self._interval_s)

    async def round(self) -> int:
        """Look at all that is due; how many things that were. Never raises for what fails."""
        return sum(await asyncio.gather(*map(self._do, self._duties)))

    async def _do(self, duty: Duty) -> int:
        count = 0
        while True:
            try:
                claimed = await asyncio.to_thread(duty.claim, self._batch)
            except DirectoryError as error:
                if not self.is_stale:
                    log.error("watch: directory out of reach", extra={"why": str(error)})
                self.is_stale = True
                return count
            except Exception:
                log.exception("watch: nothing could be claimed", extra={"duty": duty.name})
                return count
            if self.is_stale:
                log.info("watch: directory within reach again")
                self.is_stale = False
            await asyncio.gather(*[self._check(duty, item) for item in claimed])
            count += len(claimed)
            if len(claimed) < self._batch:
                return count

    async def _check(self, duty: Duty, item: Any) -> None:  # noqa: ANN401
        async with self._slots:
            try:
                await duty.check(item)
            except (DirectoryError, SpoolError, Refused) as error:
                log.warning("watch: put off", extra={"duty": duty.name, "what": str(item), "why": str(error)})
            except Exception:
                log.exception("watch: check failed", extra={"duty": duty.name, "what": str(item)})
