"""From a domain to a route: rules, MX, fallback, loops, and what is remembered."""

import time
from dataclasses import replace

import pytest

from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.route import Host, Route, TlsMode
from relay.base.suppression import ON_ACCOUNT_LIST_FOR_COMPLAINT, ON_SERVICE_LIST
from relay.codec.mta_sts import StsMode, StsPolicy
from relay.transport.answers import Answer, Mx, Status
from relay.transport.mail_exchangers import hosts_of
from relay.transport.route import Router, is_next_hop
from relay.transport.rules import RoutingRule
from relay.transport.simulator import ROUTE as SIMULATOR
from relay.transport.suppressed import ROUTE as SUPPRESSED
from relay.transport.tls_rules import TlsRule
from tests.fakes.clock import ManualClock

NOWHERE = Answer(Status.NO_DOMAIN, detail="does not exist")
DEAD = Answer(Status.TEMPORARY, detail="no answer")


class Dns:
    """MX records and addresses from two dicts; a name in neither does not exist."""

    def __init__(self, clock, mx=None, hosts=None, ttl=300):
        self.clock, self.by_domain, self.by_host, self.ttl = clock, mx or {}, hosts or {}, ttl
        self.asked = []

    async def mx(self, domain):
        self.asked.append(domain)
        found = self.by_domain.get(domain)
        if isinstance(found, Answer):
            return found
        expires_at = self.clock.monotonic() + self.ttl
        if found:
            return Answer(Status.FOUND, mx=tuple(Mx(p, h) for p, h in found), expires_at=expires_at)
        return Answer(Status.EMPTY, expires_at=expires_at) if domain in self.by_host else NOWHERE

    async def addresses(self, host):
        found = self.by_host.get(host)
        if isinstance(found, Answer):
            return found
        expires_at = self.clock.monotonic() + self.ttl
        return Answer(Status.FOUND if found else Status.EMPTY, addresses=tuple(found), expires_at=expires_at)


MX = {
    "example.net": [(20, "mx2.example.net"), (10, "mx1.example.net")],
    "same.example": [(5, "mx2.example.net"), (5, "mx1.example.net")],
    "null.example": [(0, "")],
    "null-and-more.example": [(0, ""), (10, "mx1.example.net")],
    "we-are-best.example": [(10, "relay.example"), (20, "mx1.example.net")],
    "we-are-backup.example": [
        (10, "mx1.example.net"),
        (20, "relay.example"),
        (20, "x.example"),
        (30, "y.example"),
    ],
    "twice.example": [(10, "mx1.example.net"), (20, "mx1.example.net")],
    "broken.example": DEAD,
}
HOSTS = {
    "host.example": ["192.0.2.1"],
    "text.example": [],
    "relay.example": ["192.0.2.25"],
    "half.example": DEAD,
}


def routing(**more):
    clock = ManualClock()
    dns = Dns(clock, MX, HOSTS)
    return Router(dns, clock, ("Relay.Example", "192.0.2.25"), **more), dns, clock


@pytest.mark.parametrize(
    ("domain", "site", "hosts"),
    [
        ("example.net", "mx:mx1.example.net,mx2.example.net", ["mx1.example.net", "mx2.example.net"]),
        ("same.example", "mx:mx1.example.net,mx2.example.net", ["mx1.example.net", "mx2.example.net"]),
        ("null-and-more.example", "mx:mx1.example.net", ["mx1.example.net"]),
        ("we-are-backup.example", "mx:mx1.example.net", ["mx1.example.net"]),
        ("twice.example", "mx:mx1.example.net", ["mx1.example.net"]),
        ("host.example", "mx:host.example", ["host.example"]),
        ("[192.0.2.7]", "mx:192.0.2.7", ["192.0.2.7"]),
        ("[IPv6:2001:db8::7]", "mx:2001:db8::7", ["2001:db8::7"]),
    ],
)
async def test_routes(domain, site, hosts):
    router, _, _ = routing()
    route = await router.find(domain)
    assert isinstance(route, Route)
    assert (route.site, [h.name for h in route.hosts]) == (site, hosts)
    assert {h.port for h in route.hosts} == {25}
    assert router.cached(domain) is route


@pytest.mark.parametrize(
    ("domain", "outcome", "scope", "reason"),
    [
        ("nowhere.example", Failed, Scope.RECIPIENT, Reason.NO_DOMAIN),
        ("text.example", Failed, Scope.RECIPIENT, Reason.NO_DOMAIN),
        ("", Failed, Scope.RECIPIENT, Reason.NO_DOMAIN),
        ("[not-an-address]", Failed, Scope.RECIPIENT, Reason.NO_DOMAIN),
        ("[2001:db8::1]", Failed, Scope.RECIPIENT, Reason.NO_DOMAIN),
        ("null.example", Failed, Scope.RECIPIENT, Reason.NULL_MX),
        ("we-are-best.example", Failed, Scope.RECIPIENT, Reason.LOOP),
        ("relay.example", Failed, Scope.RECIPIENT, Reason.LOOP),
        ("[192.0.2.25]", Failed, Scope.RECIPIENT, Reason.LOOP),
        ("broken.example", Deferred, Scope.SITE, Reason.DNS_TEMPORARY),
        ("half.example", Deferred, Scope.SITE, Reason.DNS_TEMPORARY),
    ],
)
async def test_domains_without_a_route(domain, outcome, scope, reason):
    router, _, _ = routing()
    found = await router.find(domain)
    assert isinstance(found, outcome)
    assert (found.scope, found.reason) == (scope, reason)
    assert router.cached(domain) is None


async def test_a_route_is_known_until_its_records_expire():
    router, dns, clock = routing()
    assert router.cached("example.net") is None
    await router.find("example.net")
    clock.advance(299)
    await router.find("example.net")
    assert dns.asked == ["example.net"]
    clock.advance(2)
    assert router.cached("example.net") is None
    await router.find("example.net")
    assert len(dns.asked) == 2


async def test_rules_come_first_and_can_be_replaced():
    router, dns, clock = routing(rules=[RoutingRule("example.net", "127.0.0.1:2525")])
    route = await router.find("example.net")
    assert route.hosts == (Host("127.0.0.1", 2525),)
    clock.advance(1e9)
    assert router.cached("example.net") is route
    router.replace_rules([])
    assert router.cached("example.net") is None
    assert (await router.find("example.net")).site.startswith("mx:")
    assert dns.asked == ["example.net"]


async def test_a_domain_may_be_set_apart_from_others_behind_the_same_hosts():
    def apart(domain, route):
        return replace(route, site=f"{route.site}#small") if domain == "same.example" else route

    router, _, _ = routing(set_apart=apart)
    shared, alone = await router.find("example.net"), await router.find("same.example")
    assert {host.name for host in alone.hosts} == {host.name for host in shared.hosts}
    assert alone.lane == f"{shared.lane}#small"
    assert router.cached("same.example") is alone


async def test_the_simulator_comes_before_rules_and_records():
    everything = [RoutingRule("*", "127.0.0.1:2525"), RoutingRule("simulator.example.net", "127.0.0.1:2526")]
    router, dns, _ = routing(rules=everything, simulator_domain="simulator.example.net")
    assert await router.find("simulator.example.net") is SIMULATOR
    assert router.cached("simulator.example.net") is SIMULATOR
    assert (await router.find("a.simulator.example.net")).site == "hop:127.0.0.1:2525"
    router.replace_rules([], "simulator.example.org")
    assert await router.find("simulator.example.org") is SIMULATOR
    assert (await router.find("simulator.example.net")).reason is Reason.NO_DOMAIN
    assert dns.asked == ["simulator.example.net"]


async def test_without_a_simulator_an_address_without_a_domain_is_not_its():
    router, _, _ = routing(simulator_domain="")
    assert (await router.find("")).reason is Reason.NO_DOMAIN


async def test_the_cache_is_bounded():
    router, _, _ = routing(limit=2)
    for domain in ("example.net", "same.example", "twice.example"):
        await router.find(domain)
    assert router.cached("example.net") is None
    assert router.cached("twice.example") is not None


async def test_a_known_route_costs_next_to_nothing():
    router, _, _ = routing()
    await router.find("example.net")
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(1000):
            router.cached("example.net")
        best = min(best, (time.perf_counter() - start) / 1000)
    assert best < 5e-6


def test_of_a_thousand_mx_records_the_best_are_tried():
    records = [Mx(n, f"mx{n}.example.net") for n in range(1000)]
    hosts = hosts_of("many.example", reversed(records), (), 25)
    assert [host.name for host in hosts] == [f"mx{n}.example.net" for n in range(20)]


@pytest.mark.parametrize(
    ("domain", "is_hop"),
    [
        ("example.org", False),
        ("", False),
        ("[IPv6:2001:db8::1]", False),
        ("[192.0.2.1]", False),
        ("example.org:25", True),
        ("192.0.2.1:25", True),
        ("[2001:db8::1]:25", True),
    ],
)
def test_a_colon_outside_of_brackets_is_a_next_hop(domain, is_hop):
    assert is_next_hop(domain) is is_hop


async def test_what_the_operator_rerouted_asks_no_dns_and_meets_no_rule_for_all():
    dns = Dns(ManualClock())
    rules = [RoutingRule("*", "all.example:25"), RoutingRule("x.example", "hop.example:26", TlsMode.NONE)]
    router = Router(dns, dns.clock, rules=rules)
    route = await router.find("hop.example:26")
    assert (route.site, route.tls, route.hosts) == (
        "hop:hop.example:26",
        TlsMode.NONE,
        (Host("hop.example", 26),),
    )
    assert router.cached("hop.example:26") is route
    assert (await router.find("[2001:db8::1]:25")).site == "hop:[2001:db8::1]:25"
    assert isinstance(await router.find("not:a:next:hop"), Deferred)
    assert dns.asked == []


async def test_a_route_is_found_anew_where_something_else_became_known():
    router, _, _ = routing()
    route = await router.find("example.net")
    router.forget("example.net")
    router.forget("never.example")
    assert router.cached("example.net") is None
    assert (await router.find("example.net")) == route


class Published:
    """MTA-STS policies by domain."""

    def __init__(self, **modes):
        self.modes = {f"{name}.example": StsMode(mode) for name, mode in modes.items()}
        self.asked = []

    async def find(self, domain):
        self.asked.append(domain)
        mode = self.modes.get(domain)
        return mode and StsPolicy(mode, ("mx1.example.net",), 3600, "1", ("version: STSv1",))


def secured_router(policies=None, *rules):
    clock = ManualClock()
    signed = Answer(Status.FOUND, mx=(Mx(1, "mx1.example.net"),), expires_at=1e9, is_secure=True)
    names = ("plain", "enforced", "tested", "nothing")
    mx = {f"{name}.example": [(1, "mx1.example.net")] for name in names}
    dns = Dns(clock, {**mx, "signed.example": signed})
    return Router(dns, clock, tls_rules=rules, policies=policies)


async def test_what_domains_publish_sets_their_mail_apart():
    router = secured_router(Published(enforced="enforce", tested="testing", nothing="none"))
    found = {
        name: await router.find(f"{name}.example") for name in ("plain", "enforced", "tested", "nothing")
    }
    assert len({route.site for route in found.values()}) == 1
    assert found["enforced"].lane.endswith("!sts:enforced.example")
    assert found["enforced"].demand.sts.mx == ("mx1.example.net",)
    assert found["nothing"].lane == found["plain"].lane
    assert found["tested"].lane.endswith("!sts-testing:tested.example")
    assert found["tested"].demand.sts is not None
    assert found["nothing"].demand.sts is None
    assert {name: route.domain for name, route in found.items()}["plain"] == "plain.example"


async def test_the_administrators_word_on_tls():
    published = Published(enforced="enforce")
    rules = (
        TlsRule("enforced.example", has_sts=False),
        TlsRule("plain.example", TlsMode.ENCRYPT),
        TlsRule("*.example", TlsMode.DANE_ONLY),
    )
    router = secured_router(published, *rules)
    assert (await router.find("enforced.example")).demand.sts is None
    assert (await router.find("plain.example")).tls is TlsMode.ENCRYPT
    signed = await router.find("signed.example")
    assert (signed.tls, signed.demand.is_mx_secure) == (TlsMode.DANE_ONLY, True)
    refused = await router.find("tested.example")
    assert (refused.scope, refused.reason) == (Scope.SITE, Reason.TLS)
    assert "DNSSEC does not vouch for the MX records of tested.example" in refused.detail
    assert published.asked == ["plain.example"]
    router.replace_rules([])
    assert (await router.find("plain.example")).tls is TlsMode.OPPORTUNISTIC


async def test_a_route_of_the_operator_says_its_own():
    router = Router(
        Dns(ManualClock()),
        ManualClock(),
        rules=[RoutingRule("*", "smart.example:25", TlsMode.OPPORTUNISTIC)],
        tls_rules=[TlsRule("*", TlsMode.REQUIRED)],
        policies=Published(plain="enforce"),
    )
    route = await router.find("plain.example")
    assert (route.tls, route.demand.sts) == (TlsMode.OPPORTUNISTIC, None)


async def test_what_is_suppressed_goes_nowhere_whatever_the_rules_say():
    clock = ManualClock()
    dns = Dns(clock)
    router = Router(dns, clock, rules=[RoutingRule("*", "127.0.0.1:2526")])
    for domain in (ON_SERVICE_LIST, ON_ACCOUNT_LIST_FOR_COMPLAINT):
        assert await router.find(domain) is SUPPRESSED
    assert dns.asked == []
