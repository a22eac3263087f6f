"""The resolver against a real DNS server on loopback."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay.base.errors import ConfigError
from relay.transport import resolve
from relay.transport.answers import CacheSettings, Mx, Status
from relay.transport.resolve import Resolver
from tests.fakes.clock import ManualClock
from tests.fakes.dns import SILENT, FakeDns


@asynccontextmanager
async def resolving(zone, timeout_s=5.0, negative_ttl=60, dnssec="off", **settings):
    clock = ManualClock()
    async with FakeDns(zone, negative_ttl) as dns, AsyncExitStack() as stack:
        resolver = Resolver(clock, dns.address, timeout_s, CacheSettings(**settings), dnssec)
        await resolver.start(stack)
        yield resolver, dns, clock


async def test_mx_records_come_sorted_and_in_lower_case():
    async with resolving({"example.net": {"MX": ["20 Backup.Example.NET.", "10 mx1.example.net."]}}) as (
        resolver,
        _,
        _,
    ):
        answer = await resolver.mx("example.net")
        assert answer.status is Status.FOUND
        assert answer.mx == (Mx(10, "mx1.example.net"), Mx(20, "backup.example.net"))


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (None, Status.NO_DOMAIN),
        ({"A": ["192.0.2.1"]}, Status.EMPTY),
        ("SERVFAIL", Status.TEMPORARY),
        ("REFUSED", Status.TEMPORARY),
        ({"MX": ["0 ."]}, Status.FOUND),
    ],
)
async def test_kinds_of_answers(entry, status):
    async with resolving({"example.net": entry} if entry else {}) as (resolver, _, _):
        assert (await resolver.mx("example.net")).status is status


async def test_the_null_mx_is_an_empty_host():
    async with resolving({"example.net": {"MX": ["0 ."]}}) as (resolver, _, _):
        assert (await resolver.mx("example.net")).mx == (Mx(0, ""),)


async def test_a_silent_server_is_temporary():
    async with resolving({"example.net": SILENT}, timeout_s=0.2) as (resolver, _, _):
        answer = await resolver.mx("example.net")
        assert answer.status is Status.TEMPORARY
        assert resolver.failures == 1
        assert resolver.failures_by_kind == {"network": 0, "refused": 0, "timeout": 1}
        assert resolver.seconds.count == resolver.questions == 1


async def test_what_the_cache_answers_is_counted():
    async with resolving({"example.net": {"MX": ["10 mx.example.net."]}}) as (resolver, _, _):
        for _ in range(3):
            await resolver.mx("example.net")
        assert (resolver.questions, resolver.hits, resolver.seconds.count) == (1, 2, 1)


async def test_a_truncated_answer_is_asked_for_again_over_tcp():
    zone = {"example.net": {"MX": [f"{n} mx{n}.example.net." for n in range(100)], "truncated": True}}
    async with resolving(zone) as (resolver, dns, _):
        assert len((await resolver.mx("example.net")).mx) == 100
        assert dns.asked == [("example.net", "MX", "udp"), ("example.net", "MX", "tcp")]


async def test_a_cname_is_followed():
    zone = {
        "alias.example": {"CNAME": ["example.net."], "ttl": 20},
        "example.net": {"MX": ["10 mx1.example.net."]},
    }
    async with resolving(zone) as (resolver, dns, clock):
        assert (await resolver.mx("alias.example")).mx == (Mx(10, "mx1.example.net"),)
        clock.advance(21)  # the shorter TTL of the chain counts
        await resolver.mx("alias.example")
        assert len(dns.asked) == 2


async def test_addresses_of_both_families_alternate():
    zone = {"mx.example.net": {"A": ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "AAAA": ["2001:db8::1"]}}
    async with resolving(zone) as (resolver, _, _):
        answer = await resolver.addresses("mx.example.net")
        assert answer.addresses[0] == "2001:db8::1"
        assert sorted(answer.addresses[1:]) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


async def test_a_literal_asks_nobody():
    async with resolving({}) as (resolver, dns, _):
        assert (await resolver.addresses("2001:db8::1")).addresses == ("2001:db8::1",)
        assert dns.asked == []


@pytest.mark.parametrize(("ttl", "kept_s"), [(0, 10), (5, 10), (300, 300), (86400, 3600)])
async def test_answers_are_kept_for_their_ttl_within_bounds(ttl, kept_s):
    async with resolving({"example.net": {"MX": ["10 a."], "ttl": ttl}}) as (resolver, dns, clock):
        await resolver.mx("example.net")
        clock.advance(kept_s - 1)
        await resolver.mx("EXAMPLE.net.")
        assert len(dns.asked) == 1
        clock.advance(2)
        await resolver.mx("example.net")
        assert len(dns.asked) == 2


@pytest.mark.parametrize(("minimum", "kept_s"), [(1, 10), (60, 60), (9999, 300)])
async def test_names_that_do_not_exist_are_kept_too(minimum, kept_s):
    async with resolving({}, negative_ttl=minimum) as (resolver, dns, clock):
        await resolver.mx("example.net")
        clock.advance(kept_s - 1)
        assert (await resolver.mx("example.net")).status is Status.NO_DOMAIN
        assert len(dns.asked) == 1
        clock.advance(2)
        await resolver.mx("example.net")
        assert len(dns.asked) == 2


async def test_trouble_is_forgotten_soon():
    async with resolving({"example.net": "SERVFAIL"}) as (resolver, dns, clock):
        await resolver.mx("example.net")
        await resolver.mx("example.net")
        assert resolver.questions == 1
        dns.zone["example.net"] = {"MX": ["10 a."]}
        clock.advance(6)
        assert (await resolver.mx("example.net")).status is Status.FOUND


async def test_the_same_question_at_the_same_time_is_asked_once():
    async with resolving({"example.net": {"MX": ["10 a."]}}) as (resolver, dns, _):
        dns.release.clear()
        asking = [asyncio.create_task(resolver.mx("example.net")) for _ in range(10)]
        while not dns.asked:
            await asyncio.sleep(0)
        asking[0].cancel()  # does not take the answer from the others
        dns.release.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert {a.status for a in answers[1:]} == {Status.FOUND}
        assert len(dns.asked) == 1


async def test_more_questions_than_the_loop_can_answer_in_time_wait_for_their_turn(monkeypatch):
    monkeypatch.setattr(resolve, "AT_ONCE", 3)
    names = [f"d{number}.example" for number in range(10)]
    async with resolving({name: {"MX": [f"10 mx.{name}."]} for name in names}, timeout_s=60.0) as (
        resolver,
        dns,
        _,
    ):
        dns.release.clear()
        asking = [asyncio.create_task(resolver.mx(name)) for name in names]
        while len(dns.asked) < 3:
            await asyncio.sleep(0)
        assert resolver.questions == 3, "the others are not asked before one of these is answered"
        dns.release.set()
        answers = await asyncio.gather(*asking)
    assert [answer.mx[0].host for answer in answers] == [f"mx.{name}" for name in names]


async def test_a_name_that_cannot_exist_is_not_asked_for():
    async with resolving({}) as (resolver, dns, _):
        assert (await resolver.mx("a" * 64 + ".example")).status is Status.NO_DOMAIN
        assert (await resolver.mx("a..example")).status is Status.NO_DOMAIN
        assert dns.asked == []


def test_a_resolver_must_be_an_address():
    with pytest.raises(ConfigError, match="IP address"):
        Resolver(ManualClock(), "localhost:53")


async def test_an_address_has_names_backwards_and_kinds_are_asked_for_one_by_one():
    zone = {
        "1.2.0.192.in-addr.arpa": {"PTR": ["Relay.Example.NET.", "other.example."]},
        "relay.example.net": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    }
    async with resolving(zone) as (resolver, _, _):
        assert sorted((await resolver.ptr("192.0.2.1")).texts) == ["other.example", "relay.example.net"]
        assert (await resolver.ptr("2001:db8::1")).status is Status.NO_DOMAIN
        assert (await resolver.ask("relay.example.net", "A")).addresses == ("192.0.2.1",)
        assert (await resolver.ask("relay.example.net", "AAAA")).addresses == ("2001:db8::1",)


SIGNED = {
    "mx.example": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"], "MX": ["10 mx.example."], "secure": True},
    "_25._tcp.mx.example": {"TLSA": ["3 1 1 " + 64 * "0", "2 0 2 " + 128 * "a"], "secure": True},
    "half.example": {"CNAME": ["open.example."], "secure": True},
    "alias.example": {"CNAME": ["mx.example."], "secure": True},
    "open.example": {"A": ["192.0.2.2"]},
}


@pytest.mark.parametrize("dnssec", ["auto", "trust"])
async def test_a_resolver_on_this_machine_vouches_for_what_it_validated(dnssec):
    async with resolving(SIGNED, dnssec=dnssec) as (resolver, _, _):
        assert (await resolver.mx("mx.example")).is_secure
        both = await resolver.addresses("mx.example")
        assert (both.is_secure, both.canonical) == (True, "mx.example")
        alias = await resolver.addresses("alias.example")
        assert (alias.is_secure, alias.canonical) == (True, "mx.example")
        half = await resolver.addresses("half.example")
        assert (half.is_secure, half.canonical) == (False, "open.example")
        assert (await resolver.cname("half.example")).is_secure
        assert not (await resolver.addresses("open.example")).is_secure
        tlsa = await resolver.tlsa("_25._tcp.mx.example")
        assert tlsa.is_secure
        assert [str(one) for one in tlsa.tlsa] == ["2 0 2 " + 128 * "a", "3 1 1 " + 64 * "0"]


async def test_where_its_word_does_not_count_nothing_is_secure():
    async with resolving(SIGNED, dnssec="off") as (resolver, _, _):
        assert not (await resolver.mx("mx.example")).is_secure
        addresses = await resolver.addresses("mx.example")
        assert (addresses.is_secure, addresses.canonical) == (False, "")


def test_a_resolver_elsewhere_counts_only_if_it_is_trusted():
    for dnssec, is_trusted in (("auto", False), ("trust", True), ("off", False)):
        assert Resolver(ManualClock(), "192.0.2.53:53", dnssec=dnssec).is_trusted is is_trusted
