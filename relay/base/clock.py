"""Time, so that tests can move it.

``now()`` is wall-clock seconds since the epoch (for what is stored or shown); ``monotonic()`` never goes
back (for timeouts and rates). Nothing else in the relay asks the operating system for the time.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the stages need to know of time."""

    def now(self) -> float:
        """Wall-clock seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now(self) -> float:
        """Wall-clock seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
