"""SPF through our resolver, against a DNS server on loopback: verdicts, counts, and reasons."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from relay.admin.spf import evaluate
from relay.transport.resolve import Resolver
from tests.fakes.clock import ManualClock
from tests.fakes.dns import FakeDns

HELO = "relay.example.net"


def spf(text: str) -> dict[str, list[str]]:
    return {"TXT": [f'"{text}"']}


ZONE = {
    "host.example": spf(f"v=spf1 a:{HELO} -all"),
    HELO: {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "mx.example": {"MX": [f"10 {HELO}."], **spf("v=spf1 mx ~all")},
    "included.example": spf("v=spf1 include:host.example ?all"),
    "split.example": {"TXT": ['"v=spf1 ip4:192.0.2" ".1 -all"', '"some other text"']},
    "alias.example": {"CNAME": ["host.example."]},
    "two.example": {"TXT": ['"v=spf1 -all"', '"v=spf1 +all"']},
    "broken.example": spf("v=spf1 ipv4:192.0.2.1 -all"),
    "down.example": spf("v=spf1 include:servfail.example -all"),
    "servfail.example": "SERVFAIL",
    "nothing.example": {"A": ["192.0.2.1"]},
    "many.example": spf("v=spf1 " + " ".join(f"a:h{n}.example" for n in range(12)) + " ip4:192.0.2.1 -all"),
    "ptr.example": spf("v=spf1 ptr:example.net -all"),
    "1.2.0.192.in-addr.arpa": {"PTR": [f"{HELO}."]},
    "macro.example": spf("v=spf1 exists:%{i}.allowed.example -all"),
    "192.0.2.1.allowed.example": {"A": ["127.0.0.2"]},
    **{f"h{n}.example": {"A": ["198.51.100.1"]} for n in range(12)},
}


@pytest.fixture
async def resolver() -> AsyncIterator[Resolver]:
    async with FakeDns(dict(ZONE)) as dns, AsyncExitStack() as stack:
        made = Resolver(ManualClock(), dns.address, 2.0)
        await made.start(stack)
        yield made


@pytest.mark.parametrize(
    ("domain", "address", "verdict", "lookups", "why"),
    [
        ("host.example", "192.0.2.1", "pass", 1, f"a:{HELO}"),
        ("host.example", "2001:db8::1", "pass", 1, f"a:{HELO}"),
        ("host.example", "192.0.2.2", "fail", 1, "-all"),
        ("mx.example", "192.0.2.1", "pass", 1, "mx"),
        ("mx.example", "192.0.2.2", "softfail", 1, "~all"),
        ("included.example", "192.0.2.1", "pass", 2, "include:host.example"),
        ("included.example", "192.0.2.2", "neutral", 2, "?all"),
        ("split.example", "192.0.2.1", "pass", 0, "ip4:192.0.2.1"),
        ("alias.example", "192.0.2.1", "pass", 1, f"a:{HELO}"),
        ("two.example", "192.0.2.1", "permerror", 0, "multiple v=spf1 records for two.example"),
        ("down.example", "192.0.2.1", "temperror", 1, "servfail.example"),
        ("nothing.example", "192.0.2.1", "none", 0, "no v=spf1 record"),
        ("nowhere.example", "192.0.2.1", "none", 0, "no v=spf1 record"),
        ("many.example", "192.0.2.1", "permerror", 12, ""),  # counted on past what is allowed
        ("ptr.example", "192.0.2.1", "pass", 1, "ptr:example.net"),
        ("macro.example", "192.0.2.1", "pass", 1, "exists:%{i}.allowed.example"),
        ("macro.example", "192.0.2.9", "fail", 1, "-all"),
    ],
)
async def test_verdicts(
    resolver: Resolver, domain: str, address: str, verdict: str, lookups: int, why: str
) -> None:
    found = await evaluate(resolver, address, f"postmaster@{domain}", HELO)
    assert (found.address, found.verdict, found.lookups) == (address, verdict, lookups)
    assert why in found.why


async def test_a_broken_record_names_what_breaks_it(resolver: Resolver) -> None:
    found = await evaluate(resolver, "192.0.2.1", "postmaster@broken.example", HELO)
    assert found.verdict == "permerror"
    assert "ipv4" in found.why


async def test_a_resolver_that_is_dead_is_temporary(resolver: Resolver) -> None:
    dead = Resolver(ManualClock(), "127.0.0.1:9", 0.2)
    async with AsyncExitStack() as stack:
        await dead.start(stack)
        assert (await evaluate(dead, "192.0.2.1", "x@host.example", HELO)).verdict == "temperror"
