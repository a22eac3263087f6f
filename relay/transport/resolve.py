"""Questions to the DNS: MX and addresses, asked once at a time per name and kept as long as they hold.

Contract: ``mx`` and ``addresses`` return an ``Answer`` and never raise for what the network or a server does:
a dead resolver, SERVFAIL, a reply that cannot be read are TEMPORARY. Questions for the same name that come
while one is under way wait for that one; a caller that is cancelled does not take it from the others. CNAMEs
are followed (RFC 5321 5.1: the name found is used as if it were the first).

``addresses`` interleaves IPv6 and IPv4, so that a host whose one family is broken costs one failed connect.
If one family is found and the other unknown, what is found is used.

At most ``AT_ONCE`` questions are under way; others wait, and their time begins when they are asked. Else a
backlog for thousands of domains, which comes in at once, would ask so much at once that no answer is read
before its time is over: then all are tried again at once, and again, and nothing is ever delivered.

Cost: a question that the cache knows is a coroutine call and a dict lookup; routes are cached above it
(``route``), so that no message pays it.

DNSSEC: validation is the resolver's task. Where the way to it is trusted (``is_trusted``) it is asked for its
AD bit (RFC 6840 5.7), and ``Answer.is_secure`` says that it was set; else no answer is secure. A bogus answer
comes as SERVFAIL, which is TEMPORARY.

Not here: datagrams and repetition (``dns_exchange``), MX rules and fallback (``route``), which TLSA records
are asked for (``tlsa_lookup``).
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

from relay.base.clock import Clock
from relay.base.endpoint import parse_endpoint
from relay.base.errors import ConfigError
from relay.base.histogram import MOMENTS, Histogram
from relay.base.tasks import Tasks
from relay.codec.dns_message import KINDS, NXDOMAIN, DnsReply, name_of
from relay.codec.tlsa import Tlsa
from relay.transport.answers import Answer, AnswerCache, CacheSettings, Mx, Status, lifetime_s
from relay.transport.dns_exchange import DnsExchange, DnsTrouble

_DNS_PORT = 53
AT_ONCE = 256  # well below what the loop answers within a question's first two seconds


class Resolver:
    """A stub resolver with a cache; start it before use."""

    def __init__(
        self,
        clock: Clock,
        server: str = "",
        timeout_s: float = 10.0,
        cache: CacheSettings | None = None,
        dnssec: str = "off",
    ) -> None:
        """``server``: "host:port" with an IP address as host; empty for /etc/resolv.conf. ``timeout_s`` is
        for a question in all, resent in between. ``dnssec``: "off", "auto" (believe a resolver on this
        machine) or "trust". Raises ConfigError."""
        self._clock = clock
        self._cache_settings = cache or CacheSettings()
        self._cache = AnswerCache(self._cache_settings.limit)
        self._running: dict[tuple[str, str], asyncio.Task[Answer]] = {}
        self._tasks = Tasks("dns")
        self._room = asyncio.Semaphore(AT_ONCE)
        servers = _servers(server)
        self.is_trusted = dnssec == "trust" or (dnssec == "auto" and _is_local(servers))
        self._exchange = DnsExchange(servers, timeout_s, is_trusted=self.is_trusted)
        self.questions = 0  # asked of the server
        self.failures = 0  # of them, without an answer
        self.failures_by_kind = {"network": 0, "refused": 0, "timeout": 0}
        self.hits = 0  # answered by the cache
        self.seconds = Histogram(MOMENTS)  # of a question

    async def start(self, stack: AsyncExitStack) -> None:
        """End running questions when the stack unwinds."""
        await self._tasks.start(stack)

    def forget(self) -> None:
        """Empty the cache (operator, reload)."""
        self._cache.clear()

    async def mx(self, domain: str, *, is_fresh: bool = False) -> Answer:
        """The MX records of a domain given in A-labels."""
        return await self._ask(domain, "MX", is_fresh=is_fresh)

    async def txt(self, name: str, *, is_fresh: bool = False) -> Answer:
        """The TXT records of a name, CNAMEs followed; ``is_fresh``: as the server knows them now."""
        return await self._ask(name, "TXT", is_fresh=is_fresh)

    async def cname(self, name: str, *, is_fresh: bool = False) -> Answer:
        """The target of a CNAME record."""
        return await self._ask(name, "CNAME", is_fresh=is_fresh)

    async def tlsa(self, name: str) -> Answer:
        """The TLSA records of ``_port._tcp.host``."""
        return await self._ask(name, "TLSA")

    async def ptr(self, address: str) -> Answer:
        """The names of an address, as it is looked up backwards."""
        name = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        return await self._ask(name, "PTR", is_fresh=True)

    async def ask(self, name: str, kind: str) -> Answer:
        """Records of one kind (A, AAAA, CNAME, MX, PTR, TXT), as the server knows them now."""
        return await self._ask(name, kind, is_fresh=True)

    async def addresses(self, host: str) -> Answer:
        """IPv6 and IPv4 addresses of a host, interleaved; a literal is its own address."""
        if _is_address(host):
            return Answer(Status.FOUND, addresses=(host,), expires_at=float("inf"))
        six, four = await asyncio.gather(self._ask(host, "AAAA"), self._ask(host, "A"))
        if six.status is not Status.FOUND and four.status is not Status.FOUND:
            for status in (Status.TEMPORARY, Status.EMPTY):
                for answer in (four, six):
                    if answer.status is status:
                        return answer
            return four
        pairs = zip_longest(six.addresses, four.addresses)
        both = tuple(address for address in chain.from_iterable(pairs) if address is not None)
        found = six if six.status is Status.FOUND else four
        is_secure = all(one.is_secure for one in (six, four) if one.status is Status.FOUND)
        expires_at = min(six.expires_at, four.expires_at)
        return replace(found, addresses=both, expires_at=expires_at, is_secure=is_secure)

    async def _ask(self, name: str, kind: str, *, is_fresh: bool = False) -> Answer:
        name = name.rstrip(".").lower()
        known = self._cache.get(name, kind, self._clock.monotonic())
        if known is not None and not is_fresh:
            self.hits += 1
            return known
        key = (name, kind)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = self._tasks.spawn(self._look_up(name, kind), f"{kind} {name}")
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _look_up(self, name: str, kind: str) -> Answer:
        async with self._room:
            return await self._question(name, kind)

    async def _question(self, name: str, kind: str) -> Answer:
        self.questions += 1
        ttl_s, began = 0.0, self._clock.monotonic()
        try:
            reply = await self._exchange.ask(_on_the_wire(name), KINDS[kind])
        except ValueError as fault:
            answer = Answer(Status.NO_DOMAIN, detail=f"{name} cannot exist: {fault}")
        except DnsTrouble as fault:
            self.failures += 1
            self.failures_by_kind[fault.kind] += 1
            answer = Answer(Status.TEMPORARY, detail=f"{kind} of {name}: {fault}")
        else:
            ttl_s = reply.ttl_s
            answer = _read(reply, name, kind)
            if self.is_trusted and answer.status is not Status.NO_DOMAIN:
                answer = replace(answer, is_secure=reply.is_authentic, canonical=reply.canonical)
        lifetime = lifetime_s(answer.status, ttl_s, self._cache_settings)
        now = self._clock.monotonic()
        self.seconds.observe(now - began)
        answer = replace(answer, expires_at=now + lifetime)
        self._cache.put(name, kind, answer)
        return answer


def _read(reply: DnsReply, name: str, kind: str) -> Answer:
    if reply.rcode == NXDOMAIN:
        return Answer(Status.NO_DOMAIN, detail=f"{name} does not exist")
    records: list[Any] = list(dict.fromkeys(reply.records))
    if not records:
        return Answer(Status.EMPTY, detail=f"{name} has no {kind} record")
    if kind == "TXT":
        return Answer(Status.FOUND, texts=tuple(text.decode("utf-8", "replace") for text in records))
    if kind in ("CNAME", "PTR"):
        return Answer(Status.FOUND, texts=tuple(records))
    if kind == "TLSA":
        return Answer(Status.FOUND, tlsa=tuple(Tlsa(*one) for one in sorted(records)))
    if kind != "MX":
        return Answer(Status.FOUND, addresses=tuple(records))
    return Answer(Status.FOUND, mx=tuple(Mx(*one) for one in sorted(records)))


def _on_the_wire(name: str) -> bytes:
    """Raises ValueError: there can be no such name."""
    if name.isascii() and "\\" not in name:
        return name_of(name)
    try:
        return dns.name.from_text(name).to_wire() or b""
    except dns.exception.DNSException as fault:
        raise ValueError(str(fault)) from fault


def _servers(server: str) -> list[tuple[str, int]]:
    if server:
        host, port = parse_endpoint(server, _DNS_PORT)
        if not _is_address(host):
            raise ConfigError(f'resolver "{server}": give an IP address, e.g. "127.0.0.1:53"')
        return [(host, port)]
    try:
        found = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration as fault:
        raise ConfigError(
            'no name server in /etc/resolv.conf; set [delivery] resolver = "host:port"'
        ) from fault
    return [(str(one), found.nameserver_ports.get(str(one), found.port)) for one in found.nameservers]


def _is_local(servers: Iterable[tuple[str, int]]) -> bool:
    """All its servers are on this machine: nobody on the way could set a bit."""
    return all(_is_address(host) and ipaddress.ip_address(host).is_loopback for host, _ in servers)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
