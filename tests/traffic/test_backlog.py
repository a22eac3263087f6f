"""What memory knows of those who are parked: no row is forgotten, and what cannot come in keeps no one."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from relay.base.parked import ParkedPage
from relay.traffic.backlog import Backlog


def page(rank: float, is_end: bool = False) -> ParkedPage:
    return ParkedPage([], rank, is_end)


def test_a_group_is_made_once_and_looked_at_once() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, 7.0)
    backlog.note("b.example", 1, 5.0)
    backlog.note("b.example", 2, 9.0)
    assert backlog.goes_before("b.example", 1, 5.0)
    assert not backlog.goes_before("b.example", 1, 4.9)
    assert not backlog.goes_before("c.example", 1, 99.0)
    first, second = backlog.next_ready(), backlog.next_ready()
    assert (first.account_id, first.low, second.account_id) == (1, 5.0, 2)
    assert backlog.next_ready() is None
    backlog.make_ready(first)
    backlog.make_all_ready()
    assert {backlog.next_ready(), backlog.next_ready()} == {first, second}
    assert backlog.next_ready() is None


def test_a_pass_to_the_end_with_nothing_left_behind_ends_the_group() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, 5.0)
    group = backlog.next_ready()
    assert group.ask() == 5.0
    assert backlog.goes_before("b.example", 1, 6.0)  # while it is read
    assert not group.answered(page(8.0))
    assert group.ask() == 8.0
    assert not group.answered(page(9.0, is_end=True))
    assert backlog.drop_if_empty(group)
    backlog.make_ready(group)
    assert backlog.next_ready() is None


def test_what_is_parked_while_a_page_is_read_is_not_forgotten() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, 5.0)
    group = backlog.next_ready()
    group.ask()
    backlog.note("b.example", 1, 7.0)
    assert not group.answered(page(9.0, is_end=True))
    assert not backlog.drop_if_empty(group)
    assert group.ask() == 7.0


def test_rows_left_behind_come_again_with_the_next_pass_and_a_vain_pass_is_told() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, 5.0)
    group = backlog.next_ready()
    group.ask()
    backlog.left_behind("b.example", 1, 5.0)
    group.admitted += 2
    assert not group.answered(page(8.0))
    assert (group.cursor, group.low) == (8.0, 5.0)
    group.ask()
    assert not group.answered(page(9.0, is_end=True))  # some came in: worth another pass at once
    assert group.ask() == 5.0
    backlog.left_behind("b.example", 1, 5.0)
    assert group.answered(page(9.0, is_end=True))
    assert group.low == 5.0
    backlog.left_behind("new.example", 1, 3.0)
    assert backlog.goes_before("new.example", 1, 3.0)


def test_a_page_that_could_not_be_read_is_asked_for_again() -> None:
    backlog = Backlog()
    backlog.note("b.example", 1, 5.0)
    group = backlog.next_ready()
    group.ask()
    assert not group.answered(None)
    assert group.ask() == 5.0


@given(st.lists(st.tuples(st.sampled_from(["park", "read"]), st.integers(0, 9), st.booleans()), max_size=60))
def test_no_row_is_ever_below_low(steps) -> None:
    """Rows on disk by rank; reads take one, or leave it behind; passes without refusals find all."""
    backlog, disk = Backlog(), []

    def read(is_let_in: bool) -> None:
        group = backlog.next_ready()
        if group is None:
            return
        rank = group.ask()
        found = sorted(r for r in disk if r >= rank)
        last = found[0] if found else 0.0
        if found and is_let_in:
            disk.remove(found[0])
            group.admitted += 1
        elif found:
            backlog.left_behind("b.example", 1, found[0])
            found = [r for r in found if r > last]  # a page is longer than those of one rank
            last += 0.5
        group.answered(page(last, is_end=len(found) <= is_let_in))
        if not backlog.drop_if_empty(group):
            backlog.make_ready(group)

    for what, rank, is_let_in in steps:
        if what == "park":
            disk.append(rank)
            backlog.note("b.example", 1, float(rank))
        else:
            read(is_let_in)
        group = backlog.groups.get(("b.example", 1))
        assert (group.low if group else inf) <= min(disk, default=inf)
    for _ in range(200):
        read(is_let_in=True)
    assert disk == []
    assert backlog.groups == {}
