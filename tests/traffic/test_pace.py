"""The rate that a receiver bears: paused, measured, grown; as dialogues with receivers that count."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.traffic.pace import Pace


class ByTheMinute:
    """Takes so many in each minute of the clock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.minute, self.taken = -1, 0

    def takes(self, now: float) -> bool:
        if int(now // 60) != self.minute:
            self.minute, self.taken = int(now // 60), 0
        self.taken += 1
        return self.taken <= self.most


class Bucket:
    """Takes ``rate`` a second, and ``burst`` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.at = rate, burst, burst, 0.0

    def takes(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return True
        return False


def drive(pace: Pace, takes: Callable[[float], bool], begin: float, end: float) -> tuple[int, int]:
    """One connection with no end of mail, 10 ms a message: (taken, refused) from begin to end."""
    now, taken, refused = begin, 0, 0
    while now < end:
        wait_s = pace.wait_s(now)
        if wait_s > 0:
            now += wait_s
            continue
        pace.took(now)
        now += 0.01
        if takes(now):
            taken += 1
            pace.answered(now, 0.01)
        else:
            refused += 1
            pace.throttled(now, 0.01)
    return taken, refused


def test_without_a_complaint_there_is_no_bound() -> None:
    pace = Pace()
    for number in range(10_000):
        assert pace.wait_s(number / 1000) == 0.0
        pace.took(number / 1000)
        pace.answered(number / 1000, 0.001)
    assert pace.rate(10.0) == 0.0


def test_a_rate_of_the_rule_is_kept_exactly() -> None:
    pace = Pace(2.0)
    taken, refused = drive(pace, lambda now: True, 0.0, 100.0)
    assert (taken, refused) == (pytest.approx(200, abs=2), 0)


@pytest.mark.parametrize(
    ("receiver", "cap", "most_refused"),
    [
        (ByTheMinute(100), 100 / 60, 0.02),
        (Bucket(100 / 60, 20), 100 / 60, 0.02),
        (Bucket(20.0, 20), 20.0, 0.02),
        (Bucket(0.2, 5), 0.2, 0.06),  # a complaint costs two or three messages, of 12 a minute
    ],
    ids=["by-the-minute", "bucket", "fast-bucket", "slow-bucket"],
)
def test_it_finds_the_cap_and_stays_below(
    receiver: ByTheMinute | Bucket, cap: float, most_refused: float
) -> None:
    pace = Pace()
    drive(pace, receiver.takes, 0.0, 300.0)
    taken, refused = drive(pace, receiver.takes, 300.0, 3900.0)
    assert taken >= 0.9 * cap * 3600
    assert refused <= most_refused * (taken + refused)


def test_the_first_complaint_costs_a_handful_not_a_minute() -> None:
    pace = Pace()
    taken, refused = drive(pace, ByTheMinute(100).takes, 0.0, 60.0)
    assert (taken, refused) == (100, 6)  # at 1 s, then 1, 2, 4, 8, 16 seconds later


def test_a_cap_that_falls_is_followed_and_one_that_rises_is_found() -> None:
    pace, receiver = Pace(), Bucket(10.0, 10)
    drive(pace, receiver.takes, 0.0, 600.0)
    receiver.rate = receiver.burst = 1.0
    drive(pace, receiver.takes, 600.0, 700.0)
    taken, refused = drive(pace, receiver.takes, 700.0, 1300.0)
    assert taken >= 0.85 * 600
    assert refused <= 0.03 * taken
    receiver.rate = receiver.burst = 10.0
    drive(pace, receiver.takes, 1300.0, 1300.0 + 1800.0)
    assert pace.rate(3100.0) > 5.0


def test_after_a_storm_what_was_before_is_in_force_again_but_only_once_an_hour() -> None:
    pace = Pace()
    drive(pace, lambda now: True, 0.0, 100.0)
    drive(pace, lambda now: now >= 400.0, 100.0, 500.0)
    assert (pace.is_pausing, pace.rate(500.0)) == (False, 0.0)
    drive(pace, lambda now: now >= 1000.0, 600.0, 1100.0)
    assert 0.0 < pace.rate(1100.0) < 100.0


def test_a_receiver_that_counts_by_the_hour_is_learned_the_second_time() -> None:
    class ByTheHour:
        taken, hour = 0, 0

        def takes(self, now: float) -> bool:
            if int(now // 3600) != self.hour:
                self.hour, self.taken = int(now // 3600), 0
            self.taken += 1
            return self.taken <= 1000

    receiver, pace = ByTheHour(), Pace()
    drive(pace, receiver.takes, 0.0, 7200.0)
    taken, refused = drive(pace, receiver.takes, 7200.0, 6 * 3600.0)
    assert taken >= 0.85 * 4000
    assert refused <= 0.08 * taken


def test_what_was_on_its_way_counts_as_the_same_complaint() -> None:
    pace = Pace()
    for number in range(20):
        pace.throttled(10.0 + number / 100, 0.5)
    assert pace.wait_s(10.2) == pytest.approx(0.8)
    assert pace.refused == 20


def test_while_it_pauses_one_message_is_tried_at_a_time() -> None:
    pace = Pace()
    pace.throttled(10.0, 0.1)
    assert pace.allowed(10.5, 9) == 0
    assert pace.allowed(11.0, 9) == 1
    pace.took(11.0)
    assert pace.wait_s(11.1) > 0.8  # its answer is awaited
    pace.throttled(11.2, 0.2)
    assert pace.wait_s(11.2) == 2.0
    pace.answered(11.3, 2.0)  # an old dialogue ends well: no reason to go on
    assert pace.is_pausing
    pace.took(13.2)
    pace.answered(13.4, 0.2)
    assert not pace.is_pausing


def test_idle_time_does_not_count_as_calm() -> None:
    pace = Pace()
    drive(pace, Bucket(1.0, 1.0).takes, 0.0, 60.0)
    before = pace.rate(60.0)
    drive(pace, lambda now: True, 1800.0, 1802.0)
    assert pace.rate(1802.0) < 1.3 * before


def test_after_an_hour_without_a_complaint_it_is_forgotten() -> None:
    pace = Pace()
    drive(pace, Bucket(1.0, 1.0).takes, 0.0, 60.0)
    assert pace.rate(60.0) > 0.0
    for number in range(3):
        now = 60.0 + 1900 * (number + 1)
        pace.took(now)
        pace.answered(now, 0.1)
    assert pace.rate(now) == 0.0


def test_trouble_lowers_a_known_rate_and_no_other() -> None:
    pace = Pace()
    pace.ease(5.0)
    assert pace.rate(5.0) == 0.0
    drive(pace, Bucket(1.0, 1.0).takes, 0.0, 400.0)
    while pace.is_pausing:
        drive(pace, lambda now: True, 401.0, 403.0)
    before = pace.rate(500.0)
    pace.ease(500.0)
    assert pace.rate(500.0) < before
    after = pace.rate(500.0)
    pace.ease(500.5)  # the same trouble
    assert pace.rate(500.0) == after


@given(
    st.just(0.0) | st.floats(0.01, 100.0),
    st.lists(
        st.tuples(st.sampled_from(["took", "answered", "throttled", "ease"]), st.floats(0.0, 200.0)),
        max_size=80,
    ),
)
def test_it_never_stops_for_good_and_never_passes_the_rule(
    bound: float, events: list[tuple[str, float]]
) -> None:
    pace, now = Pace(bound), 0.0
    for event, gap in events:
        now += gap
        getattr(pace, event)(*((now,) if event in ("took", "ease") else (now, 0.01)))
        assert 0.0 <= pace.wait_s(now) <= 72.0 * (1 + len(events)) + (80.0 / bound if bound else 0.0)
        if bound:
            assert pace.rate(now) <= bound
