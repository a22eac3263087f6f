from hypothesis import given
from hypothesis import strategies as st

from relay.base.histogram import MOMENTS, NUMBERS, SIZES, WAITS, Histogram, added


def test_a_value_counts_in_the_first_bucket_that_holds_it() -> None:
    found = Histogram((1.0, 10.0))
    for value in (0.0, 1.0, 1.5, 10.0, 10.5, 1000.0):
        found.observe(value)
    assert found.reading() == {"le": [1.0, 10.0], "counts": [2, 2, 2], "sum": 1023.0}
    assert found.count == 6


def test_a_reading_is_a_copy() -> None:
    found = Histogram((1.0,))
    before = found.reading()
    found.observe(0.5)
    assert before == {"le": [1.0], "counts": [0, 0], "sum": 0.0}


@given(st.lists(st.integers(0, 100_000)), st.lists(st.integers(0, 100_000)))
def test_added_histograms_are_that_of_all_values(one: list[int], other: list[int]) -> None:
    parts = [Histogram(WAITS), Histogram(WAITS)]
    for part, values in zip(parts, (one, other), strict=True):
        for value in values:
            part.observe(value)
    whole = Histogram(WAITS)
    for value in one + other:
        whole.observe(value)
    assert added([part.reading() for part in parts], WAITS) == whole.reading()


def test_bounds_ascend() -> None:
    for bounds in (MOMENTS, NUMBERS, SIZES, WAITS):
        assert list(bounds) == sorted(set(bounds))
