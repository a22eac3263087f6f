"""A site that fails, is left alone, and answers again."""

from relay.base.message import Attempt
from relay.traffic.backoff import SiteBackoff
from relay.traffic.ready_queue import ReadyQueue
from tests.fakes.routes import route
from tests.fakes.spool import message


def test_down_and_up_again() -> None:
    queue = ReadyQueue(route("a.example"))
    waiting = [Attempt(message(), [], "mx:a.example") for _ in range(3)]
    queue.attempts.extend(waiting)
    assert not queue.is_down(100.0)
    assert queue.failed(100.0, SiteBackoff(30, 300), 0.5) == waiting
    assert not queue.attempts
    assert (queue.is_down(129.9), queue.is_down(130.0)) == (True, False)
    assert queue.failed(130.0, SiteBackoff(30, 300), 0.5) == []
    assert (queue.is_down(189.9), queue.is_down(190.0)) == (True, False)
    queue.reached()
    assert not queue.is_down(131.0)
    queue.failed(200.0, SiteBackoff(30, 300), 0.5)
    assert queue.retry_at == 230.0  # the doubling starts anew
