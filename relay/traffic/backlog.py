"""What is parked on disk, as far as memory knows: which groups have rows, and from which place on.

A group is what is parked in one shard for one domain and account. Its rows may take several lanes (sources,
wishes for TLS), of which some are closed or full. So it is read from more than one place: from its ``cursor``
on, nothing is known of the rows; what lies *behind* the cursor was read, or parked with its lane known, and
waits for one lane each, from the first such place on. A lane that has room is served from its own first place
and one that is closed holds no other up.

A decision: no clock, no I/O. A group that is *ready* is looked at by the loader, which puts it aside again
(into the queues of the account on the lanes that have no room for it) and makes it ready when that changes.

Contract: every parked row is in a group, and not below its ``cursor``, the place ``asked`` or that of its
lane; or in memory. Each place only moves forward, but for rows that come anew. A group goes when nothing is
left of it.

Bound: one small object for each domain and account with parked mail, whatever their number of rows, and one
place for each lane that its rows wait for. After a crash it is read from disk.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.base.parked import END, FIRST, ParkedPage, Place

if TYPE_CHECKING:
    from relay.traffic.account_queue import AccountQueue


@dataclass(slots=True, eq=False)
class Group:
    """What memory knows of a group. Compared by identity."""

    backlog: Backlog
    domain: str
    account_id: int
    cursor: Place = END  # from here on it is not known which lanes the rows take
    behind: dict[AccountQueue, Place] = field(default_factory=dict)  # the first that waits for each lane
    asked: Place = END  # from which place a page is being read
    reads_for: AccountQueue | None = None  # the queue that the page is for; None: what is not known
    site: str = ""  # the lane of the domain's route, when it was last looked at
    is_ready: bool = False
    is_resting: bool = False  # until the next page of those that are not known may be read
    explore_at: float = 0.0  # when that is
    feeds: set[AccountQueue] = field(default_factory=set)  # all queues that took or refused rows of it
    promised_to: AccountQueue | None = None  # the queue with room for the page

    @property
    def low(self) -> Place:
        """No row on disk has a lower place."""
        return min(self.cursor, self.asked, *self.behind.values())

    @property
    def is_mixed(self) -> bool:
        """Its rows take more than one lane."""
        return len(self.feeds) > 1

    def ask(self) -> Place:
        """A page is read now, from this place on; what is noted meanwhile has its own."""
        if self.reads_for is None:
            self.asked, self.cursor = self.cursor, END
        else:
            self.asked = self.behind.pop(self.reads_for, END)
        return self.asked

    def answered(self, page: ParkedPage | None) -> None:
        """The page that was read, and whose rows are let in or left behind; None: it could not be."""
        on = self.asked if page is None else END if page.is_end else page.place
        self.asked = END
        if on < END:
            self.wait(self.reads_for, on)
        self.reads_for = None

    def wait(self, queue: AccountQueue | None, place: Place) -> None:
        """A row there waits for the queue; None: for any."""
        if queue is None:
            self.cursor = min(self.cursor, place)
        else:
            self.behind[queue] = min(self.behind.get(queue, END), place)

    def start_over(self) -> None:
        """What is known of lanes holds no more."""
        self.cursor = min(self.cursor, *self.behind.values()) if self.behind else self.cursor
        self.behind.clear()
        self.feeds.clear()

    @property
    def is_empty(self) -> bool:
        """Nothing is left on disk."""
        return self.low == END


class Backlog:
    """The groups of one shard. Owner: the scheduler, in the event loop."""

    __slots__ = ("groups", "ready")

    def __init__(self) -> None:
        self.groups: dict[tuple[str, int], Group] = {}
        self.ready: deque[Group] = deque()

    def note(self, domain: str, account_id: int, place: Place, queue: AccountQueue | None = None) -> None:
        """A row is on disk, and waits for room in the queue (None: its lane is not known). The group is
        looked at now, unless something is in the queue that calls it when it leaves."""
        group = self.groups.get((domain, account_id))
        if group is None:
            group = self.groups[domain, account_id] = Group(self, domain, account_id)
            self.make_ready(group)
        group.wait(queue, place)
        if queue is None:
            self.make_ready(group)
            return
        group.feeds.add(queue)
        queue.groups[group] = None
        if not queue.recipients:
            self.make_ready(group)

    def goes_before(self, domain: str, account_id: int, rank: float) -> Group | None:
        """The group, if something of it may be on disk that is to leave before this rank, or with it."""
        group = self.groups.get((domain, account_id))
        return group if group is not None and group.low[0] <= rank else None

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


def at_rank(rank: float) -> Place:
    """The first place of a rank."""
    return (rank, *FIRST[1:])
