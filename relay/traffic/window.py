"""The window: how much of the queue is in memory, and what comes in next.

Disk holds the queue; memory holds at most ``size`` recipients of it. Fresh messages enter as they arrive
while there is room; the rest, and all that wait for a retry, are loaded when they are due and there is room.
``known`` are the loaded recipients, whose rows still look due: they leave it only after their outcome is on
disk, else a scan in between would load them a second time and they would be delivered twice.
"""

from __future__ import annotations


class Window:
    """Counts what is in memory. Owner: the scheduler, in the event loop."""

    __slots__ = ("fresh", "known", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.fresh = 0  # recipients that came in directly
        self.known: dict[int, set[tuple[int, int]]] = {}  # by shard: (message key, recipient number)

    @property
    def held(self) -> int:
        """Recipients in memory."""
        return self.fresh + sum(map(len, self.known.values()))

    @property
    def has_room(self) -> bool:
        """A fresh message may come in directly."""
        return self.held < self.size

    @property
    def wants(self) -> int:
        """How many recipients to load now: 0 until half of the window is empty, so that each scan of the
        disk brings many."""
        room = self.size - self.held
        return room if room >= self.size // 2 else 0
