"""Bytes that may be held at once."""

import pytest

from relay.base.budget import Budget


def test_take_until_it_is_full():
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert budget.take(40)
    assert budget.used_bytes == 100
    assert budget.take(0)
    budget.give(60)
    assert budget.take(41)
    assert budget.used_bytes == 81


def test_more_back_than_taken_is_a_bug():
    budget = Budget(100)
    budget.take(1)
    with pytest.raises(AssertionError):
        budget.give(2)
