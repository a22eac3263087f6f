"""What is parked on disk, as far as memory knows: which groups have rows, and from which rank on.

A group is what is parked in one shard for one domain and account. A decision: no clock, no I/O. ``note`` says
that rows were parked; a group that is *ready* is looked at by the loader, which puts it aside again (into
the queue of the account on the lane that has no room for it, say) and makes it ready when that changes.

Contract: every parked row is in a group whose ``low`` is not above its rank, or in memory. A group is read on
from its ``cursor``; rows that were read and not let in are *behind* it, and come again with the next pass, so
that a lane which is closed does not keep those on other lanes from being found. A group goes when a pass has
reached its end and left nothing behind.

Bound: one small object for each domain and account with parked mail, whatever their number of rows. After a
crash it is read from disk.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from relay.base.parked import ParkedPage

if TYPE_CHECKING:
    from relay.traffic.account_queue import AccountQueue


@dataclass(slots=True, eq=False)
class Group:
    """What memory knows of a group. Compared by identity."""

    backlog: Backlog
    domain: str
    account_id: int
    cursor: float  # the rank from which to read on
    behind: float = inf  # the lowest rank that was read and not let in
    asked: float = inf  # from which rank a page is being read
    is_ready: bool = False
    is_vain: bool = False  # the last pass let no one in; it rests, and holds no one up
    admitted: int = 0  # recipients let in since the present pass began
    waits_for: AccountQueue | None = None  # the queue that takes its rows, or refused a whole page of them
    refused_by: AccountQueue | None = None
    feeds: set[AccountQueue] = field(default_factory=set)  # all queues that took or refused rows of it

    @property
    def low(self) -> float:
        """No row on disk has a lower rank."""
        return min(self.cursor, self.behind, self.asked)

    def ask(self) -> float:
        """A page is read now, from this rank on; what is noted meanwhile lowers the cursor again."""
        if self.cursor == inf:  # the pass is over
            self.cursor, self.behind, self.admitted = self.behind, inf, 0
        self.asked, self.cursor = self.cursor, inf
        self.is_vain = False
        return self.asked

    def answered(self, page: ParkedPage | None) -> bool:
        """The page that was read (None: it could not be); whether the pass is over with rows left behind and
        none let in: then there is no use in reading on at once."""
        if page is None or not page.is_end:
            self.cursor = min(self.cursor, self.asked if page is None else page.rank)
            self.asked = inf
            return False
        self.asked = inf
        if self.cursor < inf:  # there is news
            return False
        self.is_vain = self.behind < inf and not self.admitted
        self.cursor, self.behind, self.admitted = self.behind, inf, 0
        return self.is_vain

    def from_behind(self) -> None:
        """Read on from the first that was left behind."""
        self.cursor, self.behind = min(self.cursor, self.behind), inf

    @property
    def is_empty(self) -> bool:
        """Nothing is left on disk."""
        return self.low == inf


class Backlog:
    """The groups of one shard. Owner: the scheduler, in the event loop."""

    __slots__ = ("groups", "ready")

    def __init__(self) -> None:
        self.groups: dict[tuple[str, int], Group] = {}
        self.ready: deque[Group] = deque()

    def note(self, domain: str, account_id: int, rank: float) -> None:
        """A row was parked, and is on disk."""
        group = self.groups.get((domain, account_id))
        if group is None:
            group = self.groups[domain, account_id] = Group(self, domain, account_id, rank)
            self.make_ready(group)
        else:
            group.cursor = min(group.cursor, rank)
            if group.is_vain:
                group.is_vain = False
                self.make_ready(group)

    def left_behind(self, domain: str, account_id: int, rank: float) -> None:
        """A row was read and not let in; it has stayed on disk."""
        group = self.groups.get((domain, account_id))
        if group is None:
            self.note(domain, account_id, rank)
        elif rank < group.behind:
            group.behind = rank

    def goes_before(self, domain: str, account_id: int, rank: float) -> bool:
        """Something of the group may be on disk that is to leave before this rank, or with it."""
        group = self.groups.get((domain, account_id))
        return group is not None and not group.is_vain and group.low <= rank

    def make_ready(self, group: Group) -> None:
        """Let the loader look at it."""
        if not group.is_ready:
            group.is_ready = True
            self.ready.append(group)

    def make_all_ready(self) -> None:
        """Let the loader look at all."""
        for group in self.groups.values():
            self.make_ready(group)

    def next_ready(self) -> Group | None:
        """The group to look at, which is ready no more; None if there is none."""
        while self.ready:
            group = self.ready.popleft()
            group.is_ready = False
            if self.groups.get((group.domain, group.account_id)) is group:
                return group
        return None

    def drop_if_empty(self, group: Group) -> bool:
        """Forget a group that has nothing on disk; say whether it is gone."""
        if group.is_empty:
            self.groups.pop((group.domain, group.account_id), None)
            return True
        return False
