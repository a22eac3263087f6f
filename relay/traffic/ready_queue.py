"""What may leave to one site now, first in first out, and whether the site can be reached.

A site that could not be reached is *down* until ``retry_at``; meanwhile nothing is queued for it, so that
its backlog lies on disk and not in memory.
"""

from __future__ import annotations

from collections import deque

from relay.base.message import Attempt
from relay.base.route import Route
from relay.traffic.backoff import SiteBackoff


class ReadyQueue:
    """The attempts that wait for a connection to one site."""

    __slots__ = ("attempts", "failures", "retry_at", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.attempts: deque[Attempt] = deque()
        self.failures = 0  # connections that failed in a row
        self.retry_at = 0.0  # monotonic seconds

    def is_down(self, now: float) -> bool:
        """The site failed a moment ago and is left alone."""
        return now < self.retry_at

    def failed(self, now: float, backoff: SiteBackoff, dice: float) -> list[Attempt]:
        """The site cannot be reached: leave it alone for a while; returns what had waited for it."""
        self.failures += 1
        self.retry_at = now + backoff.delay_s(self.failures, dice)
        waiting = list(self.attempts)
        self.attempts.clear()
        return waiting

    def reached(self) -> None:
        """The site answered."""
        self.failures = 0
        self.retry_at = 0.0
