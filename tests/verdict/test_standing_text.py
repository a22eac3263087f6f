"""What is written is read; what is spoilt is an account of which nothing is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.verdict.reputation import Health, Standing, Status
from relay.verdict.standing_text import read, written

healths = st.builds(Health, st.sampled_from(Status), st.sampled_from(Status), st.floats(0, 1e10))


@given(st.builds(Standing, healths, healths, st.booleans()))
def test_round_trip(standing: Standing) -> None:
    assert read(written(standing)) == standing


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", "1", '{"bounce":1}', '{"bounce":{"status":"Odd"}}'])
def test_what_cannot_be_read(text: str) -> None:
    assert read(text) == Standing()


@given(st.text())
def test_nothing_is_too_odd(text: str) -> None:
    assert isinstance(read(text), Standing)
