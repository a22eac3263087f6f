"""One account's order: by rank, by arrival where ranks are equal; every attempt comes out once."""

from hypothesis import given
from hypothesis import strategies as st

from relay.base.message import Attempt
from relay.traffic.account_queue import AccountQueue
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule
from tests.fakes.routes import route
from tests.fakes.spool import NOW, message

LANE = ReadyQueue(route("example.org"), SiteControl(SiteRule(), SiteBackoff()))


def attempt(rank: float, recipients: int = 1) -> Attempt:
    one = message(*[f"{n}@example.org" for n in range(recipients)], max_age=1e6)
    one.deadline = NOW + rank
    return Attempt(one, one.recipients, "mx:example.org")


def drained(queue: AccountQueue) -> list[float]:
    ranks = []
    while queue:
        ranks.append(queue.pop().message.deadline - NOW)
    return ranks


def test_a_deadline_overtakes_a_campaign() -> None:
    queue = AccountQueue(1, LANE)
    for rank in (5000, 5001, 5001, 5002):
        queue.push(attempt(rank))
    queue.push(attempt(120))
    queue.push(attempt(60))
    assert queue.recipients == 6
    assert drained(queue) == [60, 120, 5000, 5001, 5001, 5002]
    assert queue.recipients == 0


def test_equal_ranks_leave_in_the_order_they_came() -> None:
    queue = AccountQueue(1, LANE)
    first, second, third = attempt(9), attempt(5), attempt(5)
    for one in (first, second, third):
        queue.push(one)
    assert [queue.pop() for _ in range(3)] == [second, third, first]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_what_comes_out_is_the_lowest_rank_there_is(steps) -> None:
    queue, inside = AccountQueue(1, LANE), []
    for rank, is_pop in steps:
        if is_pop and inside:
            assert queue.pop().message.deadline - NOW == min(inside)
            inside.remove(min(inside))
        else:
            queue.push(attempt(rank))
            inside.append(rank)
        assert len(queue) == queue.recipients == len(inside)
    assert drained(queue) == sorted(inside)


def test_taking_out_keeps_the_order_of_the_rest() -> None:
    queue = AccountQueue(1, LANE)
    attempts = [attempt(rank, recipients=2) for rank in (7, 8, 9, 1, 2, 3)]
    for one in attempts:
        queue.push(one)
    assert queue.remove(lambda one: one in (attempts[1], attempts[3])) == [attempts[1], attempts[3]]
    assert queue.recipients == 8
    assert {one.message.deadline - NOW for one in queue.ahead(9)} == {2, 3, 7, 9}
    queue.push(attempt(8))
    assert drained(queue) == [2, 3, 7, 8, 9]


def test_what_is_shed_is_the_end_of_the_line() -> None:
    queue = AccountQueue(1, LANE)
    attempts = [attempt(rank, recipients=3) for rank in (1, 2, 3, 4)]
    for one in attempts:
        queue.push(one)
    assert queue.shed(4) == [attempts[3], attempts[2]]
    assert queue.recipients == 6
    queue.push(attempt(2))
    assert drained(queue) == [1, 2, 2]
    assert queue.shed(1) == []
