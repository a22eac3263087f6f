"""The snapshot that is current, kept so by polling.

``LiveSnapshot.current`` is always a whole snapshot; it is replaced, never changed. Every half second a thread
reads the revision, and the rest only when it differs. A directory that cannot be read leaves the last
snapshot in force: mail flows on, ``is_stale`` says so, the log says it once, and once when it is over. Only
the first read must succeed.

Polling, not notification, because it works the same on a file and on a server, and because a forgotten
notification would go unseen. Cost: 0.2 ms a poll, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from relay.base.errors import DirectoryError
from relay.base.tasks import Tasks
from relay.directory.snapshot import KeyRing, Snapshot
from relay.directory.store import Directory

log = logging.getLogger(__name__)

INTERVAL_S = 0.5


class LiveSnapshot:
    """The current snapshot of a directory."""

    def __init__(
        self,
        directory: Directory,
        interval_s: float = INTERVAL_S,
        on_change: Callable[[Snapshot], None] | None = None,
    ) -> None:
        """``on_change`` hears of every later snapshot, on the event loop, after it became current."""
        self._directory = directory
        self._interval_s = interval_s
        self._on_change = on_change
        self._ring: KeyRing | None = None
        self._current: Snapshot | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="directory")
        self.is_stale = False

    @property
    def current(self) -> Snapshot:
        """The snapshot to ask; there is one once ``start`` has returned."""
        assert self._current is not None, "asked before start"
        return self._current

    async def start(self, stack: AsyncExitStack) -> None:
        """Read the directory, then go on polling until the stack unwinds. Raises DirectoryError."""
        stack.callback(self._thread.shutdown, wait=False, cancel_futures=True)
        loop = asyncio.get_running_loop()
        self._current = await loop.run_in_executor(self._thread, self._read)
        tasks = Tasks("directory")
        await tasks.start(stack)
        tasks.spawn(self._poll_on(), "poll")

    async def poll(self) -> bool:
        """Take over what has changed; say whether anything had. Never raises for a directory out of reach."""
        try:
            fresh = await asyncio.get_running_loop().run_in_executor(self._thread, self._read_if_newer)
        except Exception as error:
            # Even a bug of ours must not end the polling: it would be a relay that no change reaches.
            if not self.is_stale:
                is_ours = not isinstance(error, DirectoryError)
                log.error("directory out of reach", extra={"why": str(error)}, exc_info=is_ours)
            self.is_stale = True
            return False
        if self.is_stale:
            log.info("directory within reach again")
            self.is_stale = False
        if fresh is None:
            return False
        self._current = fresh
        if self._on_change is not None:
            self._on_change(fresh)
        return True

    async def _poll_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.poll()

    def _read_if_newer(self) -> Snapshot | None:
        # Unequal, not greater: a directory brought back from a backup counts from lower.
        return None if self._directory.revision() == self.current.revision else self._read()

    def _read(self) -> Snapshot:
        if self._ring is None:
            self._ring = KeyRing(self._directory.vault(), self._directory.region)
        return Snapshot(self._directory.read(), self._ring)
