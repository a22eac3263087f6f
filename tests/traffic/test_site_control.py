"""A lane's control: down and up, shares, and what people are told of it."""

import pytest

from relay.base.outcome import Deferred, Delivered, Failed, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import LaneLimits
from relay.traffic.backoff import SiteBackoff
from relay.traffic.flow import Flow
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule

DOWN = Deferred(Scope.SITE, Reason.CONNECT, detail="no route to host")
OK = Delivered(Reply(250, "queued", "2.0.0"))
LOST = Deferred(Scope.SESSION, Reason.CONNECTION_LOST, detail="closed by the peer")
SLOWER = Deferred(Scope.MESSAGE, Reason.REFUSED, Reply(450, "rate limit exceeded", "4.7.1"))
SPAM = Failed(Scope.MESSAGE, Reason.REFUSED, Reply(550, "looks like spam", "5.7.1"))


@pytest.fixture
def control() -> SiteControl:
    return SiteControl(SiteRule(connections=8), SiteBackoff(30, 300))


def test_down_and_up_again(control: SiteControl) -> None:
    assert not control.is_down(100.0)
    control.unreachable(100.0, DOWN, 0.5)
    assert (control.is_down(129.9), control.is_down(130.0)) == (True, False)
    control.unreachable(130.0, DOWN, 0.5)
    assert (control.is_down(189.9), control.is_down(190.0)) == (True, False)
    control.reached(131.0)
    assert not control.is_down(131.0)
    control.heard(132.0, [OK], 0.1)
    control.unreachable(200.0, DOWN, 0.5)
    assert control.retry_at == 230.0  # the doubling starts anew


def test_a_site_that_greets_and_drops_everything_is_left_alone_for_longer_each_time(
    control: SiteControl,
) -> None:
    now, waits = 0.0, []
    for _ in range(5):
        control.reached(now)
        while not control.is_down(now):
            now += 1.0
            control.heard(now, [LOST], 0.5)
        waits.append(control.retry_at - now)
        now = control.retry_at
    assert waits == [30.0, 60.0, 120.0, 240.0, 300.0]
    assert control.limits.connections == 1


def test_after_a_time_of_being_down_it_grows_from_one_connection(control: SiteControl) -> None:
    assert control.limits.connections == 5
    control.unreachable(0.0, DOWN, 0.5)
    control.reached(31.0)
    grown = [control.limits.connections]
    for number in range(40):
        control.heard(32.0 + number, [OK], 0.1)
        if control.limits.connections != grown[-1]:
            grown.append(control.limits.connections)
    assert grown == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_operator_may_want_it_tried_at_once(control: SiteControl) -> None:
    control.unreachable(0.0, DOWN, 0.5)
    control.forgive(1.0)
    assert not control.is_down(1.0)
    assert control.failures == 0


def test_a_share_bounds_the_connections_until_all_is_ours_again() -> None:
    control = SiteControl(SiteRule(connections=5, messages_per_connection=7), SiteBackoff())
    control.share(2, None)
    assert control.limits == LaneLimits(2, 7)
    control.share(9, None)
    assert control.limits == LaneLimits(5, 7)
    control.share(0, None)
    assert control.limits.connections == 0
    control.share(None, None)
    assert control.limits == LaneLimits(5, 7)


def test_a_share_bounds_the_rate() -> None:
    control = SiteControl(SiteRule(rate_per_s=10.0), SiteBackoff())
    control.share(None, 4.0)
    assert control.describe(0.0)["rate_per_s"] == 4.0
    control.share(None, 40.0)
    assert control.describe(0.0)["rate_per_s"] == 10.0
    control.share(None, None)
    assert control.describe(0.0)["rate_per_s"] == 10.0


def test_limits_are_the_same_object_until_they_change(control: SiteControl) -> None:
    before = control.limits
    control.heard(1.0, [OK], 0.1)
    assert control.limits is before
    for number in range(5):
        control.heard(2.0 + number, [OK], 0.1)
    assert control.limits is not before


def test_what_one_account_is_refused_slows_no_one(control: SiteControl) -> None:
    before = control.limits
    for number in range(1000):
        control.heard(float(number), [SPAM], 0.1)
    assert control.limits is before
    assert control.wait_s(1000.0) == 0.0
    assert control.describe(1000.0)["refused_by_policy"] == 1000


def test_states_and_their_reasons(control: SiteControl) -> None:
    told = [control.describe(0.0)]
    control.heard(1.0, [OK], 0.1)
    control.heard(2.0, [SLOWER], 0.1)
    told.append(control.describe(2.0))
    control.took(3.0, 1)
    control.heard(3.2, [OK], 0.1)
    told.append(control.describe(3.2))
    control.unreachable(4.0, DOWN, 0.5)
    told.append(control.describe(4.0))
    control.reached(35.0)
    told.append(control.describe(35.0))
    assert [one["state"] for one in told] == ["open", "pausing", "paced", "down", "probing"]
    assert [str(one["why"])[:22] for one in told] == [
        "",
        "the receiver asked for",
        "rate found after the r",
        "connect: no route to h",
        "connect: no route to h",
    ]
    assert told[3]["retry_in_s"] == 30.0


def test_a_crowded_receiver_names_its_cap(control: SiteControl) -> None:
    busy = Deferred(Scope.SITE, Reason.BUSY, Reply(421, "too many connections", "4.7.0"))
    control.crowded(0.0, busy, 3)
    assert control.limits.connections == 3
    assert control.describe(1.0)["why"] == "the receiver refused more connections"


def test_lanes_may_share_a_flow_but_not_a_breaker() -> None:
    flow = Flow(SiteRule(connections=8, name="big", is_rollup=True), "rule:big")
    one, other = (SiteControl(flow.rule, SiteBackoff(30, 300), flow) for _ in range(2))
    one.unreachable(0.0, DOWN, 0.5)
    assert one.is_down(1.0)
    assert not other.is_down(1.0)
    assert other.limits.connections == 5
    one.heard(2.0, [SLOWER], 0.1)
    assert other.wait_s(2.1) > 0.5
    assert one.limits == other.limits == LaneLimits(5, 1000, "rule:big")


def test_who_was_turned_away_and_has_no_share_says_so() -> None:
    control = SiteControl(SiteRule(connections=4), SiteBackoff())
    control.share(0, None)
    assert control.describe(0.0)["why"] == "other workers use all connections of the rule"
    control.turned_away()
    said = control.describe(0.0)
    assert (said["crowded"], said["connections"]) == (1, 0)
    assert said["why"].startswith("the receiver refused more connections")
