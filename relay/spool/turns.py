"""One at a time, over all processes: what comes back about one message is looked at by one worker.

    async with turns.of(message_id):
        ...  # read what is known, decide, commit

Contract: of those who ask for the same id, in this process or in another on the same spool, one is inside.
A lock is on a byte of a file, which the kernel gives back when its process ends, however that happens; two
ids may share a byte, and then wait for each other without need. Who waits longer than ``patience_s`` for
another process hears a SpoolError: nobody knows what that one does.

Cost: two system calls; a few milliseconds where another process holds it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from relay.base.errors import SpoolError

FILE = "turns.lock"
_LOOK_S = 0.01


class Turns:
    """The turns of one process. POSIX locks belong to a process: there is one instance of it in each."""

    def __init__(self, folder: Path, patience_s: float = 20.0) -> None:
        """Raises SpoolError if there can be no file in ``folder``."""
        self._patience_s = patience_s
        self._inside: dict[int, asyncio.Lock] = {}
        self._waiting: dict[int, int] = {}
        try:
            self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpoolError(f"{folder / FILE}: {error.strerror}") from error

    def close(self) -> None:
        """Give all back."""
        os.close(self._file)

    @asynccontextmanager
    async def of(self, message_id: str) -> AsyncIterator[None]:
        """Wait for the turn, and have it. Raises SpoolError if it does not come."""
        place = zlib.crc32(message_id.encode())
        lock = self._inside.setdefault(place, asyncio.Lock())
        self._waiting[place] = self._waiting.get(place, 0) + 1
        try:
            async with lock:
                await self._take(place)
                try:
                    yield
                finally:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place], self._inside[place]

    async def _take(self, place: int) -> None:
        left_s = self._patience_s
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                return
            except (BlockingIOError, PermissionError):
                if left_s <= 0.0:
                    raise SpoolError("another worker does not give its turn back") from None
            except OSError as error:
                raise SpoolError(f"{FILE}: {error.strerror}") from error
            await asyncio.sleep(_LOOK_S)
            left_s -= _LOOK_S
