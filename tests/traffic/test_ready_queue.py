"""One lane's turns: equal shares for accounts, whatever each of them has waiting."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relay.base.message import Attempt
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule
from tests.fakes.routes import route
from tests.fakes.spool import message


def ready_queue() -> ReadyQueue:
    return ReadyQueue(route("example.org"), SiteControl(SiteRule(), SiteBackoff()))


def attempt(account: int, recipients: int = 1) -> Attempt:
    one = message(*[f"{n}@example.org" for n in range(recipients)], account=account)
    return Attempt(one, one.recipients, "mx:example.org")


def turns(queue: ReadyQueue, count: int) -> list[int]:
    return [queue.pop().message.account_id for _ in range(count)]


def test_one_who_comes_behind_a_campaign_is_next_but_one() -> None:
    queue = ready_queue()
    for _ in range(1000):
        queue.push(attempt(1))
    assert turns(queue, 500) == [1] * 500
    queue.push(attempt(2))
    assert 2 in turns(queue, 2)
    queue.push(attempt(2))
    assert 2 in turns(queue, 2)  # to have been idle is no merit, nor a debt


def test_shares_are_of_recipients_not_of_messages() -> None:
    queue = ready_queue()
    for _ in range(100):
        queue.push(attempt(1, recipients=10))
        for _ in range(10):
            queue.push(attempt(2))
    served: Counter[int] = Counter()
    for _ in range(220):
        one = queue.pop()
        served[one.message.account_id] += len(one.recipients)
    assert abs(served[1] - served[2]) <= 10


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=2, max_size=60))
def test_the_bound(pushed) -> None:
    """While two accounts both have attempts, neither is ahead of the other by more than two messages."""
    queue = ready_queue()
    left: Counter[int] = Counter()
    for account, recipients in pushed:
        queue.push(attempt(account, recipients))
        left[account] += 1
    served: Counter[int] = Counter()
    while queue.waiting:
        one = queue.pop()
        served[one.message.account_id] += len(one.recipients)
        left[one.message.account_id] -= 1
        busy = [served[account] for account in left if left[account]]
        if busy:
            assert max(busy) - min(busy) <= 5
    assert not any(left.values())


def test_taking_out_leaves_the_turns_of_the_others() -> None:
    queue = ready_queue()
    for account in (1, 2, 3):
        for _ in range(3):
            queue.push(attempt(account))
    assert len(queue.remove(lambda one: one.message.account_id == 2)) == 3
    assert queue.waiting == 6
    assert len(queue.shed(queue.account(3), 2)) == 2
    assert sorted(turns(queue, 4)) == [1, 1, 1, 3]
    queue.push(attempt(2))
    assert len(queue.empty()) == 1
    assert queue.waiting == 0
    assert queue.ahead(2, 5) == queue.ahead(9, 5) == []
    queue.push(attempt(2))
    assert turns(queue, 1) == [2]
