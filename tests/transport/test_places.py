"""How many connections: tables of the decision, and the line."""

import pytest

from relay.transport.places import Group, Places, Plan, plan


@pytest.mark.parametrize(
    ("queued", "idle", "open_", "opening", "limit", "free", "is_up", "expected"),
    [
        (0, 0, 0, 0, 20, 100, False, Plan()),
        (1, 0, 0, 0, 20, 100, False, Plan(0, 1)),
        (50, 0, 0, 0, 20, 100, False, Plan(0, 1)),  # not known to be up: one at a time
        (50, 0, 0, 1, 20, 100, False, Plan()),
        (50, 0, 1, 0, 20, 100, True, Plan(0, 19)),
        (3, 5, 5, 0, 20, 100, True, Plan(3, 0)),
        (5, 2, 4, 0, 20, 100, True, Plan(2, 3)),
        (5, 2, 4, 2, 20, 100, True, Plan(2, 1)),
        (5, 0, 18, 1, 20, 100, True, Plan(0, 1)),
        (5, 0, 20, 0, 20, 100, True, Plan()),
        (5, 0, 3, 0, 2, 100, True, Plan()),  # a ceiling below what there is
        (5, 0, 1, 0, 20, 2, True, Plan(0, 2, True)),
        (5, 0, 0, 0, 20, 0, False, Plan(0, 0, True)),
        (2, 2, 2, 0, 20, 0, True, Plan(2)),
        (5, 0, 1, 0, 20, -1, True, Plan(0, 0, True)),
    ],
)
def test_plan(queued, idle, open_, opening, limit, free, is_up, expected):
    found = plan(queued=queued, idle=idle, open_=open_, opening=opening, limit=limit, free=free, is_up=is_up)
    assert found == expected


def test_the_line_keeps_its_order():
    places = Places(1)
    places.take()
    for site in ("a", "b", "a", "c"):
        places.stand_in_line(site)
    assert (places.waiting, places.free, places.next_in_line()) == (3, 0, None)
    places.give()
    assert [places.next_in_line() for _ in range(4)] == ["a", "b", "c", None]


@pytest.mark.parametrize(
    ("limit", "held", "sites", "has_line", "must"),
    [
        (10, 6, 2, True, True),
        (10, 5, 2, True, False),
        (10, 10, 2, False, False),
        (2, 1, 9, True, False),
        (2, 2, 9, True, True),
    ],
)
def test_more_than_an_even_share_is_let_go_when_others_wait(limit, held, sites, has_line, must):
    places = Places(limit)
    if has_line:
        places.stand_in_line("other")
    assert places.must_yield(held, sites) is must


def test_a_group_wants_back_what_one_lane_has_too_much():
    group = Group(4)
    group.lanes = 2
    for _ in range(4):
        group.take()
    assert not group.wants_back(4)  # no one waits
    group.stand_in_line("other")
    assert group.wants_back(3)
    assert not group.wants_back(2)
    assert group.next_in_line() is None
    group.give()
    assert group.next_in_line() == "other"
    group.limit = 2
    assert group.wants_back(2)
    assert not group.wants_back(1)
