"""Words about those who are parked: due, and waiting on disk until they may come in.

A *group* is what is parked in one shard for one domain and account; within it the lowest rank is next.
"""

from __future__ import annotations

from typing import NamedTuple

from relay.base.message import Message


class ParkedGroup(NamedTuple):
    """A group with rows, and the rank of its first."""

    domain: str
    account_id: int
    rank: float


class ParkedAsk(NamedTuple):
    """A wish for at most ``limit`` recipients of a group, from ``rank`` on."""

    domain: str
    account_id: int
    rank: float
    limit: int


class ParkedPage(NamedTuple):
    """What was found of a group: messages in order of rank, the last rank looked at, and whether that was the
    last row."""

    messages: list[Message]
    rank: float
    is_end: bool
