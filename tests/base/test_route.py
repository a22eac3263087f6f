"""Which mail shares a lane, and so its connections: source, site, and what is asked of TLS."""

from dataclasses import replace

from relay.base.message import TlsWish
from relay.base.route import Host, Route, Source, TlsMode
from relay.base.tls import TlsDemand
from relay.base.tls_session import TlsPolicy, TlsPolicyType

USUAL = Route("mx:mx.example", (Host("mx.example"),))
STS = TlsPolicy("example.org", TlsPolicyType.STS, (), ("mx.example",))


def test_each_demand_has_a_lane_of_its_own():
    routes = [
        USUAL,
        replace(USUAL, tls=TlsMode.ENCRYPT),
        replace(USUAL, tls=TlsMode.REQUIRED),
        replace(USUAL, demand=TlsDemand(has_dane=False)),
        replace(USUAL, demand=TlsDemand(sts=STS, is_sts_enforced=True)),
        replace(USUAL, demand=TlsDemand(is_requiretls=True)),
        replace(USUAL, demand=TlsDemand(is_requiretls=True, is_mx_secure=True)),
        replace(USUAL, source=Source("a")),
        replace(USUAL, source=Source("a"), tls=TlsMode.ENCRYPT),
    ]
    assert len({route.lane for route in routes}) == len(routes)
    assert {route.site for route in routes} == {"mx:mx.example"}
    assert USUAL.lane == "mx:mx.example"
    assert routes[-1].lane == "mx:mx.example!encrypt@a"


def test_what_asks_for_nothing_shares_the_usual_lane():
    for demand in (TlsDemand(is_mx_secure=True), TlsDemand(is_explicit=True)):
        assert replace(USUAL, demand=demand).lane == USUAL.lane
    tested = replace(USUAL, demand=TlsDemand(sts=STS)).lane  # else its sessions are not put to the test
    assert tested == f"{USUAL.lane}!sts-testing:{STS.domain}"


def test_a_wish_is_worked_out_once():
    """Whoever compares routes by identity sees no change from message to message."""
    assert USUAL.wished(TlsWish.NONE) is USUAL
    for wish in (TlsWish.REQUIRED, TlsWish.OPTIONAL):
        wished = USUAL.wished(wish)
        assert wished.lane != USUAL.lane
        assert USUAL.wished(wish) is wished


def test_a_route_without_hosts_has_nothing_to_ask_of_tls() -> None:
    route = Route("simulator", ())
    assert all(route.wished(wish) is route for wish in TlsWish)
