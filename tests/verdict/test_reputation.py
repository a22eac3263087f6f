"""Rates, thresholds and states, as tables."""

import pytest

from relay.base.counts import Sent
from relay.verdict.reputation import (
    Health,
    Rate,
    Standing,
    Status,
    Step,
    Thresholds,
    Volume,
    judged,
    representative,
    status_of,
)

DAY = 86_400
TODAY = 20_833 * DAY
NOW = float(TODAY)
LIMITS = Thresholds()
PAUSING = Thresholds(is_pausing=True)


def days(*mails: int, bounced: int = 0) -> list[Sent]:
    """So much mail today, yesterday, ..."""
    return [Sent(TODAY - n * DAY, count, bounced, 0) for n, count in enumerate(mails) if count]


@pytest.mark.parametrize(
    ("sent", "mails", "oldest_day"),
    [
        ([], 0, None),
        (days(40), 40, 0),
        (days(*[20] * 100), 1000, 49),  # who sends little is judged by the mail of weeks
        (days(*[5000] * 30), 5000, 0),  # a shop by its day
        (days(0, 0, 80_000, *[0] * 6, 80_000, *[0] * 6, 80_000), 80_000, 2),  # a newsletter by its last issue
        (days(100, *[10_000] * 27), 10_100, 1),  # a day that has just begun does not stand for the rest alone
        (days(500, *[0] * 40, *[9000] * 10), 9500, 41),  # nothing for weeks: what it sends now is typical
    ],
)
def test_how_much_mail_stands_for_the_rest(sent: list[Sent], mails: int, oldest_day: int | None) -> None:
    found = representative(sent, 1000)
    assert (found.mails, found.since) == (mails, 0.0 if oldest_day is None else TODAY - oldest_day * DAY)


def test_the_newest_mail_counts_whatever_came_before() -> None:
    sent = [Sent(TODAY + 900, 2000, 0, 0), Sent(TODAY, 2000, 2000, 9)]
    assert representative(sent, 1000).bounced == 2000  # the same day
    sent = [Sent(TODAY, 2000, 0, 0), Sent(TODAY - DAY, 2000, 2000, 9)]
    assert representative(sent, 1000) == Volume(2000, 0, 0, 1000, TODAY)


@pytest.mark.parametrize(
    ("mails", "bounced", "rate", "status"),
    [
        (0, 0, 0.0, Status.HEALTHY),
        (1000, 49, 0.049, Status.HEALTHY),
        (1000, 50, 0.05, Status.UNDER_REVIEW),  # "5% or greater"
        (1000, 99, 0.099, Status.UNDER_REVIEW),
        (1000, 100, 0.1, Status.PENDING),
        (100_000, 4_999, 0.04999, Status.HEALTHY),
        (3, 3, 0.003, Status.HEALTHY),  # so little says nothing
        (90, 50, 0.05, Status.UNDER_REVIEW),  # and this does
        (900, 900, 0.9, Status.PENDING),
        (0, 60, 0.06, Status.UNDER_REVIEW),
        (1000, 2000, 1.0, Status.PENDING),  # never above all
    ],
)
def test_bounce_rates(mails: int, bounced: int, rate: float, status: Status) -> None:
    volume = Volume(mails, bounced, 0, 1000)
    assert volume.rate(Rate.BOUNCE) == pytest.approx(rate)
    assert status_of(volume, Rate.BOUNCE, LIMITS) is status
    assert status_of(volume, Rate.COMPLAINT, LIMITS) is Status.HEALTHY


@pytest.mark.parametrize(
    ("mails", "complained", "status"),
    [
        (1000, 1, Status.HEALTHY),  # 0.1 %, but one alone is nothing
        (2000, 2, Status.UNDER_REVIEW),
        (10_000, 9, Status.HEALTHY),
        (10_000, 10, Status.UNDER_REVIEW),
        (10_000, 49, Status.UNDER_REVIEW),
        (10_000, 50, Status.PENDING),
    ],
)
def test_complaint_rates(mails: int, complained: int, status: Status) -> None:
    assert status_of(Volume(mails, 0, complained, 1000), Rate.COMPLAINT, LIMITS) is status


def life(rates: list[float], limits: Thresholds, hours: float = 1.0) -> list[tuple[Status, list[Status]]]:
    """An account whose bounce rate takes these values, hour by hour: its states, and what was told."""
    standing, found = Standing(), []
    for n, rate in enumerate(rates):
        volume = Volume(10_000, round(10_000 * rate), 0, 1000)
        standing, steps = judged(standing, volume, limits, NOW + n * hours * 3600)
        found.append((standing.status, [step.status for step in steps]))
    return found


REVIEW, PENDING, PAUSED, ALMOST, HEALTHY = (
    Status.UNDER_REVIEW,
    Status.PENDING,
    Status.PAUSED,
    Status.ALMOST_HEALED,
    Status.HEALTHY,
)


def test_up_and_down_again() -> None:
    assert life([0.01, 0.06, 0.07, 0.11, 0.06, 0.04], LIMITS) == [
        (HEALTHY, []),
        (REVIEW, [REVIEW]),
        (REVIEW, []),
        (PENDING, [PENDING]),
        (REVIEW, []),
        (ALMOST, []),
    ]


def test_one_that_swings_is_told_once() -> None:
    told = life([0.049, 0.051] * 20 + [0.09, 0.11] * 20, LIMITS)
    assert [status for _, steps in told for status in steps] == [REVIEW, PENDING]


def test_healed_after_the_review_and_told_anew_after_that() -> None:
    found = life([0.06, *[0.04] * 25, 0.06], LIMITS)
    assert [status for status, _ in found] == [REVIEW, *[ALMOST] * 24, HEALTHY, REVIEW]
    assert found[-1][1] == [REVIEW]


def test_it_heals_from_anew_when_it_was_up_in_between() -> None:
    states = [status for status, _ in life([0.06, *[0.04] * 20, 0.06, *[0.04] * 24, 0.04], LIMITS)]
    assert states.index(HEALTHY) == 46
    assert states.count(HEALTHY) == 1


def test_a_pause_stays_until_somebody_ends_it() -> None:
    assert life([0.2, 0.0, 0.0, *[0.0] * 40], PAUSING)[0] == (PAUSED, [PAUSED])
    assert {status for status, _ in life([0.2, *[0.0] * 40], PAUSING)} == {PAUSED}


def test_pausing_configured_while_a_pause_was_pending() -> None:
    volume = Volume(10_000, 2000, 0, 1000)
    standing, _ = judged(Standing(), volume, LIMITS, NOW)
    standing, steps = judged(standing, volume, PAUSING, NOW)
    assert steps == [Step(Rate.BOUNCE, PAUSED, 0.2, 0.1)]
    assert standing.status is PAUSED


def test_both_rates_are_told_each_with_its_own_threshold() -> None:
    standing, steps = judged(Standing(), Volume(10_000, 600, 60, 1000), LIMITS, NOW)
    assert steps == [
        Step(Rate.BOUNCE, REVIEW, 0.06, 0.05),
        Step(Rate.COMPLAINT, PENDING, 0.006, 0.005),
    ]
    assert standing == Standing(Health(REVIEW, REVIEW), Health(PENDING, PENDING))
    assert standing.status is PENDING


def test_a_clock_that_was_set_back_does_not_keep_an_account_from_healing() -> None:
    good, bad = Volume(10_000, 0, 0, 1000), Volume(10_000, 700, 0, 1000)
    standing, _ = judged(Standing(), bad, LIMITS, NOW)
    standing, _ = judged(standing, good, LIMITS, NOW)
    standing, _ = judged(standing, good, LIMITS, NOW - 10 * DAY)
    standing, _ = judged(standing, good, LIMITS, NOW - 9 * DAY)
    assert standing.status is HEALTHY
