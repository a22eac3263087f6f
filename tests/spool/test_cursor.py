"""Cursors as text, and positions that miss nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.events import Event, EventKind, Logged
from relay.spool.cursor import Progress, parse_cursor, write_cursor

OFFSETS = st.dictionaries(st.integers(1, 0xFFFFFF), st.integers(0, 10**17), max_size=8)


@given(OFFSETS)
def test_what_is_written_is_read(offsets: dict[int, int]) -> None:
    assert parse_cursor(write_cursor(offsets)) == offsets


def test_how_it_looks() -> None:
    assert write_cursor({2: 7, 1: 20}) == "1:20,2:7"
    assert write_cursor({}) == "beginning"


@pytest.mark.parametrize(
    "text",
    ["", "1", "1:", ":1", "1:2,", ",1:2", "1:2 ,2:3", "01:2", "06:00", "1:-2", "1:2,1:3", "0:1", "1:٣"],
)
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        parse_cursor(text)


@given(st.text(alphabet="0123456789:, -x"))
def test_any_text_is_a_cursor_that_is_written_so_or_none(text: str) -> None:
    try:
        offsets = parse_cursor(text)
    except ValueError:
        return
    assert parse_cursor(write_cursor(offsets)) == offsets


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 30)), unique=True, max_size=20), st.data())
def test_a_position_is_short_of_all_that_is_not_done(
    places: list[tuple[int, int]], data: st.DataObject
) -> None:
    """In whatever order events are done."""
    batch = [Logged(*place, Event(0.0, EventKind.SEND, "", 0)) for place in places]
    reached = {1: 40, 2: 40, 3: 40}
    progress = Progress(batch, reached)
    done = data.draw(st.integers(0, len(batch)))
    for one in batch[:done]:
        progress.did(one)
    position = progress.position
    behind = {(one.shard, one.offset) for one in batch if one.offset > position[one.shard]}
    left = {(one.shard, one.offset) for one in batch[done:]}
    assert left <= behind
    assert progress.is_whole == (left == behind)
    for shard in reached:  # and not shorter than it must be
        mine = [offset for of, offset in left if of == shard]
        assert position[shard] == (min(mine) - 1 if mine else 40)
