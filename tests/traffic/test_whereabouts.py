"""Where the recipients of a message are in memory."""

from relay.base.message import Attempt, Message, Recipient
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule
from relay.traffic.whereabouts import Spot, whereabouts
from tests.fakes.routes import route
from tests.fakes.spool import message


def lane(*attempts: Attempt) -> ReadyQueue:
    queue = ReadyQueue(route("b.example"), SiteControl(SiteRule(), SiteBackoff()))
    for attempt in attempts:
        queue.push(attempt)
    return queue


def one(key: int, account: int = 1, age: float = 5000.0) -> Message:
    made = message("a@b.example", "c@b.example", account=account, max_age=age)
    made.key = key
    return made


def attempt(of: Message, *numbers: int) -> Attempt:
    return Attempt(of, [r for r in of.recipients if r.number in numbers], "mx:b.example")


def test_in_the_queue_behind_those_of_its_account_that_leave_first() -> None:
    mine, earlier, later, other = one(1), one(2, age=10.0), one(3, age=9000.0), one(4, account=2)
    queue = lane(*[attempt(m, 0, 1) for m in (later, mine, earlier, other)])
    found = whereabouts({"mx:b.example": queue}, (), {}, 1, 1)
    spot = Spot("queue", "mx:b.example", before=1, waiting=4, accounts=2)
    assert found == {0: spot, 1: spot}


def test_each_recipient_where_it_is() -> None:
    mine, other = one(1), one(2)
    looking: dict[str, list[tuple[Message, list[Recipient]]]] = {
        "b.example": [(mine, mine.recipients[:1]), (other, other.recipients)]
    }
    found = whereabouts({}, {attempt(mine, 1), attempt(other, 0)}, looking, 1, 1)
    assert found == {0: Spot("route"), 1: Spot("connection", "mx:b.example")}


def test_a_message_of_another_shard_with_that_key_is_another() -> None:
    assert whereabouts({"mx:b.example": lane(attempt(one(1), 0))}, (), {}, 2, 1) == {}
