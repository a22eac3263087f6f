"""From a route to an open session: which host, which of its addresses, and what is left when none answers.

Contract: hosts by preference, equal preferences in random order (RFC 5321 5.1), each host's addresses as the
resolver interleaved them, at most ``addresses_per_attempt`` in all. ``connect`` returns the first session
that opens, or one Deferred of scope SITE: the answer of a host that spoke, if any did, for it says most; else
the last failure.

Whoever owns a domain chooses where its MX records lead. Hosts found by MX (or named as an address literal)
are therefore not connected to at private and loopback addresses, unless that is allowed: else a stranger's
domain would let our senders reach hosts that trust this machine, and the relay itself. Such mail waits; it
does not bounce, since an administrator who meant it can say so. Configured routes go anywhere.

Not here: how a session opens (``opening``), how many are wanted (``places``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from relay.base.outcome import Deferred, Peer, Reason, Scope
from relay.base.route import Host, Route, Source
from relay.base.tls_session import TlsSession, TlsSessionLog
from relay.base.trace import UNWATCHED, Traces
from relay.codec.trace_text import shown
from relay.transport.answers import Answer, Status
from relay.transport.opening import open_session
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_decision import NO_TLSA, TlsPlan, asks_tlsa, decide
from relay.transport.tls_policy import TlsContexts
from relay.transport.tlsa_lookup import SecureNames, find_tlsa
from relay.transport.watching import names_of


class Addresses(SecureNames, Protocol):
    """What connecting asks of the DNS (``resolve.Resolver``)."""

    async def addresses(self, host: str) -> Answer:
        """Addresses of a host, families interleaved."""
        ...


def in_order(hosts: Sequence[Host], shuffle: Callable[[list[Host]], None]) -> list[Host]:
    """Best preference first; ``shuffle`` is for those of equal preference."""
    ordered: list[Host] = []
    for _, equals in groupby(sorted(hosts, key=lambda host: host.preference), lambda host: host.preference):
        group = list(equals)
        shuffle(group)
        ordered += group
    return ordered


class Connector:
    """Opens sessions to the hosts of routes."""

    __slots__ = ("_addresses", "_contexts", "_limit", "_sessions", "_settings", "_shuffle", "_traces")

    def __init__(
        self,
        addresses: Addresses,
        contexts: TlsContexts,
        settings: SessionSettings,
        shuffle: Callable[[list[Host]], None],
        addresses_per_attempt: int,
        sessions: TlsSessionLog | None = None,
        traces: Traces = UNWATCHED,
    ) -> None:
        """``sessions`` hears how TLS fared; ``traces`` are of those who watch."""
        self._traces = traces
        self._addresses = addresses
        self._contexts = contexts
        self._settings = settings
        self._shuffle = shuffle
        self._limit = addresses_per_attempt
        self._sessions = sessions

    async def connect(self, route: Route) -> Session | Deferred:
        """The first session that opens, or why none did.

        For mail that demands REQUIRETLS: the first that offers it; if no host does, one that does not, for
        that is an answer too, of which the sender hears. If some host gave no answer, no one knows yet.
        """
        failure = Deferred(Scope.SITE, Reason.CONNECT, None, "the site has no hosts")
        is_answered = True
        second_best: Session | None = None
        try:
            async with aclosing(self._tried(route)) as tried:
                async for opened in tried:
                    if isinstance(opened, Deferred):
                        failure = _more_telling(failure, opened)
                        is_answered = False
                    elif opened.offers.requiretls or not route.demand.is_requiretls:
                        return opened
                    elif second_best is None:
                        second_best = opened
                    else:
                        await opened.end()
            if second_best is not None and is_answered:
                found, second_best = second_best, None
                return found
            return failure
        finally:
            if second_best is not None:
                second_best.abort()

    async def _tried(self, route: Route) -> AsyncGenerator[Session | Deferred, None]:
        """What became of one host and address after the other."""
        tried = 0
        for host in in_order(route.hosts, self._shuffle):
            answer = await self._addresses.addresses(host.name)
            if answer.status is not Status.FOUND:
                is_unknown = answer.status is Status.TEMPORARY
                reason = Reason.DNS_TEMPORARY if is_unknown else Reason.CONNECT
                yield self._not_tried(route, host, Deferred(Scope.SITE, reason, None, answer.detail))
                continue
            reachable = self._reachable(answer.addresses, route.source)
            if not reachable:
                yield self._not_tried(route, host, _unreachable(host.name, route.source))
            if not self._settings.is_private_allowed and route.is_by_mx:
                public = [address for address in reachable if is_public(address)]
                if reachable and not public:
                    yield self._not_tried(route, host, _private(host.name, reachable))
                reachable = public
            plan = await self._plan(route, host, answer) if reachable else None
            if isinstance(plan, Deferred):
                yield self._not_tried(route, host, plan)
                continue
            for address in reachable:
                if tried >= self._limit:
                    return
                tried += 1
                yield await open_session(
                    host, address, route, self._settings, self._contexts, plan, self._sessions, self._traces
                )

    def _not_tried(self, route: Route, host: Host, why: Deferred) -> Deferred:
        """Told to those who watch, for there is no session that would."""
        if self._traces.active:
            text = f"{host.name}:{host.port}: no connection: {why.detail}"
            self._traces.remark_site(names_of(route, host), shown(text))
        return why

    async def _plan(self, route: Route, host: Host, addresses: Answer) -> TlsPlan | Deferred:
        """What is required of sessions to this host, or why there may be none."""
        found = await find_tlsa(self._addresses, host, addresses) if asks_tlsa(route) else NO_TLSA
        plan = decide(route, host.name, found)
        if isinstance(plan, TlsPlan):
            return plan
        if self._sessions is not None:
            self._sessions.note(TlsSession(plan.policy, plan.failure, host.name, detail=plan.detail))
        return Deferred(Scope.SITE, Reason.TLS, None, plan.detail, Peer(host.name))

    def _reachable(self, addresses: Sequence[str], source: Source) -> list[str]:
        """Those of the families that our source has, the preferred one first."""
        own = source.addresses or ((self._settings.source_address,) if self._settings.source_address else ())
        if not own and not source.prefer:
            return list(addresses)
        versions = {ipaddress.ip_address(one).version for one in own} or {4, 6}
        found = [one for one in addresses if ipaddress.ip_address(one).version in versions]
        if source.prefer:
            first = int(source.prefer[-1])
            found.sort(key=lambda one: ipaddress.ip_address(one).version != first)
        return found


def _unreachable(host: str, source: Source) -> Deferred:
    setting = f'[[source]] "{source.name}" addresses' if source.addresses else "[delivery] source_address"
    detail = f"{host} has no address of a family that {setting} has"
    return Deferred(Scope.SITE, Reason.CONNECT, None, detail)


def is_public(address: str) -> bool:
    """Whether it is an address of the Internet: not loopback, private, link-local, multicast or reserved; nor
    one of IPv6 through which a gateway reaches such an address."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour
        if any(ip in net for net in _HOLDS_IPV4):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_HOLDS_IPV4 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))  # RFC 6052, RFC 4291


def _private(host: str, addresses: Sequence[str]) -> Deferred:
    detail = (
        f"{host} has only addresses that are not of the Internet ({', '.join(addresses[:3])}); "
        'if it is yours, set [delivery] private_addresses = "allow", or a [[route]]'
    )
    return Deferred(Scope.SITE, Reason.CONNECT, None, detail)


def _more_telling(old: Deferred, new: Deferred) -> Deferred:
    """What a host said before what the network did; else the newer one. The scope is the site's."""
    if old.reply is not None and new.reply is None:
        return old
    return new if new.scope is Scope.SITE else replace(new, scope=Scope.SITE)
