"""What refusals say of a receiver's number of connections: a bound, tried again, not lowered by chance."""

from hypothesis import given
from hypothesis import strategies as st

from relay.traffic.site_bound import SiteBound


def test_nothing_is_bound_that_was_not_refused() -> None:
    bound = SiteBound()
    bound.seen(7)
    assert (bound.limit(20, 0.0), bound.limit(3, 0.0), bound.is_fresh(0.0)) == (20, 3, False)


def test_a_refusal_holds_for_a_minute_and_then_grows_to_the_rule() -> None:
    bound = SiteBound()
    bound.refused(100.0, 5)
    assert [bound.limit(8, now) for now in (100.0, 159.9)] == [5, 5]
    assert bound.is_fresh(159.9)
    assert [bound.limit(8, now) for now in (160.0, 169.9, 170.0, 180.0)] == [6, 6, 7, 8]
    assert not bound.is_fresh(180.0)
    assert bound.limit(20, 180.0) == 20


def test_one_more_that_is_refused_again_makes_the_next_rest_longer() -> None:
    bound, now, rests = SiteBound(), 0.0, []
    bound.seen(5)
    bound.refused(now, 5)
    for _ in range(9):
        since = now
        while bound.limit(20, now) == 5:
            now += 1.0
        rests.append(round(now - since))
        assert bound.limit(20, now) == 6
        bound.refused(now, 5)
    assert rests == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_another_number_begins_with_a_short_rest() -> None:
    bound = SiteBound()
    for now in (0.0, 60.0):
        bound.limit(20, now)
        bound.refused(now, 5)
    assert bound.limit(20, 179.0) == 5
    assert bound.limit(20, 180.0) == 6
    bound.seen(6)
    bound.limit(20, 190.0)
    bound.limit(20, 200.0)
    bound.seen(8)
    bound.refused(201.0, 8)
    assert (bound.limit(20, 260.0), bound.limit(20, 261.0)) == (8, 9)


def test_refused_while_one_was_leaving_lowers_nothing_but_three_times_does() -> None:
    bound = SiteBound()
    bound.refused(0.0, 5)
    for now in (1.0, 1.1, 1.2, 1.3, 1.5):
        bound.refused(now, 4)
    assert bound.limit(20, 2.0) == 5
    bound.seen(5)
    bound.refused(3.0, 4)
    bound.refused(4.0, 4)
    assert bound.limit(20, 4.0) == 5
    bound.refused(5.0, 4)
    assert bound.limit(20, 5.0) == 4


def test_what_is_open_at_once_is_allowed() -> None:
    bound = SiteBound()
    bound.refused(0.0, 0)
    assert bound.limit(20, 0.0) == 1
    bound.seen(4)
    assert bound.limit(20, 0.0) == 4


@given(
    st.lists(st.tuples(st.sampled_from(["seen", "refused", "wait"]), st.integers(0, 30))), st.integers(1, 20)
)
def test_it_is_never_below_one_nor_above_the_rule_and_always_ends(
    events: list[tuple[str, int]], rule: int
) -> None:
    bound, now = SiteBound(), 0.0
    for what, number in events:
        if what == "seen":
            bound.seen(number)
        elif what == "refused":
            bound.refused(now, number)
        else:
            now += number
        assert 1 <= bound.limit(rule, now) <= rule
    for _ in range(40):
        now += 3600.0
        bound.limit(rule, now)
    assert bound.limit(rule, now) == rule
