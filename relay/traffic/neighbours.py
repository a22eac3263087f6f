"""What the queue needs of those around it: the shard, the routes, the connections, the verdict.

Each is a small protocol; ``relay.daemon.worker.wiring`` brings the real objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from relay.base.errors import SpoolCorrupt
from relay.base.events import Change
from relay.base.message import Attempt, Message
from relay.base.outcome import Deferred, Failed, Outcome
from relay.base.parked import ParkedAsk, ParkedGroup, ParkedPage
from relay.base.route import ANY_SOURCE, LaneLimits, Route, Source


class Journal(Protocol):
    """Where dots are noted before they are sent."""

    def begin(self, key: int, numbers: list[int]) -> tuple[int, ...]: ...
    def clear(self, places: list[int] | tuple[int, ...]) -> None: ...


class Store(Protocol):
    """What the scheduler needs of a shard."""

    @property
    def journal(self) -> Journal: ...
    def commit(self, change: Change) -> asyncio.Future[None]: ...
    async def contents(self, messages: list[Message]) -> dict[int, bytes | Path | SpoolCorrupt]: ...
    async def due(
        self, before: float, limit: int, known: set[tuple[int, int]], since: float = 0.0
    ) -> list[Message]: ...
    async def parked_groups(self) -> list[ParkedGroup]: ...
    async def parked_pages(
        self, asks: Sequence[ParkedAsk], known: set[tuple[int, int]]
    ) -> list[ParkedPage]: ...
    async def parked_late(
        self, asks: Sequence[ParkedAsk], now: float, known: set[tuple[int, int]]
    ) -> list[Message]: ...
    async def set_aside(self, message: Message, damage: SpoolCorrupt) -> Change: ...


class Routes(Protocol):
    """Where a domain's mail goes."""

    def cached(self, domain: str) -> Route | None: ...
    async def find(self, domain: str) -> Route | Deferred | Failed: ...


class Connections(Protocol):
    """Who takes what is queued."""

    def wake(self, route: Route, queued: int) -> None:
        """So many attempts of the route's lane could be taken now."""
        ...

    def limit(self, lane: str, limits: LaneLimits | None) -> None:
        """What the lane may do from now on; None: it is no more."""
        ...


class Verdict(Protocol):
    """What outcomes mean. ``content`` is what is at hand of the message (None: nothing)."""

    def wants_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> bool: ...
    def judge(
        self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None
    ) -> Change: ...


def any_source(message: Message) -> Source:
    """The kernel chooses."""
    return ANY_SOURCE
