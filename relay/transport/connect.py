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
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Host, Route
from relay.transport.answers import Answer, Status
from relay.transport.opening import open_session
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_policy import TlsContexts


class Addresses(Protocol):
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

    __slots__ = ("_addresses", "_contexts", "_limit", "_settings", "_shuffle")

    def __init__(
        self,
        addresses: Addresses,
        contexts: TlsContexts,
        settings: SessionSettings,
        shuffle: Callable[[list[Host]], None],
        addresses_per_attempt: int,
    ) -> None:
        self._addresses = addresses
        self._contexts = contexts
        self._settings = settings
        self._shuffle = shuffle
        self._limit = addresses_per_attempt

    async def connect(self, route: Route) -> Session | Deferred:
        """The first session that opens, or why none did."""
        failure = Deferred(Scope.SITE, Reason.CONNECT, None, "the site has no hosts")
        tried = 0
        for host in in_order(route.hosts, self._shuffle):
            answer = await self._addresses.addresses(host.name)
            if answer.status is not Status.FOUND:
                is_unknown = answer.status is Status.TEMPORARY
                reason = Reason.DNS_TEMPORARY if is_unknown else Reason.CONNECT
                failure = _more_telling(failure, Deferred(Scope.SITE, reason, None, answer.detail))
                continue
            reachable = self._reachable(answer.addresses)
            if not self._settings.is_private_allowed and route.is_by_mx:
                public = [address for address in reachable if is_public(address)]
                if reachable and not public:
                    failure = _more_telling(failure, _private(host.name, reachable))
                reachable = public
            for address in reachable:
                if tried >= self._limit:
                    return failure
                tried += 1
                opened = await open_session(host, address, route, self._settings, self._contexts)
                if isinstance(opened, Session):
                    return opened
                failure = _more_telling(failure, opened)
        return failure

    def _reachable(self, addresses: Sequence[str]) -> list[str]:
        """Those of the family that our source address has."""
        source = self._settings.source_address
        if not source:
            return list(addresses)
        version = ipaddress.ip_address(source).version
        return [address for address in addresses if ipaddress.ip_address(address).version == version]


def is_public(address: str) -> bool:
    """Whether it is an address of the Internet: not loopback, private, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


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
