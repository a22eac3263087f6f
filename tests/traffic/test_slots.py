"""Moments at which messages may leave: given out once, spent at their time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.traffic.slots import AHEAD_S, LATE_S, NO_MOMENTS, Moments, Slots, Timetable


def test_moments_are_given_once_and_not_long_before_they_come() -> None:
    table = Timetable(2.0)
    assert table.free(100.0) == 3  # 100, 100.5 and 101
    assert table.give(3, 100.0) == Moments(100.0, 3, 0.5)
    assert table.free(100.4) == 0
    assert table.free(100.5) == 1
    assert table.give(1, 100.5) == Moments(101.5, 1, 0.5)
    assert table.give(table.free(200.0), 200.0).first == 200.0  # what nobody asked for is not saved up


def test_a_slow_lane_counts_from_the_last_message() -> None:
    table = Timetable(1 / 60)
    assert table.give(table.free(100.0), 100.0) == Moments(100.0, 1, 60.0)
    table.heard(100.7)
    assert table.next_at == pytest.approx(160.7)
    fast = Timetable(20.0)
    fast.give(1, 100.0)
    fast.heard(100.7)
    assert fast.next_at == pytest.approx(100.05)


def test_slots_are_spent_in_order_and_lost_when_they_are_late() -> None:
    slots = Slots()
    assert slots.wait_s(1.0) is None
    slots.add(NO_MOMENTS)
    slots.add(Moments(10.0, 2, 0.5))
    slots.add(Moments(20.0, 1, 0.5))
    assert len(slots) == 3
    assert slots.wait_s(9.0) == 1.0
    assert slots.wait_s(10.0) == 0.0
    slots.take(10.1)
    assert (slots.used_at, slots.wait_s(10.1)) == (10.1, pytest.approx(0.4))
    assert slots.wait_s(10.5 + LATE_S + 0.1) == pytest.approx(20.0 - 10.5 - LATE_S - 0.1)
    assert len(slots) == 1
    assert slots.wait_s(20.0 + LATE_S + 0.1) is None
    slots.take(30.0)  # nothing in hand: only the time is kept
    assert slots.used_at == 30.0


@given(
    st.floats(0.01, 1000.0),
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 40)), max_size=60),
)
def test_a_rate_holds_in_every_stretch(rate: float, steps: list[tuple[float, int]]) -> None:
    table, slots, now, left = Timetable(rate), Slots(), 50.0, []
    for step, wanted in steps:
        now += step
        while slots.wait_s(now) == 0.0:
            slots.take(now)
            left.append(now)
        count = min(wanted, table.free(now))
        if count:
            moments = table.give(count, now)
            assert moments.last <= now + AHEAD_S + 1e-6
            slots.add(moments)
    for i, since in enumerate(left):
        for j in range(i, len(left)):
            assert j - i + 1 <= rate * (left[j] - since + LATE_S) + 1 + 1e-6
