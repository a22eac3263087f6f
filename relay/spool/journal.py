"""Dots sent whose outcome is not yet on disk.

Before the final dot of a message goes out, its recipients take places in a small mapped file; the places
are cleared after the outcome is committed. What is still there after a crash may have been delivered: those
are the uncertain recipients, and the only ones that may arrive twice.

Promise: a killed process loses no place, since the mapping belongs to the kernel. A power cut may, since the
file is not fsynced for each dot (that would cost a second fsync a message); then the list can be short.

Cost on the hot path: two stores into memory per recipient, no system call.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from pathlib import Path

from relay.base.errors import SpoolError

FILE = "dots"
_PLACES = 65536
_PLACE_BYTES = 16


class DotJournal:
    """The mapped file of one shard. Each place is two words: recipient number, then message key (0: free)."""

    def __init__(self, folder: Path) -> None:
        """Map the file, making it if need be. Raises OSError (ENOSPC: its megabyte is taken at once)."""
        descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, _PLACES * _PLACE_BYTES)
            # a hole in a mapped file on a full disk would be SIGBUS at the first dot noted there
            os.posix_fallocate(descriptor, 0, _PLACES * _PLACE_BYTES)
            self._map = mmap.mmap(descriptor, _PLACES * _PLACE_BYTES)
        finally:
            os.close(descriptor)
        self._words = memoryview(self._map).cast("Q")
        self._free = deque(place for place in range(_PLACES) if not self._words[2 * place + 1])

    def begin(self, key: int, numbers: list[int]) -> tuple[int, ...]:
        """The dot for these recipients is about to be sent. Raises SpoolError if no place is free."""
        words, free = self._words, self._free
        places = []
        try:
            for number in numbers:
                place = free.popleft()
                words[2 * place] = number
                words[2 * place + 1] = key  # last: a place without a key is no place
                places.append(place)
        except IndexError:
            self.clear(places)
            raise SpoolError(f"more than {_PLACES} dots without an outcome") from None
        return tuple(places)

    def clear(self, places: list[int] | tuple[int, ...]) -> None:
        """The outcome is on disk (or no dot was sent after all): the places are free again. Thread-safe."""
        words = self._words
        for place in places:
            words[2 * place + 1] = 0
        self._free.extend(places)

    def pending(self) -> list[tuple[int, int, int]]:
        """All (place, message key, recipient number) that are taken."""
        words = self._words
        return [(p, words[2 * p + 1], words[2 * p]) for p in range(_PLACES) if words[2 * p + 1]]

    def close(self) -> None:
        """Give the mapping back; the file stays."""
        self._words.release()
        self._map.close()
