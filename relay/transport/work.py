"""What a connection needs of those around it: of the rest of the relay, of its site, of the pools.

Contract: ``Work`` gives attempts to make and has ears for what became of them. Everything in it but
``content`` is called synchronously by a connection's task and must be short; ``take``, ``before_dot`` and
``finished`` are called once per message. Each attempt that ``take`` returned is given to ``finished`` exactly
once, with an outcome for each of its recipients. Exceptions from ``Work`` are logged and end nothing but the
attempt.

``Site`` and ``Shared`` name the counts that a connection keeps true while it lives, and the few questions it
asks. They stand here so that ``connection`` knows neither ``site_pool`` nor ``pool``, which know it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from relay.base.clock import Clock
from relay.base.histogram import Histogram
from relay.base.message import Attempt
from relay.base.outcome import Deferred, Outcome
from relay.base.route import LaneLimits, Route
from relay.transport.connect import Connector
from relay.transport.places import Group, Places
from relay.transport.settings import PoolSettings


class Work(Protocol):
    """Where attempts come from and go to (stages traffic and verdict)."""

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a lane, or None if none may go now."""
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

    def site_failed(self, lane: str, outcome: Deferred) -> None:
        """No host of the site takes a session."""
        ...

    def crowded(self, lane: str, outcome: Deferred, open_: int) -> None:
        """The site refused a connection while ``open_`` of ours were open."""
        ...

    def site_up(self, lane: str) -> None:
        """A session is open where there was none."""
        ...


class Idler(Protocol):
    """A connection, as those see it who want it to work or to go."""

    def rouse(self) -> None:
        """There is work."""
        ...

    def leave(self) -> None:
        """Take leave if idle."""
        ...


class Site(Protocol):
    """The site of a connection (``site_pool.SitePool``)."""

    name: str  # of the lane
    route: Route
    limits: LaneLimits
    limit: int
    generation: int
    queued: int
    open: int
    opening: int
    roused: int
    idle: list[Idler]
    is_up: bool
    group: Group | None

    @property
    def held(self) -> int:
        """Places of the worker that this site takes."""
        ...

    @property
    def has_others_waiting(self) -> bool:
        """Lanes of its group wait for a connection."""
        ...

    def arrange(self) -> None:
        """Rouse, open or stand in line, as much as is needed."""
        ...

    def set_ceiling(self) -> None:
        """The site refuses more than it has."""
        ...

    def place_freed(self) -> None:
        """A connection of this site has gone; its place is free."""
        ...


class Shared(Protocol):
    """What all connections of a worker share (``pool.Pools``)."""

    work: Work
    settings: PoolSettings
    connector: Connector
    places: Places
    is_draining: bool
    open: int
    idle: int
    leaving: int
    opened_total: int
    closed_total: int
    failed_total: int
    reused_total: int
    clock: Clock
    carried: Histogram
    connect_seconds: Histogram
    tls_versions: dict[str, int]

    def must_yield(self, site: Site) -> bool:
        """A site must let one of its places go."""
        ...
