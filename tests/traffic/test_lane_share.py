"""What a worker knows of its share: summed over lanes, passed on to their control."""

from relay.base.message import Attempt
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Host, Route
from relay.traffic.backoff import SiteBackoff
from relay.traffic.controls import Controls
from relay.traffic.lane_share import LaneShare, Needs, name_of
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_rule import OneRule, SiteRule
from tests.fakes.spool import message

RULE = SiteRule(connections=6, rate_per_s=5.0, name="big", is_rollup=True)


def lanes(*sites: str) -> dict[str, ReadyQueue]:
    controls = Controls(OneRule(RULE), SiteBackoff())
    made = {}
    for site in sites:
        route = Route(site, (Host("mx"),))
        made[route.lane] = ReadyQueue(route, controls.open(route))
    return made


def put(queue: ReadyQueue, count: int) -> None:
    one = message("a@b.example")
    for _ in range(count):
        queue.push(Attempt(one, one.recipients, queue.route.lane))


def test_needs_are_sums_without_what_is_down_or_gone() -> None:
    queues = lanes("mx:a", "mx:b", "mx:c", "mx:d")
    share = LaneShare(name_of(queues["mx:a"]), RULE)
    assert share.name == "rule:big"
    for queue in queues.values():
        share.take_in(queue)
        assert queue.slots is share.slots
    put(queues["mx:a"], 3)
    put(queues["mx:b"], 4)
    queues["mx:b"].control.unreachable(100.0, Deferred(Scope.SITE, Reason.CONNECT), 0.5)
    held = {"mx:a": (2, 1, 2), "mx:c": (1, 1, 0)}
    known = {lane: queue for lane, queue in queues.items() if lane != "mx:d"}
    needs = share.needs(100.0, lambda lane: held.get(lane, (0, 0, 0)), known.get)
    assert needs == (3, 3, 2, ["mx:d"], 2)
    assert share.queued == 7
    assert list(share.queues) == ["mx:a", "mx:b", "mx:c"]


def test_connections_are_passed_on_to_every_lane() -> None:
    queues = lanes("mx:a", "mx:b")
    share = LaneShare("rule:big", RULE)
    for queue in queues.values():
        share.take_in(queue)
    told: list[str] = []
    share.apply(2, lambda queue: told.append(queue.route.lane))
    assert told == ["mx:a", "mx:b"]
    assert (share.connections, queues["mx:a"].control.limits.connections) == (2, 2)


def test_connections_that_idle_for_a_moment_are_wanted_while_mail_keeps_coming() -> None:
    share = LaneShare("rule:big", RULE)
    assert share.wanted(Needs(5, 0, 0, []), 100.0) == 5
    assert share.wanted(Needs(0, 4, 4, []), 100.1) == 4
    share.is_active = True
    assert share.wanted(Needs(0, 4, 4, []), 101.0) == 4
    assert share.wanted(Needs(0, 4, 4, []), 102.0) == 4
    assert share.wanted(Needs(0, 4, 4, []), 103.0) == 0  # nothing has come for a second
    assert share.wanted(Needs(99, 4, 0, []), 104.0) == 6  # no more than the rule has
