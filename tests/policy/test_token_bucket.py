"""The rate, its burst and its debt."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.policy.token_bucket import TokenBucket


def send(bucket: TokenBucket, recipients: int, now: float) -> bool:
    bucket.refill(now)
    if bucket.ready_at() > now:
        return False
    bucket.take(recipients)
    return True


def test_at_one_a_second_one_passes_each_second() -> None:
    bucket = TokenBucket(1.0, 100.0)
    passed = [tick / 10 for tick in range(1000, 1200) if send(bucket, 1, tick / 10)]
    assert passed == [float(second) for second in range(100, 120)]


def test_ten_recipients_pass_at_once_and_are_paid_for_ten_seconds() -> None:
    bucket = TokenBucket(1.0, 0.0)
    passed = [tick / 10 for tick in range(1000) if send(bucket, 10, tick / 10)]
    assert passed == [float(second) for second in range(0, 100, 10)]


@pytest.mark.parametrize(("rate", "burst"), [(0.2, 1), (1.0, 1), (5.0, 5), (50.0, 50)])
def test_a_pause_saves_up_one_second_or_one_recipient(rate: float, burst: int) -> None:
    bucket = TokenBucket(rate, 0.0)
    assert sum(send(bucket, 1, 86_400.0) for _ in range(1000)) == burst


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(10.0, 100.0)
    assert sum(send(bucket, 1, 100.0) for _ in range(20)) == 10
    assert sum(send(bucket, 1, 50.0) for _ in range(20)) == 0
    assert sum(send(bucket, 1, 100.1) for _ in range(20)) == 1


def test_a_rate_of_nothing_lets_one_pass_and_no_other() -> None:
    bucket = TokenBucket(0.0, 0.0)
    assert send(bucket, 1, 0.0)
    bucket.refill(1e9)
    assert bucket.ready_at() == math.inf


def test_mail_for_later_is_spread_at_the_rate() -> None:
    bucket = TokenBucket(2.0, 0.0)
    leaves = []
    for _ in range(8):
        bucket.refill(0.0)
        leaves.append(max(bucket.ready_at(), 0.0))
        bucket.take_at(1, leaves[-1])
    assert leaves == [0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert not send(bucket, 1, 3.4)
    assert send(bucket, 1, 3.5)


def test_a_debt_is_paid_at_the_rate_of_the_day() -> None:
    bucket = TokenBucket(1.0, 0.0)
    assert send(bucket, 11, 0.0)
    bucket.set_rate(10.0)
    assert not send(bucket, 1, 1.0)
    assert send(bucket, 1, 1.1)


def test_a_lower_rate_takes_a_saved_up_burst_away() -> None:
    bucket = TokenBucket(50.0, 0.0)
    bucket.set_rate(2.0)
    assert sum(send(bucket, 1, 0.0) for _ in range(50)) == 2


def test_what_is_lent_leaves_less_room() -> None:
    bucket = TokenBucket(10.0, 0.0)
    bucket.take(4)
    bucket.refill(10.0, lent=4)
    assert bucket.whole(10.0) == 6
    bucket.put(4, lent=0)
    assert bucket.whole(10.0) == 10
    bucket.put(4)
    assert bucket.whole(10.0) == 10


@given(
    rate=st.floats(0.1, 200.0),
    tries=st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 12)), max_size=80),
)
def test_no_stretch_of_time_has_more_than_the_rate_and_one_burst(
    rate: float, tries: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(rate, 0.0)
    now, passed = 0.0, []
    for pause, recipients in tries:
        now += pause
        if send(bucket, recipients, now):
            passed.append((now, recipients))
    for first in range(len(passed)):
        count = 0
        for at, recipients in passed[first:]:
            # All but the last, which may make a debt, and one token of it.
            assert count + 1 <= bucket.depth + rate * (at - passed[first][0]) + 1e-3
            count += recipients
