import pytest

from bench.figures import median, merge, percentiles, ratio, transit


def test_percentiles_by_nearest_rank():
    assert percentiles(range(101)) == {"p50": 50, "p99": 99, "max": 100}
    assert percentiles([7.0]) == {"p50": 7.0, "p99": 7.0, "max": 7.0}
    assert percentiles([]) == {}


@pytest.mark.parametrize(("values", "middle"), [([], 0), ([3], 3), ([1, 9], 5), ([9, 1, 2], 2)])
def test_median(values, middle):
    assert median(values) == middle


def test_a_ratio_needs_both_sides():
    assert ratio(6, 2) == 3
    assert ratio(0, 2) is None
    assert ratio(6, 0) is None


def test_transit_leaves_out_what_never_arrived_and_counts_early_as_at_once():
    assert transit([1.0, 1.0, 1.0], [1.5, 0.0, 0.9]) == {"p50": 0.0, "p99": 0.5, "max": 0.5}


def test_merge_takes_the_median_of_each_figure():
    assert merge([{"a": 1.0, "b": 4.0}, {"a": 3.0, "b": 4.0}, {"a": 9.0, "b": 5.0}]) == {"a": 3.0, "b": 4.0}
    assert merge([]) == {}
