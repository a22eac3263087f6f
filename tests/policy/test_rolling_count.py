"""Twenty-four hours that roll."""

import math

from hypothesis import given
from hypothesis import strategies as st

from relay.policy.rolling_count import DAY_S, RollingCount, gone_at, minute_of

NOW = 1_800_000_000.0


def test_a_minute_goes_when_all_of_it_is_older_than_a_day() -> None:
    count = RollingCount()
    first = minute_of(NOW)
    count.add(3, first)
    count.add(2, first + 1)
    count.expire(first * 60 + DAY_S + 59.9)
    assert count.total == 5
    count.expire(first * 60 + DAY_S + 60.0)
    assert count.total == 2
    count.expire(gone_at(first + 1))
    assert count.total == 0


def test_when_there_is_room_again() -> None:
    count = RollingCount([(11, 4), (10, 6)])
    assert count.total == 10
    assert count.free_at(1, 11, NOW) == NOW
    assert count.free_at(1, 10, 700.0) == gone_at(10)
    assert count.free_at(6, 10, 700.0) == gone_at(10)
    assert count.free_at(7, 10, 700.0) == gone_at(11)
    assert count.free_at(11, 10, 700.0) == math.inf
    assert count.free_at(1, 0, 700.0) == math.inf


def test_a_count_for_later_does_not_hide_an_earlier_one() -> None:
    count = RollingCount()
    count.add(1, 100)
    count.add(2, 50)
    count.expire(gone_at(50))
    assert count.total == 1
    assert count[100] == 1
    assert count[50] == 0


def test_no_more_comes_back_than_was_counted() -> None:
    count = RollingCount([(10, 3)])
    assert count.take_back(5, 10) == 3
    assert count.take_back(5, 10) == 0
    assert count.take_back(5, 11) == 0
    assert count.total == 0
    assert count.free_at(1, 1, 0.0) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, DAY_S / 3), st.integers(1, 40)), max_size=60), st.integers(1, 100))
def test_no_day_has_more_than_the_quota(steps: list[tuple[float, int]], quota: int) -> None:
    count, now, sent = RollingCount(), NOW, []
    for pause, recipients in steps:
        now += pause
        count.expire(now)
        at = count.free_at(recipients, quota, now)
        if at == math.inf:
            assert recipients > quota
            continue
        now = at  # wait for it
        count.expire(now)
        count.add(recipients, minute_of(now))
        sent.append((now, recipients))
    for last, _ in sent:
        assert sum(n for at, n in sent if last - DAY_S < at <= last) <= quota
