"""How many connections a lane may have: feedback as in the scheduler of Postfix 2.5 and later.

Contract: a decision; ``now`` is monotonic seconds. ``window`` starts at 5 and moves between 1 and
``ceiling``. Each success adds 1/window to a credit, each failure adds 1/window to a debt, and only a whole
credit or debt moves the window by one: one failure among many successes changes nothing (hysteresis), a
window full of failures costs one connection. A success ends the row of failures; when three windows full
fail in a row (``is_dead``) the site is to be left alone.

A receiver that refuses one more connection has named its cap: the window becomes what was open, and one more
is tried only after 10 minutes, then after twice as long, up to two hours.

Cost: 0.1 microseconds for a success.

Not here: rate (``pace``), sites that cannot be reached at all (``breaker``).
"""

from __future__ import annotations

START = 5
_DEAD_COHORTS = 3.0
_CAP_S = 600.0
_LONGEST_CAP_S = 7200.0


class Concurrency:
    """The window of one lane, or of lanes that share a receiver."""

    __slots__ = ("_cap_s", "_cap_until", "_cohorts", "_credit", "_debt", "ceiling", "crowded", "window")

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling  # of the rule and this worker's share; may be 0
        self.window = max(1, min(START, ceiling))
        self.crowded = 0  # connections refused as one too many
        self._credit = self._debt = self._cohorts = 0.0
        self._cap_s = 0.0
        self._cap_until = 0.0  # no growth before: the receiver named a cap

    @property
    def limit(self) -> int:
        """Connections, now."""
        return min(self.window, self.ceiling)

    @property
    def is_dead(self) -> bool:
        """Cohort after cohort has failed, and nothing else was heard."""
        return self._cohorts >= _DEAD_COHORTS

    def success(self, now: float) -> bool:
        """A message went through; True if the window has grown."""
        self._cohorts = 0.0
        window = self.window
        if window >= self.ceiling:
            return False
        self._credit += 1.0 / window
        if self._credit < 1.0 - 1e-9:
            return False
        self._credit = 0.0
        if now < self._cap_until:
            return False
        self.window = window + 1
        return True

    def answered(self) -> None:
        """The receiver works, though it refused; no growth."""
        self._cohorts = 0.0

    def failure(self) -> None:
        """A dialogue broke, or the receiver is in trouble."""
        share = 1.0 / self.window
        self._cohorts += share
        self._credit = 0.0
        self._debt += share
        if self._debt >= 1.0 - 1e-9:
            self._debt = 0.0
            self.window = max(1, min(self.window, self.ceiling) - 1)

    def give_way(self) -> None:
        """A message went through more slowly than is usual. Not below the number it starts with: large
        messages take long, too."""
        self._cohorts = self._credit = 0.0
        if self.window > START:
            self._debt += 1.0 / self.window
            if self._debt >= 1.0 - 1e-9:
                self._debt = 0.0
                self.window -= 1

    def cap(self, now: float, open_: int) -> None:
        """One more than ``open_`` was refused."""
        self.crowded += 1
        if now < self._cap_until and open_ >= self.window:
            return
        self._cap_s = min(max(_CAP_S, 2 * self._cap_s), _LONGEST_CAP_S)
        self._cap_until = now + self._cap_s
        self.window = max(1, min(open_, self.window))
        self._credit = 0.0

    def restart(self) -> None:
        """After a time of being dead: begin with one connection."""
        self.window = 1
        self._credit = self._debt = self._cohorts = 0.0

    def capped_for_s(self, now: float) -> float:
        """Seconds until one more than the receiver's cap is tried; 0: it has named none of late."""
        return max(0.0, self._cap_until - now)
