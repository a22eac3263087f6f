"""Who shares what: domains of one MX set, lanes of one site, sites of one rule."""

import gc

import pytest

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import Host, Route, Source, TlsMode
from relay.traffic.backoff import SiteBackoff
from relay.traffic.controls import Controls
from relay.traffic.shaping import Shaping, ShapingRule
from relay.traffic.site_rule import SiteRule

SLOWER = Deferred(Scope.MESSAGE, Reason.REFUSED, Reply(450, "rate limit exceeded", "4.7.1"))
BIG = ShapingRule(SiteRule(4, 50, name="big", is_rollup=True), mx=("*.protection.example",))


def route(*hosts: str, source: str = "", tls: TlsMode = TlsMode.OPPORTUNISTIC) -> Route:
    named = tuple(Host(name) for name in hosts)
    return Route("mx:" + ",".join(sorted(hosts)), named, tls, source=Source(source))


@pytest.fixture
def controls() -> Controls:
    return Controls(Shaping(ShapingRule(SiteRule(9)), [BIG]), SiteBackoff())


def test_lanes_of_one_site_that_differ_in_tls_share_pace_and_connections(controls: Controls) -> None:
    plain, required = route("a.example"), route("a.example", tls=TlsMode.REQUIRED)
    assert plain.lane != required.lane
    one, other = controls.open(plain), controls.open(required)
    one.heard(1.0, [SLOWER], 0.1)
    assert other.wait_s(1.0) > 0
    assert one.limits is other.limits
    assert one.limits.group == "mx:a.example"


def test_sites_of_a_rule_with_rollup_share_and_others_do_not(controls: Controls) -> None:
    one = controls.open(route("a.protection.example"))
    other = controls.open(route("b.protection.example"))
    stranger = controls.open(route("mx.example.org"))
    one.heard(1.0, [SLOWER], 0.1)
    assert other.wait_s(1.0) > 0
    assert stranger.wait_s(1.0) == 0
    assert one.limits is other.limits
    assert one.limits.group == "rule:big"
    assert one.limits.connections == 4


def test_sources_do_not_share(controls: Controls) -> None:
    one = controls.open(route("a.protection.example", source="x"))
    other = controls.open(route("a.protection.example", source="y"))
    one.heard(1.0, [SLOWER], 0.1)
    assert other.wait_s(1.0) == 0
    assert (one.limits.group, other.limits.group) == ("rule:big@x", "rule:big@y")


def test_new_rules_bound_what_is_there_and_keep_what_it_knows(controls: Controls) -> None:
    where, elsewhere = route("a.protection.example"), route("mx.example.org")
    one, other = controls.open(where), controls.open(elsewhere)
    other.heard(1.0, [SLOWER], 0.1)
    controls.replace_rules(Shaping(ShapingRule(SiteRule(3, 10))))
    for lane, control in ((where, one), (elsewhere, other)):
        controls.renew(lane, control)
    assert (one.limits.connections, one.limits.group) == (3, "mx:a.protection.example")
    assert other.limits.connections == 3
    assert other.wait_s(1.0) > 0


def test_a_flow_goes_with_its_last_lane(controls: Controls) -> None:
    where = route("a.protection.example")
    one = controls.open(where)
    one.heard(1.0, [SLOWER], 0.1)
    del one
    gc.collect()
    assert controls.open(where).wait_s(1.0) == 0
