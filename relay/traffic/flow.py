"""How fast mail goes to one receiver from one source: connections, rate and reply time, joined.

Contract: a decision; ``now`` is monotonic seconds. ``heard`` feeds each loop with what concerns it:

===========  ==================================================================================
success      the window may grow, or gives way where replies get slower; the pace counts it
throttled    the pace pauses, measures and goes on slower; the window stays
crowded      the window becomes what was open, and stays there for a time
failed       the window may shrink; where a pace is known it begins again a step below
policy       nothing: what one account sends must not slow the others; counted
neutral      nothing: the receiver works
===========  ==================================================================================

``share`` says which part of the rule's numbers is this worker's. One flow may serve several lanes: those of
a rule with ``rollup``, whose sites differ in name only.

Cost on the hot path, for a success: 1.7 microseconds in all.

Not here: sites that cannot be reached (``site_control``).
"""

from __future__ import annotations

from collections.abc import Collection

from relay.base.outcome import Deferred, Outcome
from relay.base.route import LaneLimits
from relay.traffic.concurrency import Concurrency
from relay.traffic.feedback import Feedback, read, read_opening
from relay.traffic.latency import Latency
from relay.traffic.pace import Pace
from relay.traffic.site_rule import SiteRule


class Flow:
    """The loops of one receiver."""

    __slots__ = (
        "__weakref__",
        "_shared",
        "concurrency",
        "group",
        "latency",
        "limits",
        "pace",
        "refused_by_policy",
        "rule",
    )

    def __init__(self, rule: SiteRule, group: str = "") -> None:
        """``group``: the name under which its lanes share it."""
        self.rule = rule
        self.group = group
        self.concurrency = Concurrency(rule.connections)
        self.pace = Pace(rule.rate_per_s)
        self.latency = Latency()
        self.refused_by_policy = 0
        self._shared: tuple[int | None, float | None] = (None, None)
        self.limits = LaneLimits(self.concurrency.limit, rule.messages_per_connection, group)

    def obey(self, rule: SiteRule) -> None:
        """Another rule; what was found out stays, within its bounds."""
        self.rule = rule
        self.share(*self._shared)

    def share(self, connections: int | None, rate_per_s: float | None) -> None:
        """The part of the rule's numbers that this worker may use now; None for all of them."""
        rule = self.rule
        self._shared = (connections, rate_per_s)
        self.concurrency.ceiling = (
            rule.connections if connections is None else min(connections, rule.connections)
        )
        if rate_per_s is None:
            self.pace.bound = rule.rate_per_s
        else:
            self.pace.bound = min(rate_per_s, rule.rate_per_s) if rule.rate_per_s else rate_per_s
        self._renew()

    def heard(self, now: float, outcomes: Collection[Outcome], took_s: float) -> Feedback:
        """What became of an attempt whose dialogue took so long."""
        kind = read(outcomes)
        if kind is Feedback.SUCCESS:
            self.pace.answered(now, took_s)
            if self.latency.heard(now, took_s) and self.latency.is_strained:
                self._strained(now)
            elif not self.concurrency.success(now):
                return kind
        elif kind is Feedback.THROTTLED:
            self.pace.throttled(now, took_s)
            self.concurrency.answered()
        elif kind is Feedback.CROWDED:
            self.concurrency.cap(now, self.concurrency.limit - 1)
        elif kind is Feedback.FAILED:
            self.concurrency.failure()
            self.pace.ease(now)
        else:
            self.refused_by_policy += kind is Feedback.POLICY
            self.pace.answered(now, took_s)
            self.concurrency.answered()
        self._renew()
        return kind

    def refused(self, now: float, outcome: Deferred, open_: int) -> None:
        """One more connection than the ``open_`` ones was refused."""
        if read_opening(outcome) is Feedback.THROTTLED:
            self.pace.throttled(now, 0.0)
        else:
            self.concurrency.cap(now, open_)
        self._renew()

    def has_learned(self, now: float) -> bool:
        """A rate or a number of connections that the receiver made known of late."""
        return self.pace.is_learned(now) or self.concurrency.capped_for_s(now) > 0.0

    def restart(self) -> None:
        """The site was down: begin with one connection."""
        self.concurrency.restart()
        self._renew()

    def _strained(self, now: float) -> None:
        """It takes what we send, more slowly than usual: no growth but giving way, step by step."""
        self.concurrency.give_way()
        if self.latency.is_overloaded:
            self.pace.ease(now)

    def _renew(self) -> None:
        limit = self.concurrency.limit
        limits = self.limits
        if limit != limits.connections or self.rule.messages_per_connection != limits.messages_per_connection:
            self.limits = LaneLimits(limit, self.rule.messages_per_connection, self.group)
