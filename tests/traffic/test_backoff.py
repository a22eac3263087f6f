"""The whole schedule, printed and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.traffic.backoff import RetrySchedule, SiteBackoff

MINUTE, HOUR = 60.0, 3600.0
DELAYS = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR)


def printed(schedule: RetrySchedule, max_age: float, dice: float = 0.5) -> str:
    """Arrival at 0:00, each attempt at once when due, until the message is too old."""
    lines, now, attempts = [], 0.0, 0
    while True:
        attempts += 1
        lines.append(f"{attempts:2} {int(now // HOUR):2}:{int(now % HOUR // MINUTE):02}")
        if now >= max_age:
            return "\n".join(lines)
        now = schedule.due_at(now, attempts, max_age, dice)


def test_the_whole_schedule() -> None:
    assert printed(RetrySchedule(DELAYS), 14 * HOUR) == "\n".join(
        [" 1  0:00", " 2  0:05", " 3  0:20", " 4  0:50", " 5  1:50", " 6  3:50", " 7  5:50",
         " 8  7:50", " 9  9:50", "10 11:50", "11 13:50", "12 14:00"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attempts", "dice", "delay"),
    [(1, 0.0, 270), (1, 0.5, 300), (1, 0.999, 329.9), (2, 0.5, 900), (5, 0.5, 7200), (99, 0.5, 7200)],
)
def test_jitter_is_a_share_of_the_delay(attempts: int, dice: float, delay: float) -> None:
    assert RetrySchedule(DELAYS, 0.1).due_at(1000.0, attempts, 1e9, dice) == pytest.approx(
        1000 + delay, abs=0.1
    )


def test_the_last_attempt_is_at_expiry_and_never_in_the_past() -> None:
    schedule = RetrySchedule((100.0,), 0.0)
    assert schedule.due_at(0.0, 1, 60.0, 0.5) == 60.0
    assert schedule.due_at(90.0, 1, 60.0, 0.5) == 90.0


@given(
    delays=st.lists(st.floats(1, 1e5), min_size=1, max_size=12),
    jitter=st.floats(0, 0.5),
    dice=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
    max_age=st.floats(0, 1e6),
    start=st.floats(0, 4e9),
)
def test_it_grows_ends_and_stays_within_bounds(delays, jitter, dice, max_age, start) -> None:
    schedule, now, expires_at = RetrySchedule(delays, jitter), start, start + max_age
    for attempts, roll in enumerate(dice, 1):
        due_at = schedule.due_at(now, attempts, expires_at, roll)
        assert due_at >= now
        assert due_at <= max(now, expires_at)
        delay = delays[min(attempts, len(delays)) - 1]
        if due_at < expires_at:
            assert due_at - now >= delay * (1 - jitter) - 1e-3
        assert due_at - now <= delay * (1 + jitter) + 1e-3
        now = due_at
        if now >= expires_at:
            break


def test_a_site_is_left_alone_for_longer_and_longer() -> None:
    backoff = SiteBackoff(30.0, 300.0)
    assert [backoff.delay_s(n, 0.5) for n in range(1, 8)] == [30, 60, 120, 240, 300, 300, 300]
    assert backoff.delay_s(1, 0.0) == pytest.approx(27)
    assert backoff.delay_s(10_000, 0.999) < 330
