"""How good an account's mail is: bounce rate, complaint rate, and what they mean. Decisions only.

Rates are of a *representative volume*, as SES has it (reputationdashboardmessages.md): of the newest mail, as
much as the account sends on an average day, days without mail aside, over its last four weeks; at least
``minimum_volume``. So a shop is judged by its day, a newsletter by its last issue, and whoever sends little
by the mail of weeks. Of that mail it counts how much has bounced hard or was complained about until now,
however late. Where an account has sent less than the minimum, what is missing counts as good: two bounces of
three mails say little, fifty of ninety do not. A single bounce or complaint never crosses a threshold.

Words of SES for the state of a rate: below ``warn`` it is healthy; from there on it is under review; from
``pause`` on, sending is paused where that is configured, and else the pause is pending: someone has to look.
A rate that has come down is almost healed, and healthy again once it has stayed below for the review period.
Each step up is told once; it is told again only after the rate has been healthy, so that one that swings
around its threshold does not write a mail a day.

A pause ends when somebody resumes the account; from then on it is judged by what it sends from then on
(``renewed``).

Pure; what is done about a ``Step`` the caller does (``relay.daemon.notifier.reputation_watch``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from relay.base.counts import DAY_S, Sent

_LOOK_BACK_S = 28 * DAY_S
_FEWEST = 2


class Status(StrEnum):
    """How a rate stands, and with it an account."""

    HEALTHY = "Healthy"
    ALMOST_HEALED = "Almost healed"
    UNDER_REVIEW = "Under review"
    PENDING = "Pending sending pause"
    PAUSED = "Sending paused"


_WEIGHT = {status: weight for weight, status in enumerate(Status)}


class Rate(StrEnum):
    """What is judged."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a rate is warned of, and mail is paused for it."""

    bounce_warn: float = 0.05
    bounce_pause: float = 0.10
    complaint_warn: float = 0.001
    complaint_pause: float = 0.005
    minimum_volume: int = 1000
    is_pausing: bool = False
    review_s: float = DAY_S

    def of(self, rate: Rate) -> tuple[float, float]:
        """Where that rate is warned of, and paused for."""
        if rate is Rate.BOUNCE:
            return self.bounce_warn, self.bounce_pause
        return self.complaint_warn, self.complaint_pause


@dataclass(frozen=True, slots=True)
class Volume:
    """The mail that stands for the rest."""

    mails: int = 0
    bounced: int = 0
    complained: int = 0
    least: int = 1  # as if there were so many, if there are fewer
    since: float = 0.0  # when the oldest of it was sent, to the quarter or the day

    def count(self, rate: Rate) -> int:
        """How many of it were bad."""
        return self.bounced if rate is Rate.BOUNCE else self.complained

    def rate(self, rate: Rate) -> float:
        """The share of it that was bad."""
        return min(1.0, self.count(rate) / max(self.mails, self.least, 1))


@dataclass(frozen=True, slots=True)
class Health:
    """How one rate stands."""

    status: Status = Status.HEALTHY
    told: Status = Status.HEALTHY  # the worst that was told since it was last healthy
    below_since: float = 0.0  # while almost healed


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands."""

    bounce: Health = Health()
    complaint: Health = Health()
    is_paused: bool = False  # whether its sending was paused, by whomever, when last seen

    @property
    def status(self) -> Status:
        """The worse of the two."""
        return max(self.bounce.status, self.complaint.status, key=_WEIGHT.__getitem__)


class Step(NamedTuple):
    """A rate got worse: the account's owner has to hear of it, and if it is paused, sending has to stop."""

    rate: Rate
    status: Status
    value: float
    threshold: float


def representative(newest_first: Sequence[Sent], minimum: int) -> Volume:
    """The volume that stands for an account's mail, out of what it has sent."""
    if not newest_first:
        return Volume(least=minimum)
    by_day: dict[int, int] = {}
    for one in newest_first:
        if one.start > newest_first[0].start - _LOOK_BACK_S:
            day = one.start // DAY_S
            by_day[day] = by_day.get(day, 0) + one.mails
    wanted = max(minimum, sum(by_day.values()) // len(by_day))
    mails = bounced = complained = 0
    since = newest_first[0].start
    for one in newest_first:
        if mails >= wanted:
            break
        mails += one.mails
        bounced += one.bounced
        complained += one.complained
        since = one.start
    return Volume(mails, bounced, complained, minimum, since)


def judged(standing: Standing, volume: Volume, limits: Thresholds, now: float) -> tuple[Standing, list[Step]]:
    """How the account stands now, and what is to be done about it."""
    steps: list[Step] = []
    bounce = _judge(standing.bounce, Rate.BOUNCE, volume, limits, now, steps)
    complaint = _judge(standing.complaint, Rate.COMPLAINT, volume, limits, now, steps)
    return replace(standing, bounce=bounce, complaint=complaint), steps


def renewed() -> Standing:
    """Of an account that was resumed: nothing is held against it."""
    return Standing()


def status_of(volume: Volume, rate: Rate, limits: Thresholds) -> Status:
    """What the rate alone says, without a history: of an identity, or a receiver domain."""
    warn, pause = limits.of(rate)
    value = volume.rate(rate)
    if value < warn or volume.count(rate) < _FEWEST:
        return Status.HEALTHY
    return Status.UNDER_REVIEW if value < pause else Status.PENDING


def _judge(
    health: Health, rate: Rate, volume: Volume, limits: Thresholds, now: float, steps: list[Step]
) -> Health:
    if health.status is Status.PAUSED:
        return health  # until it is resumed
    found = status_of(volume, rate, limits)
    if found is Status.HEALTHY:
        return _healing(health, limits, now)
    if found is Status.PENDING and limits.is_pausing:
        found = Status.PAUSED
    told = health.told
    if _WEIGHT[found] > _WEIGHT[told]:
        warn, pause = limits.of(rate)
        steps.append(Step(rate, found, volume.rate(rate), warn if found is Status.UNDER_REVIEW else pause))
        told = found
    return Health(found, told)


def _healing(health: Health, limits: Thresholds, now: float) -> Health:
    if health.status is Status.HEALTHY:
        return health
    if health.status is not Status.ALMOST_HEALED:
        return Health(Status.ALMOST_HEALED, health.told, now)
    if now - health.below_since >= limits.review_s:
        return Health()
    return replace(health, below_since=min(health.below_since, now))  # the clock may have been set back
