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

Not here: MX rules and fallback (``route``), which TLSA records are asked for (``tlsa_lookup``).
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import chain, zip_longest

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.resolver
import dns.reversename

from relay.base.clock import Clock
from relay.base.endpoint import parse_endpoint
from relay.base.errors import ConfigError
from relay.base.tasks import Tasks
from relay.codec.tlsa import Tlsa
from relay.transport.answers import Answer, AnswerCache, CacheSettings, Mx, Status, lifetime_s

_EDNS_PAYLOAD_BYTES = 1232  # what passes any path unfragmented (DNS flag day 2020)
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
        self._stub = _stub(server, timeout_s)
        self.is_trusted = dnssec == "trust" or (dnssec == "auto" and _is_local(self._stub))
        if self.is_trusted:
            self._stub.flags = dns.flags.RD | dns.flags.AD
        self.questions = 0  # asked of the server
        self.failures = 0  # of them, without an answer

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
        ttl_s = 0.0
        try:
            found = await self._stub.resolve(
                dns.name.from_text(name),
                kind,
                search=False,
                raise_on_no_answer=False,
                backend=dns.asyncbackend.get_backend("asyncio"),
            )
        except dns.resolver.NXDOMAIN as nothing:
            answer = Answer(Status.NO_DOMAIN, detail=f"{name} does not exist")
            ttl_s = _negative_ttl_s(nothing)
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel) as fault:
            answer = Answer(Status.NO_DOMAIN, detail=f"{name} cannot exist: {fault}")
        except (dns.exception.DNSException, OSError, EOFError) as fault:
            self.failures += 1
            answer = Answer(Status.TEMPORARY, detail=f"{kind} of {name}: {fault}")
        else:
            ttl_s = found.chaining_result.minimum_ttl
            answer = _read(found, name, kind)
            if self.is_trusted:
                canonical = found.canonical_name.to_text(omit_final_dot=True).lower()
                is_secure = bool(found.response.flags & dns.flags.AD)
                answer = replace(answer, is_secure=is_secure, canonical=canonical)
        lifetime = lifetime_s(answer.status, ttl_s, self._cache_settings)
        answer = replace(answer, expires_at=self._clock.monotonic() + lifetime)
        self._cache.put(name, kind, answer)
        return answer


def _read(found: dns.resolver.Answer, name: str, kind: str) -> Answer:
    if found.rrset is None:
        return Answer(Status.EMPTY, detail=f"{name} has no {kind} record")
    if kind == "TXT":
        texts = tuple(b"".join(record.strings).decode("utf-8", "replace") for record in found.rrset)
        return Answer(Status.FOUND, texts=texts)
    if kind in ("CNAME", "PTR"):
        targets = tuple(record.target.to_text(omit_final_dot=True).lower() for record in found.rrset)
        return Answer(Status.FOUND, texts=targets)
    if kind == "TLSA":
        fields = [(one.usage, one.selector, one.mtype, one.cert) for one in found.rrset]
        return Answer(Status.FOUND, tlsa=tuple(Tlsa(*one) for one in sorted(fields)))
    if kind != "MX":
        return Answer(Status.FOUND, addresses=tuple(record.address for record in found.rrset))
    records = [
        Mx(record.preference, record.exchange.to_text(omit_final_dot=True).lower().removeprefix("."))
        for record in found.rrset
    ]
    return Answer(Status.FOUND, mx=tuple(sorted(records, key=lambda mx: (mx.preference, mx.host))))


def _negative_ttl_s(nothing: dns.resolver.NXDOMAIN) -> float:
    try:
        return min(
            (r.resolve_chaining().minimum_ttl for r in nothing.kwargs["responses"].values()), default=0
        )
    except (dns.exception.DNSException, KeyError):
        return 0.0


def _stub(server: str, timeout_s: float) -> dns.asyncresolver.Resolver:
    if server:
        host, port = parse_endpoint(server, _DNS_PORT)
        if not _is_address(host):
            raise ConfigError(f'resolver "{server}": give an IP address, e.g. "127.0.0.1:53"')
        stub = dns.asyncresolver.Resolver(configure=False)
        stub.nameservers = [host]
        stub.port = port
    else:
        try:
            stub = dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration as fault:
            raise ConfigError(
                'no name server in /etc/resolv.conf; set [delivery] resolver = "host:port"'
            ) from fault
    stub.lifetime = timeout_s
    stub.timeout = min(2.0, timeout_s)  # then the question is sent again
    stub.use_edns(0, 0, _EDNS_PAYLOAD_BYTES)
    return stub


def _is_local(stub: dns.asyncresolver.Resolver) -> bool:
    """All its servers are on this machine: nobody on the way could set a bit."""
    servers = [str(one) for one in stub.nameservers]
    return all(_is_address(one) and ipaddress.ip_address(one).is_loopback for one in servers)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
