"""What one lane may do now: how many connections, when the next message, whether the site is left alone.

A decision: no clock, no random, no log; ``now`` is monotonic seconds. The scheduler tells it what happened
(``took``, ``heard``, ``crowded``, ``reached``, ``unreachable``) and asks (``limits``, ``wait_s``,
``is_down``); whoever shares out the rule's numbers among the workers tells it this worker's part
(``share``).

A site that cannot be reached, or that drops dialogue after dialogue, is *down* until ``retry_at``; meanwhile
nothing is handed out for it. Then one connection tries, and growth begins anew.

Memory: 1 KB a lane, its ready queue included.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from relay.base.outcome import Deferred, Outcome
from relay.base.route import LaneLimits
from relay.traffic.backoff import SiteBackoff
from relay.traffic.breaker import Breaker
from relay.traffic.feedback import Feedback, is_crowded
from relay.traffic.flow import Flow
from relay.traffic.site_rule import SiteRule

_KEEP_S = 600.0  # a site that was down of late is known for so long
_EVEN = 0.5  # the dice where no one throws: what a dialogue took has spread the moment already


class SiteControl:
    """The state of one lane's feedback: a breaker of its own, and a flow that other lanes may share."""

    __slots__ = ("_breaker", "flow")

    def __init__(self, rule: SiteRule, backoff: SiteBackoff, flow: Flow | None = None) -> None:
        self.flow = Flow(rule) if flow is None else flow
        self._breaker = Breaker(backoff)

    @property
    def rule(self) -> SiteRule:
        """What bounds the lane, over all workers."""
        return self.flow.rule

    @property
    def limits(self) -> LaneLimits:
        """What this worker may do on the lane now; another object whenever it has changed."""
        return self.flow.limits

    @property
    def failures(self) -> int:
        """In a row."""
        return self._breaker.failures

    @property
    def retry_at(self) -> float:
        """Until when the site is left alone, monotonic seconds; 0 if it is not."""
        return self._breaker.retry_at

    def share(self, connections: int | None, rate_per_s: float | None) -> None:
        """The part of the rule's numbers that this worker may use now; None for all of them."""
        self.flow.share(connections, rate_per_s)

    def is_down(self, now: float) -> bool:
        """The site failed a moment ago and is left alone."""
        return now < self._breaker.retry_at

    def is_worth_keeping(self, now: float) -> bool:
        """It knows something that a new one would have to find out."""
        return self._breaker.retry_at > now - _KEEP_S or self.flow.has_learned(now)

    def wait_s(self, now: float) -> float:
        """Seconds until the next message may be handed out; 0 for now."""
        return self.flow.pace.wait_s(now)

    def allowed(self, now: float, most: int) -> int:
        """How many messages could be handed out at once now, up to ``most``."""
        return self.flow.pace.allowed(now, most)

    def took(self, now: float, recipients: int) -> None:
        """A message for so many recipients was handed out."""
        self.flow.pace.took(now)

    def heard(self, now: float, outcomes: Collection[Outcome], took_s: float) -> None:
        """What became of an attempt, and how many seconds the dialogue took. The site may be down after it:
        too many dialogues broke in a row."""
        kind = self.flow.heard(now, outcomes, took_s)
        if kind is not Feedback.FAILED:
            if self._breaker.failures:
                self._breaker.close()
        elif self.flow.concurrency.is_dead:
            self._fail(now, "dialogue after dialogue broke off", _EVEN)

    def crowded(self, now: float, outcome: Deferred, open_: int) -> None:
        """The site refused a connection while ``open_`` of ours were open."""
        self.flow.refused(now, outcome, open_)

    def turned_away(self) -> None:
        """The same, where the ledger says what becomes of it: counted for people."""
        self.flow.concurrency.crowded += 1

    def unreachable(self, now: float, outcome: Deferred, dice: float) -> None:
        """No host of the site could be reached; ``dice`` is uniform in [0, 1) and spreads the return."""
        said = str(outcome.reply) if outcome.reply is not None else outcome.detail
        if is_crowded(outcome):  # it works, for others, or for another worker: no reason to wait ever longer
            self._breaker.close()
        self._fail(now, f"{outcome.reason.value}: {said}", dice)

    def reached(self, now: float) -> None:
        """The site opened a session."""
        self._breaker.greeted()

    def forgive(self, now: float) -> None:
        """The operator wants it tried at once."""
        self._breaker.close()

    def _fail(self, now: float, why: str, dice: float) -> None:
        self._breaker.fail(now, why, dice)
        if not self.flow.rule.is_rollup:  # else the other sites still take mail
            self.flow.restart()

    def is_paced(self, now: float) -> bool:
        """It gets mail at a rate, found or set."""
        return bool(self.flow.pace.rate(now))

    def state(self, now: float) -> str:
        """One word: ``open``, ``paced`` (a rate was found or set), ``pausing`` (throttled a moment ago),
        ``probing`` (was down, not yet answered), ``down``."""
        breaker, pace = self._breaker, self.flow.pace
        if breaker.failures:  # in a scrape for each lane: plain slots
            return "down" if now < breaker.retry_at else "probing"
        if pace.is_pausing:
            return "pausing"
        return "paced" if pace.rate(now) else "open"

    def describe(self, now: float) -> dict[str, Any]:
        """For people and programs: state, numbers, and in ``why`` what binds."""
        flow = self.flow
        concurrency, pace, latency = flow.concurrency, flow.pace, flow.latency
        return {
            "state": self.state(now),
            "why": self._why(now),
            "rule": flow.rule.name or "default",
            "group": flow.group,
            "connections": flow.limits.connections,
            "connections_rule": flow.rule.connections,
            "connections_share": concurrency.ceiling,
            "messages_per_connection": flow.rule.messages_per_connection,
            "rate_per_s": round(pace.rate(now), 4) or None,
            "rate_rule_per_s": flow.rule.rate_per_s or None,
            "wait_s": round(self.wait_s(now), 3),
            "retry_in_s": round(max(0.0, self.retry_at - now), 1),
            "failures": self.failures,
            "throttled": pace.refused,
            "crowded": concurrency.crowded,
            "refused_by_policy": flow.refused_by_policy,
            "reply_s": round(latency.late_s, 3),
            "reply_usual_s": round(latency.usual_s, 3),
        }

    def _why(self, now: float) -> str:
        flow = self.flow
        pace, concurrency = flow.pace, flow.concurrency
        if self.is_down(now) or self._breaker.is_probing:
            return self._breaker.why
        if pace.is_pausing:
            return "the receiver asked for less mail; one message is tried after the pause"
        if pace.rate(now):
            is_ruled = pace.rate(now) == pace.bound
            return "rate of the rule" if is_ruled else "rate found after the receiver asked for less mail"
        if concurrency.ceiling < 1:
            if concurrency.crowded:
                return "the receiver refused more connections, and other workers use those that it takes"
            return "other workers use all connections of the rule"
        if concurrency.capped_for_s(now):
            return "the receiver refused more connections"
        if flow.latency.is_strained:
            return "replies take longer than usual"
        return ""
