"""The order of hosts, and which of their addresses are tried."""

import pytest

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Host, Route, Source
from relay.base.tls import TlsDemand
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType
from relay.transport import connect
from relay.transport.answers import Answer, Status
from relay.transport.commands import Offers
from relay.transport.connect import Connector, in_order, is_public
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_policy import TlsContexts


def test_preferences_first_and_equals_shuffled():
    hosts = (
        Host("c", preference=20),
        Host("a", preference=10),
        Host("b", preference=10),
        Host("d", preference=30),
    )
    assert [h.name for h in in_order(hosts, lambda group: group.reverse())] == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # where clouds keep their secrets
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff0e::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),  # DNS64
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b:1::8.8.8.8", False),
        ("2002:808:808::1", True),
        ("2002:7f00:1::1", False),
        ("::127.0.0.1", False),
        ("fec0::1", False),
    ],
)
def test_which_addresses_are_of_the_internet(address, is_it):
    assert is_public(address) is is_it


class Addresses:
    """What the DNS says, and whom it was asked about."""

    def __init__(self, **hosts):
        self.hosts = {name.replace("_", "."): found for name, found in hosts.items()}

    async def addresses(self, host):
        found = self.hosts.get(host, (host,))
        return Answer(Status.FOUND, addresses=found)


@pytest.fixture
def opened(monkeypatch):
    """The addresses that are tried; none answers."""
    tried = []

    async def open_session(host, address, route, *_):
        tried.append(address)
        return Deferred(Scope.SITE, Reason.CONNECT, None, f"{address} does not answer")

    monkeypatch.setattr(connect, "open_session", open_session)
    return tried


async def attempt(names, site, *hosts, allowed):
    settings = SessionSettings(is_private_allowed=allowed)
    connector = Connector(names, TlsContexts(""), settings, lambda group: None, 8)
    return await connector.connect(Route(site, tuple(Host(name, 25, n) for n, name in enumerate(hosts))))


async def test_a_host_found_by_mx_is_not_looked_for_on_private_addresses(opened):
    names = Addresses(inside_example=("127.0.0.1", "10.0.0.1"), both_example=("10.0.0.2", "8.8.8.8"))
    failure = await attempt(
        names, "mx:both.example,inside.example", "inside.example", "both.example", allowed=False
    )
    assert opened == ["8.8.8.8"]
    assert failure.detail == "8.8.8.8 does not answer"
    failure = await attempt(names, "mx:inside.example", "inside.example", allowed=False)
    assert opened == ["8.8.8.8"]
    assert (failure.scope, failure.reason) == (Scope.SITE, Reason.CONNECT)
    assert (
        "inside.example has only addresses that are not of the Internet (127.0.0.1, 10.0.0.1)"
        in failure.detail
    )
    assert '[delivery] private_addresses = "allow"' in failure.detail


async def test_an_address_literal_is_no_way_around_it(opened):
    assert isinstance(await attempt(Addresses(), "mx:127.0.0.1", "127.0.0.1", allowed=False), Deferred)
    assert opened == []


@pytest.mark.parametrize(("site", "allowed"), [("mx:inside.example", True), ("hop:inside.example:25", False)])
async def test_where_it_is_allowed_or_configured_it_is_tried(opened, site, allowed):
    await attempt(Addresses(inside_example=("127.0.0.1",)), site, "inside.example", allowed=allowed)
    assert opened == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("source", "tried"),
    [
        (Source(), ["::6", "192.0.2.4", "::7", "192.0.2.5"]),
        (Source("s", prefer="ipv4"), ["192.0.2.4", "192.0.2.5", "::6", "::7"]),
        (Source("s", ("192.0.2.1", "::1"), prefer="ipv6"), ["::6", "::7", "192.0.2.4", "192.0.2.5"]),
        (Source("s", ("192.0.2.1",)), ["192.0.2.4", "192.0.2.5"]),
        (Source("s", ("::1",)), ["::6", "::7"]),
    ],
)
async def test_a_source_says_which_families_are_tried_and_in_which_order(opened, source, tried):
    names = Addresses(both=("::6", "192.0.2.4", "::7", "192.0.2.5"))
    connector = Connector(names, TlsContexts(""), SessionSettings(), lambda group: None, 8)
    await connector.connect(Route("hop:both", (Host("both"),), source=source))
    assert opened == tried


async def test_a_host_without_an_address_of_the_family_of_the_source_is_told_with_the_setting(opened):
    names = Addresses(six=("::6",))
    connector = Connector(names, TlsContexts(""), SessionSettings(), lambda group: None, 8)
    failure = await connector.connect(Route("hop:six", (Host("six"),), source=Source("s", ("192.0.2.1",))))
    assert opened == []
    assert failure.detail == 'six has no address of a family that [[source]] "s" addresses has'


class Outcomes(list):
    """What the receivers' reports are made of."""

    def note(self, session):
        self.append((session.policy.type, session.failure, session.host))


def session_of(host, log, *, offers):
    class Opened(Session):
        def __init__(self):
            self.offers = Offers(requiretls=offers)

        async def end(self):
            log.append(f"{host.name} ended")

        def abort(self):
            log.append(f"{host.name} ended")

    return Opened()


@pytest.mark.parametrize(
    ("answers", "offering", "chosen", "ended"),
    [
        ("ab", "ab", "a", []),
        ("ab", "b", "b", ["a.example ended"]),
        ("ab", "", "a", ["b.example ended"]),
        ("b", "b", "b", []),
        ("a", "", "", ["a.example ended"]),  # the other may offer it: no one knows yet
        ("b", "", "", ["b.example ended"]),
    ],
)
async def test_requiretls_prefers_the_host_that_offers_it(monkeypatch, answers, offering, chosen, ended):
    log, made = [], {}

    async def open_session(host, *_):
        if host.name[0] not in answers:
            return Deferred(Scope.SITE, Reason.CONNECT, None, "no answer")
        made[host.name] = session_of(host, log, offers=host.name[0] in offering)
        return made[host.name]

    monkeypatch.setattr(connect, "open_session", open_session)
    hosts = (Host("a.example", 25, 1), Host("b.example", 25, 2))
    route = Route("mx:a.example,b.example", hosts, demand=TlsDemand(is_requiretls=True, is_mx_secure=True))
    names = Addresses(a_example=("192.0.2.1",), b_example=("192.0.2.2",))
    connector = Connector(names, TlsContexts(""), SessionSettings(), lambda group: None, 8)
    found = await connector.connect(route)
    if chosen:
        assert found is made[f"{chosen}.example"]
    else:
        assert (found.reason, found.detail) == (Reason.CONNECT, "no answer")
    assert log == ended


async def test_a_host_that_does_not_fit_is_passed_over_and_noted(opened):
    sts = TlsPolicy("example.org", TlsPolicyType.STS, (), ("b.example",))
    hosts = (Host("a.example", 25, 1), Host("b.example", 25, 2))
    route = Route("mx:a.example,b.example", hosts, demand=TlsDemand(sts=sts, is_sts_enforced=True))
    names, noted = Addresses(a_example=("192.0.2.1",), b_example=("192.0.2.2",)), Outcomes()
    connector = Connector(names, TlsContexts(""), SessionSettings(), lambda group: None, 8, noted)
    await connector.connect(route)
    assert opened == ["192.0.2.2"]
    assert noted == [(TlsPolicyType.STS, TlsFailure.VALIDATION_FAILURE, "a.example")]
    route = Route("mx:a.example", hosts[:1], demand=route.demand)
    failure = await connector.connect(route)
    assert (failure.scope, failure.reason) == (Scope.SITE, Reason.TLS)
    assert failure.detail == "the MTA-STS policy of example.org does not name a.example"
