"""How much of the queue is in memory, and who may still come in."""

import pytest

from relay.traffic.window import Window


@pytest.mark.parametrize(
    ("fresh", "known", "held", "room", "urgent"),
    [
        (0, {}, 0, 1500, 1600),
        (500, {1: {(1, 1)}, 2: {(2, 1), (3, 1)}}, 503, 997, 1097),
        (1500, {}, 1500, 0, 100),
        (1700, {}, 1700, -200, -100),
    ],
)
def test_room(fresh: int, known: dict, held: int, room: int, urgent: int) -> None:
    window = Window(1600)
    window.fresh, window.known = fresh, known
    assert (window.held, window.room(), window.room(is_urgent=True)) == (held, room, urgent)


def test_alone_it_is_two_thirds_and_newcomers_always_find_room() -> None:
    """Each lane takes what it may; the later it comes the less it gets, and never nothing."""
    window, took = Window(1600), []
    for _ in range(6):
        held = 0
        while held < window.share(window.room()):
            held += 1
            window.fresh += 1
        took.append(held)
    assert took == [1050, 263, 66, 16, 5, 1]
    assert window.room() > 90  # of one each


def test_a_small_window_has_a_small_least_share() -> None:
    assert [Window(size).least for size in (10, 100, 640, 10_000)] == [1, 1, 10, 16]
    assert [Window(10_000).share(room) for room in (1, 625, 626, 650)] == [1, 1, 16, 75]
    assert Window(10_000).share(0) == 0
