"""How much of the queue is in memory, and when more is fetched."""

import pytest

from relay.traffic.window import Window


@pytest.mark.parametrize(
    ("fresh", "known", "held", "has_room", "wants"),
    [
        (0, {}, 0, True, 10),
        (4, {}, 4, True, 6),
        (4, {1: {(1, 0)}}, 5, True, 5),
        (4, {1: {(1, 0)}, 2: {(1, 0)}}, 6, True, 0),  # more than half full: one scan shall bring many
        (9, {1: {(1, 0)}}, 10, False, 0),
        (12, {}, 12, False, 0),  # messages of many recipients may overshoot
    ],
)
def test_room(fresh: int, known: dict, held: int, has_room: bool, wants: int) -> None:
    window = Window(10)
    window.fresh, window.known = fresh, known
    assert (window.held, window.has_room, window.wants) == (held, has_room, wants)
