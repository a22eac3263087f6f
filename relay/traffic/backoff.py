"""When a recipient is tried again: decisions, no clock and no random inside.

The schedule is a list of delays, one after each attempt; the last one repeats. Jitter spreads a delay evenly
over plus and minus its share, so that mail deferred together does not come back together. The last attempt
is made when the message expires, not later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Delays in seconds after the first, second, ... attempt; jitter as a share of the delay (0 to 0.5)."""

    delays_s: Sequence[float]
    jitter: float = 0.1

    def due_at(self, now: float, attempts: int, expires_at: float, dice: float) -> float:
        """When to try again after ``attempts`` (1 or more) attempts; ``dice`` is uniform in [0, 1)."""
        delay = self.delays_s[min(attempts, len(self.delays_s)) - 1]
        delay *= 1 + self.jitter * (2 * dice - 1)
        return max(now, min(now + delay, expires_at))


@dataclass(frozen=True, slots=True)
class SiteBackoff:
    """How long a site that cannot be reached is left alone: doubling from ``first_s`` to ``longest_s``."""

    first_s: float = 30.0
    longest_s: float = 300.0

    def delay_s(self, failures: int, dice: float) -> float:
        """Seconds after the ``failures``-th failure in a row, spread by 10 % either way."""
        delay = min(self.first_s * 2.0 ** min(failures - 1, 30), self.longest_s)
        return delay * (0.9 + 0.2 * dice)
