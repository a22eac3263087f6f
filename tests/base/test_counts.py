"""Counts add up column by column."""

from relay.base.counts import COLUMNS, Counts


def test_each_column_is_added() -> None:
    one, other = Counts(*range(1, 11)), Counts(*range(10, 110, 10))
    one.add(other)
    assert [getattr(one, name) for name in COLUMNS] == [11 * n for n in range(1, 11)]
