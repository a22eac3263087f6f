"""Lanes that wait for their rate."""

import uvloop

from relay.base.route import LaneLimits, Route
from relay.traffic.lanes import Lanes
from relay.traffic.settings import TrafficSettings
from relay.traffic.site_rule import OneRule, SiteRule
from tests.fakes.clock import ManualClock
from tests.fakes.routes import route


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
