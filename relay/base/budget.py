"""A bound on bytes held in memory: everything that can grow takes from one and gives back.

Cost on the hot path: one comparison and one addition. It never waits: a caller that gets no room answers
452 4.3.1, or leaves the content on disk.
"""

from __future__ import annotations


class Budget:
    """Bytes that may be held at once. Owner of the one mutable number is the event loop's thread."""

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def take(self, size_bytes: int) -> bool:
        """Take ``size_bytes`` if there is room; say whether there was."""
        if self.used_bytes + size_bytes > self.limit_bytes:
            return False
        self.used_bytes += size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self.used_bytes -= size_bytes
        assert self.used_bytes >= 0, "more bytes given back than were taken"
