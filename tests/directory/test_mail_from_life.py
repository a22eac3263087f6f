"""The life of a MAIL FROM domain, as tables: each state with each answer, and a whole life by the clock."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.directory.mail_from_life import LONGEST_WAIT_S, Seen, Stand, Times, decide, judge
from relay.directory.records import OnMailFromFailure, RecordState

PENDING, VERIFIED, WARNED, FAILED, NONE = (
    RecordState.PENDING,
    RecordState.VERIFIED,
    RecordState.WARNED,
    RecordState.FAILED,
    RecordState.NONE,
)
HOUR, START = 3600.0, 1_000_000.0
TIMES = Times(72 * HOUR, 72 * HOUR, HOUR)


def stand(state: RecordState, missing_since: float | None = None) -> Stand:
    return Stand(
        1, 1, "example.org", "b.example.org", state, OnMailFromFailure.REJECT, START, missing_since, START
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "hours", "seen", "after", "is_told"),
    [
        (PENDING, 1, Seen.RIGHT, VERIFIED, True),
        (PENDING, 71, Seen.WRONG, PENDING, False),
        (PENDING, 72, Seen.WRONG, FAILED, True),
        (PENDING, 72, Seen.RIGHT, VERIFIED, True),
        (PENDING, 500, Seen.UNKNOWN, PENDING, False),
        (VERIFIED, 500, Seen.RIGHT, VERIFIED, False),
        (VERIFIED, 500, Seen.WRONG, WARNED, True),
        (VERIFIED, 500, Seen.UNKNOWN, VERIFIED, False),
        (WARNED, 1, Seen.WRONG, WARNED, False),
        (WARNED, 72, Seen.WRONG, FAILED, True),
        (WARNED, 71, Seen.RIGHT, VERIFIED, True),
        (WARNED, 500, Seen.UNKNOWN, WARNED, False),
        (FAILED, 1, Seen.RIGHT, FAILED, False),  # as SES: no more looks until it is set again
        (NONE, 1, Seen.RIGHT, NONE, False),
    ],
)
def test_what_a_look_means(
    state: RecordState, hours: float, seen: Seen, after: RecordState, is_told: bool
) -> None:
    missing_since = START if state is WARNED else None
    step = decide(stand(state, missing_since), seen, START + hours * HOUR, TIMES)
    assert (step.state, step.is_change) == (after, is_told)
    assert (step.next_check_at is None) == (after in (FAILED, NONE))


def test_the_time_that_it_may_be_missing_counts_from_when_it_was_missed() -> None:
    now = START + 500 * HOUR
    step = decide(stand(VERIFIED), Seen.WRONG, now, TIMES)
    assert (step.state, step.missing_since) == (WARNED, now)
    back = decide(stand(WARNED, now), Seen.RIGHT, now + HOUR, TIMES)
    assert (back.state, back.missing_since) == (VERIFIED, None)


@given(st.floats(0, 71.9), st.sampled_from([Seen.WRONG, Seen.UNKNOWN]))
def test_looks_come_soon_at_first_and_then_hourly(hours: float, seen: Seen) -> None:
    now = START + hours * HOUR
    step = decide(stand(PENDING), seen, now, TIMES)
    assert step.next_check_at is not None
    assert 30.0 <= step.next_check_at - now <= LONGEST_WAIT_S + 1e-3


@pytest.mark.parametrize(
    ("hosts", "seen"),
    [
        (["relay.example"], Seen.RIGHT),
        (["Relay.EXAMPLE"], Seen.RIGHT),
        ([], Seen.WRONG),
        (["elsewhere.example"], Seen.WRONG),
        (["relay.example", "elsewhere.example"], Seen.WRONG),  # reports would go to either
        ([""], Seen.WRONG),  # the null MX
    ],
)
def test_which_mx_is_right(hosts: list[str], seen: Seen) -> None:
    assert judge(hosts, "relay.example") is seen


@given(st.lists(st.tuples(st.sampled_from(Seen), st.floats(0, 100 * HOUR)), max_size=30))
def test_any_life_tells_each_change_once_and_ends_only_after_its_time(
    looks: list[tuple[Seen, float]],
) -> None:
    now, here = START, stand(PENDING)
    missed_at: float | None = START  # since when it has been missing, as the one who looks has seen it
    for seen, passed_s in looks:
        now += passed_s
        step = decide(here, seen, now, TIMES)
        assert step.is_change is (step.state is not here.state)
        assert (step.next_check_at is None) is (step.state is FAILED)
        if seen is Seen.UNKNOWN:
            assert step.state is here.state
        if here.state is FAILED:
            assert step.state is FAILED
        elif seen is Seen.RIGHT:
            assert step.state is VERIFIED
            missed_at = None
        elif seen is Seen.WRONG:
            missed_at = now if missed_at is None else missed_at
            assert (step.state is FAILED) is (now - missed_at >= 72 * HOUR)
        here = replace(here, state=step.state, missing_since=step.missing_since)
