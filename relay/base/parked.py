"""Words about those who are parked: due, and waiting on disk until they may come in.

A *group* is what is parked in one shard for one domain and account; within it the lowest *place* is next:
rank, message key, recipient number. No two rows have the same place, however many have the same rank.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from relay.base.message import Message

Place = tuple[float, int, int]

FIRST: Place = (-inf, 0, 0)
END: Place = (inf, 0, 0)


class ParkedGroup(NamedTuple):
    """A group with rows, and the rank of its first."""

    domain: str
    account_id: int
    rank: float


class ParkedAsk(NamedTuple):
    """A wish for at most ``limit`` recipients of a group, from a place on."""

    domain: str
    account_id: int
    place: Place
    limit: int


class ParkedPage(NamedTuple):
    """What was found of a group: messages in the order of their places, from where to read on, and whether
    that was all."""

    messages: list[Message]
    place: Place
    is_end: bool
