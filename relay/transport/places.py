"""How many connections: the decisions of the pools, without the connections.

Contract, pure and synchronous. ``plan`` looks at one site (how much waits, how many connections are idle,
open, on their way) and says how many to wake, how many to open, and whether to stand in line for a place.
``Places`` counts all connections of the worker, keeps the line of waiting sites in the order of their
waiting, and says when a site that holds more than its share must let one go.

- An idle connection is used before a new one is opened.
- A site that is not known to be up gets one connection at a time: twenty connects to a dead host teach no
  more than one, and cost twenty timeouts.
- A site's own ceiling (it refused the eleventh connection) stands beside ours until it expires.

Cost: ``plan`` runs only when a site is below its limit; busy sites are sorted out before (``pool.wake``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for a site now."""

    wake: int = 0
    open: int = 0
    wait: bool = False


def plan(*, queued: int, idle: int, open_: int, opening: int, limit: int, free: int, is_up: bool) -> Plan:
    """Decide for one site.

    ``queued`` attempts could be taken now; of ``open_`` connections ``idle`` do nothing; ``opening`` are on
    their way; ``limit`` is for the site, ``free`` places are left in all.
    """
    wake = min(queued, idle)
    most = limit if is_up else min(limit, 1)
    wanted = min(queued - wake - opening, most - open_ - opening)
    if wanted <= 0:
        return Plan(wake)
    may_open = max(0, min(wanted, free))
    return Plan(wake, may_open, may_open < wanted)


class Places:
    """All connections of a worker, counted."""

    __slots__ = ("_line", "limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._line: dict[str, None] = {}  # sites that wait, in order

    @property
    def free(self) -> int:
        """Places left."""
        return self.limit - self.taken

    @property
    def has_line(self) -> bool:
        """Some site waits for a place."""
        return bool(self._line)

    @property
    def waiting(self) -> int:
        """Sites in the line."""
        return len(self._line)

    def take(self) -> None:
        """Count a connection that is about to be opened."""
        assert self.taken < self.limit, "more connections than places"
        self.taken += 1

    def give(self) -> None:
        """Count a connection that has gone."""
        self.taken -= 1
        assert self.taken >= 0, "more connections gone than came"

    def is_waiting(self, site: str) -> bool:
        """The site is in the line."""
        return site in self._line

    def stand_in_line(self, site: str) -> None:
        """Wait for a place; a site that waits already keeps its turn."""
        self._line.setdefault(site)

    def next_in_line(self) -> str | None:
        """Who gets the free place; out of the line with that. None if there is no place or no one waits."""
        if self.taken >= self.limit or not self._line:
            return None
        site = next(iter(self._line))
        del self._line[site]
        return site

    def must_yield(self, held: int, sites: int) -> bool:
        """Others wait and a site that holds ``held`` of the places has more than its even share of them."""
        return bool(self._line) and held > max(1, self.limit // max(1, sites))


class Group(Places):
    """The connections of lanes that have their number in common."""

    __slots__ = ("lanes",)

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.lanes = 0  # with connections, or waiting for one

    def wants_back(self, held: int) -> bool:
        """A lane that holds ``held`` of them must let one go: there are too many, or others wait."""
        share = max(1, self.limit // max(1, self.lanes))
        return (bool(self._line) or self.taken > self.limit) and held > share
