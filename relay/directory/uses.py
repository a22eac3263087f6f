"""When credentials were last used, from the workers' memory to the directory.

Contract: ``note`` remembers a login; about once a minute, and at the end, what is new is written by a thread,
in one transaction that leaves the revision alone: nobody has to read the directory anew for it. What cannot
be written (the directory is read-only, locked, gone) stays in memory for the next time, is logged once, and
disturbs nothing else.

A use is a login. Messages of a session that is open do not count as uses of their own; sessions end after so
many messages or so much time, and the client logs in again.

After a crash: the uses of the last minute are forgotten. ``relay credential list`` may lag as much.

Cost: 0.2 microseconds a login; the memory of one entry for each credential in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Protocol

from relay.base.clock import Clock
from relay.base.tasks import Tasks

log = logging.getLogger(__name__)

INTERVAL_S = 60.0
_LAST_WRITE_S = 3.0  # what the end of a worker may be put off by


class Credentials(Protocol):
    """Where uses are written."""

    def mark_used(self, uses: Mapping[str, float]) -> None:
        """By key id, when. May take a while; raises what it will."""
        ...


class Uses:
    """What one worker has not written yet. State: ``_seen``, which only the event loop changes."""

    def __init__(self, credentials: Credentials, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._credentials = credentials
        self._clock = clock
        self._interval_s = interval_s
        self._seen: dict[str, float] = {}
        self._is_failing = False
        # one thread, so that the last write waits for the one before it
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="credential-uses")

    async def start(self, stack: AsyncExitStack) -> None:
        """Write now and then until the stack unwinds, and once more then."""
        stack.callback(self._thread.shutdown, wait=False, cancel_futures=True)
        stack.push_async_callback(self._write_last)
        tasks = Tasks("credential-uses")
        await tasks.start(stack)
        tasks.spawn(self._write_on(), "write")

    def note(self, key_id: str) -> None:
        """A client has logged in with this credential."""
        self._seen[key_id] = self._clock.now()

    async def write(self) -> None:
        """Write what is new. Never raises for a directory that cannot be written."""
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._credentials.mark_used, seen)
        except Exception as error:
            self._seen = seen | self._seen
            if not self._is_failing:
                log.warning(
                    "last use of credentials not written; it is tried again", extra={"why": str(error)}
                )
            self._is_failing = True
            return
        self._is_failing = False

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.write()

    async def _write_last(self) -> None:
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                await self.write()
        except TimeoutError:
            log.warning("last use of credentials not written: the directory does not answer")
