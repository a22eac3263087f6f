"""Return paths: their form, and that nobody else makes one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.ids import MessageIds, shard_of
from relay.base.return_path import LENGTH, has_form, make, read

KEY, OTHER = b"k" * 32, b"o" * 32
ID = "0000019a8c3b1f20-5b1c9f1e-8a7b-4c3d-9e2f-1a2b3c4d5e6f-00002a"


@given(st.floats(0, 4e9), st.integers(0, 0xFFFFFF), st.booleans())
def test_what_is_made_is_read_in_any_case(now: float, shard: int, is_folded: bool) -> None:
    message_id = MessageIds(shard).make(now)
    local = make(message_id, KEY)
    assert len(local) == LENGTH == 64
    assert local == local.lower()
    assert has_form(local)
    assert read(local.upper() if is_folded else local, KEY) == message_id
    assert read(local, OTHER) is None
    assert shard_of(message_id) == shard


def test_no_other_letter_fits() -> None:
    local = make(ID, KEY)
    for place, letter in enumerate(local):
        other = "b" if letter != "b" else "c"
        assert read(local[:place] + other + local[place + 1 :], KEY) is None


@pytest.mark.parametrize("local", ["", "postmaster", ID, make(ID, KEY)[:-1], make(ID, KEY) + "a", "é" * 64])
def test_what_is_none_has_not_its_form(local: str) -> None:
    assert not has_form(local)
    assert read(local, KEY) is None
