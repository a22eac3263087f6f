"""Lanes that wait for their rate."""

import pytest
import uvloop

from relay.base.message import Attempt
from relay.base.outcome import Delivered
from relay.base.reply import Reply
from relay.base.route import LaneLimits, Route
from relay.traffic.lanes import Lanes
from relay.traffic.settings import TrafficSettings
from relay.traffic.site_rule import OneRule, SiteRule
from tests.fakes.clock import ManualClock
from tests.fakes.routes import route
from tests.fakes.spool import message


class Nobody:
    """Connections that take nothing."""

    def wake(self, route: Route, queued: int) -> None:
        pass

    def limit(self, lane: str, limits: LaneLimits | None) -> None:
        pass


def test_under_uvloop_two_connections_may_ask_during_a_wait_shorter_than_its_clock_ticks() -> None:
    async def asks() -> None:
        lanes = Lanes(Nobody(), OneRule(SiteRule(rate_per_s=5.0)), ManualClock(), TrafficSettings())
        queue = lanes.at(route("a.example"))
        lanes._call_later(queue, 0.0001)
        assert queue.call is not None
        assert not hasattr(queue.call, "when"), "else this test shows nothing"
        first = queue.call
        lanes._call_later(queue, 0.0002)
        assert queue.call is first, "the earlier call is kept"
        lanes._call_later(queue, -0.1)
        assert queue.call is not first, "an earlier one takes its place"

    uvloop.run(asks())


@pytest.mark.parametrize(("rate", "is_called"), [(5.0, True), (0.0, False)])
async def test_what_waits_for_a_rate_is_called_for_also_if_the_connection_leaves_after_this_message(
    rate: float, is_called: bool
) -> None:
    clock = ManualClock()
    lanes = Lanes(Nobody(), OneRule(SiteRule(rate_per_s=rate)), clock, TrafficSettings())
    queue = lanes.at(route("a.example"))
    for number in range(2):
        one = message(f"user{number}@a.example")
        queue.push(Attempt(one, one.recipients, queue.route.lane))
    attempt = lanes.take(queue.route.lane)
    assert attempt is not None
    attempt.took_s = 0.01
    assert lanes.heed(attempt, {0: Delivered(Reply(250, "2.0.0 Ok"))}) == []
    assert (queue.waiting, queue.call is not None) == (1, is_called)
    if queue.call is not None:
        queue.call.cancel()


def test_with_many_lanes_their_states_are_looked_at_seldom() -> None:
    clock = ManualClock()
    lanes = Lanes(Nobody(), OneRule(SiteRule()), clock, TrafficSettings())
    lanes.at(route("a.example"))
    assert lanes.states_of_late() == {"open": 1}
    for number in range(3999):
        lanes.at(route(f"d{number}.example"))
    clock.advance(1.0)
    assert lanes.states_of_late() == {"open": 4000}
    lanes.at(route("b.example"))
    clock.advance(1.9)
    assert lanes.states_of_late() == {"open": 4000}
    clock.advance(0.2)
    assert lanes.states_of_late() == {"open": 4001} == lanes.states()
