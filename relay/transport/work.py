"""What the connections need from the rest of the relay: attempts to make, and ears for what became of them.

Contract: everything but ``content`` is called synchronously by a connection's task and must be short;
``take``, ``before_dot`` and ``finished`` are called once per message. Each attempt that ``take`` returned is
given to ``finished`` exactly once, with an outcome for each of its recipients. Exceptions from here are
logged and end nothing but the attempt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from relay.base.message import Attempt
from relay.base.outcome import Deferred, Outcome


class Work(Protocol):
    """Where attempts come from and go to (stages traffic and verdict)."""

    def take(self, site: str) -> Attempt | None:
        """The next attempt for a site, or None if none may go now."""
        ...

    async def content(self, attempt: Attempt) -> bytes | Path:
        """The content of a message that is not in memory."""
        ...

    def before_dot(self, attempt: Attempt) -> None:
        """Called right before the dot is sent: from here on the reply may get lost."""
        ...

    def finished(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """What became of each recipient, by number."""
        ...

    def site_failed(self, site: str, outcome: Deferred) -> None:
        """No host of the site takes a session."""
        ...

    def site_up(self, site: str) -> None:
        """A session is open where there was none."""
        ...
