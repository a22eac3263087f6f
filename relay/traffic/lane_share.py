"""What a worker knows of its share of one lane, or of lanes that have one flow in common.

Words and sums, no clock: ``needs`` adds up what waits in its lanes and what they hold, ``apply`` tells their
control. Lanes that the scheduler has forgotten go once they hold nothing.

Not here: when to ask (``shared_limits``), how much there is (``shares``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from relay.base.outcome import Deferred
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_rule import SiteRule
from relay.traffic.slots import Slots

_LOOK_S = 0.5


class Needs(NamedTuple):
    """Attempts that wait, connections that are held, how many of those idle; lanes that are no more; of the
    connections those with a session."""

    queued: int
    held: int
    idle: int
    gone: list[str]
    open: int = 0


def name_of(queue: ReadyQueue) -> str:
    """Under which name a lane asks: that of its group, where its flow is shared."""
    return queue.control.limits.group or queue.route.lane


class LaneShare:
    """See the module. ``enough``: with more than this in a queue it asks at once; ``is_active``: something
    was queued since it was last looked at; ``told``: so many connections it last wanted. ``refused_at``: when
    the site refused a connection, until the ledger has said what that means; ``in_doubt``: the lanes that had
    no other, and how they were refused; nothing goes there before ``rest_until``."""

    __slots__ = (
        "_looked_at",
        "_was_active",
        "asked_at",
        "connections",
        "due_at",
        "enough",
        "in_doubt",
        "is_active",
        "is_crowded",
        "name",
        "queues",
        "refused_at",
        "rest_until",
        "rule",
        "slots",
        "told",
        "until",
    )

    def __init__(self, name: str, rule: SiteRule) -> None:
        self.name = name
        self.rule = rule
        self.queues: dict[str, ReadyQueue] = {}
        self.connections = 0
        self.until = 0.0
        self.asked_at = 0.0
        self.due_at = float("inf")
        self.enough = -1
        self.is_active = True
        self.told = 0
        self._was_active = True
        self._looked_at = 0.0
        self.slots = Slots()
        self.refused_at = self.rest_until = 0.0
        self.is_crowded = False
        self.in_doubt: dict[str, Deferred] = {}

    def take_in(self, queue: ReadyQueue) -> None:
        """A lane that has come into use, or has come back."""
        self.queues[queue.route.lane] = queue
        self.enough = -1
        self.rule = queue.control.rule
        queue.slots = self.slots if self.rule.rate_per_s else None

    def needs(
        self,
        now: float,
        held: Callable[[str], tuple[int, int, int]],
        find: Callable[[str], ReadyQueue | None],
    ) -> Needs:
        """Summed over the lanes. A site that is down wants nothing."""
        queued = in_use = idle = open_ = 0
        gone = []
        for lane, queue in self.queues.items():
            of_lane = held(lane)
            if not (queue.waiting or of_lane[0]) and find(lane) is not queue:
                gone.append(lane)
                continue
            if not queue.control.is_down(now):
                queued += queue.waiting
            in_use += of_lane[0]
            idle += of_lane[1]
            open_ += of_lane[2]
            self.rule = queue.control.rule
        for lane in gone:
            del self.queues[lane]
        return Needs(queued, in_use, idle, gone, open_)

    def wanted(self, needs: Needs, now: float) -> int:
        """How many connections it could use. While mail keeps coming, those that idle for a moment count too:
        else two busy workers would open and close them in turn."""
        wanted = needs.queued + needs.held - needs.idle
        if self.is_active or self._was_active:
            wanted = max(wanted, min(needs.held, self.told))
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            self._was_active, self.is_active = self.is_active, False
        self.told = min(wanted, self.rule.connections)
        return self.told

    def apply(self, connections: int, obey: Callable[[ReadyQueue], None]) -> None:
        """So many connections may be used from now on."""
        self.connections = connections
        for queue in self.queues.values():
            queue.control.share(connections, None)
            queue.slots = self.slots if self.rule.rate_per_s else None
            obey(queue)

    @property
    def queued(self) -> int:
        """Attempts that wait, whether they may go or not."""
        return sum(queue.waiting for queue in self.queues.values())
