"""What one lane may do now: how many connections, when the next message, whether the site is left alone.

A decision: no clock, no random, no log; ``now`` is monotonic seconds. The scheduler tells it what happened
(``took``, ``heard``, ``reached``, ``unreachable``) and asks (``limits``, ``wait_s``, ``is_down``).

A site that cannot be reached is *down* until ``retry_at``; meanwhile nothing is handed out for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from relay.base.outcome import Deferred, Outcome
from relay.base.route import LaneLimits
from relay.traffic.backoff import SiteBackoff
from relay.traffic.site_rule import SiteRule


class SiteControl:
    """The state of one lane's feedback."""

    __slots__ = ("_backoff", "failures", "limits", "retry_at", "rule")

    def __init__(self, rule: SiteRule, backoff: SiteBackoff) -> None:
        self.rule = rule
        self.limits = LaneLimits(rule.connections, rule.messages_per_connection)
        self.failures = 0  # connections that failed in a row
        self.retry_at = 0.0  # monotonic seconds
        self._backoff = backoff

    def share(self, connections: int | None, rate_per_s: float | None) -> None:
        """The part of the rule's numbers that this worker may use now; None for all of them."""
        most = self.rule.connections if connections is None else min(connections, self.rule.connections)
        if most != self.limits.connections:
            self.limits = LaneLimits(most, self.rule.messages_per_connection)

    def is_down(self, now: float) -> bool:
        """The site failed a moment ago and is left alone."""
        return now < self.retry_at

    def wait_s(self, now: float) -> float:
        """Seconds until the next message may be handed out; 0 for now."""
        return 0.0

    def took(self, now: float, recipients: int) -> None:
        """A message for so many recipients was handed out."""

    def heard(self, now: float, outcomes: Iterable[Outcome], took_s: float) -> None:
        """What became of an attempt, and how many seconds the dialogue took (0: there was none)."""

    def unreachable(self, now: float, outcome: Deferred, dice: float) -> None:
        """No host of the site could be reached; ``dice`` is uniform in [0, 1) and spreads the return."""
        self.failures += 1
        self.retry_at = now + self._backoff.delay_s(self.failures, dice)

    def reached(self, now: float) -> None:
        """The site answered, or the operator wants it tried at once."""
        self.failures = 0
        self.retry_at = 0.0
