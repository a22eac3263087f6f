"""What memory knows of those who are parked: no row is forgotten, and a closed lane keeps no other."""

from hypothesis import given
from hypothesis import strategies as st

from relay.base.parked import END, ParkedPage, Place
from relay.base.route import Route
from relay.traffic.account_queue import AccountQueue
from relay.traffic.backlog import Backlog, at_rank
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule


def page(place: Place) -> ParkedPage:
    return ParkedPage([], place, place == END)


def at(rank: float, key: int = 1) -> Place:
    return (rank, key, 0)


def queue(name: str) -> AccountQueue:
    return ReadyQueue(Route(name, name, ()), SiteControl(SiteRule(), SiteBackoff(30, 300))).account(1)


def test_a_group_is_made_once_and_looked_at_once() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, at(7.0))
    backlog.note("b.example", 1, at(5.0))
    backlog.note("b.example", 2, at(9.0))
    assert backlog.goes_before("b.example", 1, 5.0) is backlog.groups["b.example", 1]
    assert backlog.goes_before("b.example", 1, 4.9) is None
    assert backlog.goes_before("c.example", 1, 99.0) is None
    first, second = backlog.next_ready(), backlog.next_ready()
    assert (first.account_id, first.low, second.account_id) == (1, at(5.0), 2)
    assert backlog.next_ready() is None
    backlog.make_ready(first)
    backlog.make_all_ready()
    assert {backlog.next_ready(), backlog.next_ready()} == {first, second}
    assert backlog.next_ready() is None


def test_a_pass_to_the_end_with_nothing_left_behind_ends_the_group() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, at(5.0))
    group = backlog.next_ready()
    assert group.ask() == at(5.0)
    assert backlog.goes_before("b.example", 1, 6.0)  # while it is read
    group.answered(page(at(8.0)))
    assert group.ask() == at(8.0)
    group.answered(page(END))
    assert backlog.drop_if_empty(group)
    backlog.make_ready(group)
    assert backlog.next_ready() is None


def test_what_is_parked_while_a_page_is_read_is_not_forgotten() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, at(5.0))
    group = backlog.next_ready()
    group.ask()
    backlog.note("b.example", 1, at(7.0))
    group.answered(page(END))
    assert not backlog.drop_if_empty(group)
    assert group.ask() == at(7.0)


def test_what_waits_for_a_lane_keeps_its_place_while_others_are_read_on() -> None:
    backlog, closed, other = Backlog(), queue("closed"), queue("other")
    backlog.note("b.example", 1, at_rank(5.0))
    group = backlog.next_ready()
    group.ask()
    backlog.note("b.example", 1, at(5.0, 3), closed)
    backlog.note("b.example", 1, at(5.0, 4), closed)
    group.answered(page(at(5.0, 6)))  # of the same rank
    assert (group.cursor, group.low, group.is_mixed) == (at(5.0, 6), at(5.0, 3), False)
    assert list(closed.groups) == [group]
    group.ask()
    backlog.note("b.example", 1, at(5.0, 9), other)
    group.answered(page(END))
    assert not backlog.drop_if_empty(group)
    assert group.is_mixed
    group.reads_for = other
    assert group.ask() == at(5.0, 9)
    group.answered(page(END))
    assert group.behind == {closed: at(5.0, 3)}
    group.start_over()
    assert (group.cursor, group.behind) == (at(5.0, 3), {})


def test_a_page_that_could_not_be_read_is_asked_for_again() -> None:
    backlog, lane = Backlog(), queue("one")
    backlog.note("b.example", 1, at(5.0))
    backlog.note("b.example", 1, at(4.0), lane)
    group = backlog.next_ready()
    for reads_for, place in ((None, at(5.0)), (lane, at(4.0))):
        group.reads_for = reads_for
        assert group.ask() == place
        group.answered(None)
    assert (group.cursor, group.behind) == (at(5.0), {lane: at(4.0)})


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["park", "park known", "read", "close", "open"]), st.integers(0, 2), st.integers(0, 3)
    ),
    max_size=80,
)


@given(_STEPS)
def test_every_row_of_an_open_lane_is_found_and_no_row_is_below_its_place(steps) -> None:
    """Rows on disk by place, each with its lane; many have the same rank."""
    backlog, disk, lanes, closed = Backlog(), {}, [queue(f"{n}") for n in range(3)], set()

    def read(size: int) -> bool:
        group = backlog.groups.get(("b.example", 1))
        if group is None:
            return False
        waiting = [(place, one) for one, place in group.behind.items() if one not in closed]
        group.reads_for = min(waiting, key=lambda one: one[0])[1] if waiting else None
        if group.reads_for is None and group.cursor == END:
            return False
        place = group.ask()
        found = sorted(row for row in disk if row >= place)
        for row in found[:size]:
            if disk[row] in closed:
                backlog.note("b.example", 1, row, disk[row])
            else:
                del disk[row]
        group.answered(page(found[size] if len(found) > size else END))
        backlog.drop_if_empty(group)
        return True

    for number, (what, lane, rank) in enumerate(steps):
        if what.startswith("park"):
            disk[at(rank, number)] = lanes[lane]
            backlog.note("b.example", 1, at(rank, number), lanes[lane] if "known" in what else None)
        elif what == "read":
            read(rank + 1)
        else:
            (closed.add if what == "close" else closed.discard)(lanes[lane])
        group = backlog.groups.get(("b.example", 1))
        for row, one in disk.items():
            assert min(group.cursor, group.behind.get(one, END)) <= row
    for _ in range(4 * len(steps) + 1):
        if not read(1):
            break
    assert not [row for row, one in disk.items() if one not in closed]
    closed.clear()
    while read(2):
        pass
    assert not disk
    assert backlog.groups == {}
