"""What may leave on one lane now, first in first out, and what its control says.

While the site is down nothing is queued for it, so that its backlog lies on disk and not in memory.
"""

from __future__ import annotations

from collections import deque

from relay.base.message import Attempt
from relay.base.route import Route
from relay.traffic.site_control import SiteControl


class ReadyQueue:
    """The attempts that wait for a connection of one lane. ``is_called``: its return is in the calendar."""

    __slots__ = ("attempts", "control", "is_called", "route")

    def __init__(self, route: Route, control: SiteControl) -> None:
        self.route = route
        self.control = control
        self.attempts: deque[Attempt] = deque()
        self.is_called = False

    def empty(self) -> list[Attempt]:
        """Take out all that waits."""
        waiting = list(self.attempts)
        self.attempts.clear()
        return waiting
