"""The board: a few numbers in memory that all processes of the relay share.

Each worker writes only its own part; everyone reads all of it: the worker's heartbeat, its connections, and
its connections per client address (counted by a hash of the address, so two addresses may rarely share a
count). So the bounds on connections hold over all workers without a message between them. The supervisor
clears the part of a worker that died.

Cost: entering and leaving read one number per worker each; no system call, no lock.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from zlib import crc32

_BUCKETS = 16384
_WORDS = 16 + _BUCKETS  # per worker: heartbeat, connections, 14 spare, buckets
_BEAT, _TOTAL, _FIRST = 0, 1, 16
_BEATS_PER_S = 10  # 32 bits of tenths last 13 years
_ZEROS = memoryview(bytes(_WORDS * 4)).cast("I")


class Board:
    """The shared mapping. Made by the supervisor, opened by the workers through the inherited descriptor."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self.descriptor = descriptor
        self.workers = workers
        self._map = mmap.mmap(descriptor, workers * _WORDS * 4)
        self._words = memoryview(self._map).cast("I")

    @classmethod
    def make(cls, workers: int) -> Board:
        """A new board of zeros, inherited by children that get its descriptor."""
        descriptor = os.memfd_create("relay-board", 0)
        os.ftruncate(descriptor, workers * _WORDS * 4)
        return cls(descriptor, workers)

    def beat(self, worker: int, monotonic: float) -> None:
        """The worker's event loop is alive."""
        self._words[worker * _WORDS + _BEAT] = max(1, int(monotonic * _BEATS_PER_S)) & 0xFFFFFFFF

    def last_beat(self, worker: int) -> float:
        """When, in monotonic seconds, the worker's last heartbeat was; 0 before the first."""
        return self._words[worker * _WORDS + _BEAT] / _BEATS_PER_S

    def clear(self, worker: int) -> None:
        """The worker is gone, and its connections with it."""
        start = worker * _WORDS
        self._words[start : start + _WORDS] = _ZEROS

    def connections(self) -> int:
        """Client connections over all workers."""
        return sum(self._words[w * _WORDS + _TOTAL] for w in range(self.workers))

    def close(self) -> None:
        """Give the mapping back."""
        self._words.release()
        self._map.close()
        os.close(self.descriptor)


class SharedTally:
    """One worker's view of the board that counts connections (ingress: Tally)."""

    def __init__(
        self,
        board: Board,
        worker: int,
        limit: int,
        limit_per_address: int,
        neighbourhood: Callable[[str], str],
    ) -> None:
        self.limit = limit
        self.limit_per_address = limit_per_address
        self._board = board
        self._worker = worker
        self._neighbourhood = neighbourhood

    def _bucket(self, address: str) -> int:
        return _FIRST + crc32(self._neighbourhood(address).encode()) % _BUCKETS

    def enter(self, address: str) -> bool:
        """Count a connection if there is room for it over all workers; say whether there was."""
        board, words, bucket = self._board, self._board._words, self._bucket(address)
        total = here = 0
        for start in range(0, board.workers * _WORDS, _WORDS):
            total += words[start + _TOTAL]
            here += words[start + bucket]
        if total >= self.limit or here >= self.limit_per_address:
            return False
        own = self._worker * _WORDS
        words[own + _TOTAL] += 1
        words[own + bucket] += 1
        return True

    def leave(self, address: str) -> None:
        """The connection has ended."""
        words, own = self._board._words, self._worker * _WORDS
        words[own + _TOTAL] -= 1
        words[own + self._bucket(address)] -= 1
