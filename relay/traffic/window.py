"""The window: how much of the queue is in memory, and who may still come in.

Disk holds the queue; memory holds at most ``size`` recipients of it, and what no longer fits waits on disk,
parked. What one account may have waiting on one lane is a multiple of the room that is left: alone it gets
about two thirds of the window, and the more lanes and accounts have much, the less each of them gets. A
sixteenth is kept for accounts that have nothing waiting on their lane, and one for messages with a deadline.

``known`` are the loaded recipients, whose rows still look due or parked: they leave it only after their
outcome is on disk, else a scan in between would load them a second time and they would be delivered twice.
"""

from __future__ import annotations

_GREED = 3  # times the room that is left
_LEAST = 16  # recipients that an account may have waiting on a lane, if there is room for one


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

    def room(self, is_urgent: bool = False) -> int:
        """How many more may come in; those with a deadline have a reserve."""
        return self.size - self.held - (0 if is_urgent else self.size // 16)

    @property
    def least(self) -> int:
        """What an account may have on a lane, however little room there is."""
        return max(1, min(_LEAST, self.size // 64))

    def share(self, room: int) -> int:
        """How many recipients one account may have waiting on one lane while there is so much room."""
        if room <= 0:
            return 0
        shared = room - self.size // 16
        return max(self.least, _GREED * shared) if shared > 0 else 1
