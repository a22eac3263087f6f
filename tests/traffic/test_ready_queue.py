"""What waits on a lane."""

from relay.base.message import Attempt
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule
from tests.fakes.routes import route
from tests.fakes.spool import message


def test_all_that_waits_is_taken_out_at_once() -> None:
    queue = ReadyQueue(route("a.example"), SiteControl(SiteRule(), SiteBackoff()))
    waiting = [Attempt(message(), [], "mx:a.example") for _ in range(3)]
    queue.attempts.extend(waiting)
    assert queue.empty() == waiting
    assert queue.empty() == []
