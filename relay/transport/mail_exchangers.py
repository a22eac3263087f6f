"""From what the DNS says about a domain to the hosts that take its mail (RFC 5321 5.1, RFC 7505).

Contract, pure. A null MX means no mail (Failed, NULL_MX). Our own name among the MX hosts cuts off those of
its preference and above, since sending there could bring the mail back; nothing left is Failed(LOOP). The
best 20 hosts are kept: each that has no address costs an attempt two questions. Without MX records the domain
itself is the host, if it has an address. A domain in square brackets is an address literal (RFC 5321 4.1.3).

A site is named by its hosts after the cut, sorted: domains whose MX sets are equal share it. Nothing here
waits or asks; ``route`` does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable

from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.route import Host, Route
from relay.transport.answers import Answer, Mx, Status

_MAX_HOSTS = 20


def read_literal(domain: str) -> str | None:
    """The address in ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]``; None for another literal."""
    text = domain[1:-1] if domain.endswith("]") else ""
    try:
        if text[:5].lower() == "ipv6:":
            return str(ipaddress.IPv6Address(text[5:]))
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def literal_route(domain: str, own_names: Collection[str], port: int) -> Route | Failed:
    """The route of an address literal."""
    address = read_literal(domain)
    if address is None:
        return Failed(Scope.RECIPIENT, Reason.NO_DOMAIN, None, f"{domain} is not an address literal")
    if address in own_names or domain in own_names:
        return Failed(Scope.RECIPIENT, Reason.LOOP, None, f"{domain} is this relay")
    return route_of((Host(address, port),))


def hosts_of(
    domain: str, records: Iterable[Mx], own_names: Collection[str], port: int
) -> tuple[Host, ...] | Failed:
    """The hosts that MX records name, best first."""
    named = sorted((mx for mx in records if mx.host), key=lambda mx: (mx.preference, mx.host))
    if not named:
        return Failed(Scope.RECIPIENT, Reason.NULL_MX, None, f"{domain} takes no mail (null MX)")
    ours = min((mx.preference for mx in named if mx.host in own_names), default=None)
    seen: set[str] = set()
    hosts: list[Host] = []
    for mx in named:
        if ours is not None and mx.preference >= ours:
            break
        if len(hosts) == _MAX_HOSTS:
            break
        if mx.host not in seen:  # a host named twice counts with its best preference
            seen.add(mx.host)
            hosts.append(Host(mx.host, port, mx.preference))
    if not hosts:
        return Failed(Scope.RECIPIENT, Reason.LOOP, None, f"the best MX of {domain} is this relay")
    return tuple(hosts)


def fallback(
    domain: str, addresses: Answer, own_names: Collection[str], port: int
) -> Route | Deferred | Failed:
    """Without MX records the domain itself is its host, of preference 0 (RFC 5321 5.1)."""
    if addresses.status is Status.TEMPORARY:
        return unknown(addresses)
    if addresses.status is not Status.FOUND:
        detail = f"{domain} has neither MX nor address records"
        return Failed(Scope.RECIPIENT, Reason.NO_DOMAIN, None, detail)
    if domain in own_names:
        return Failed(Scope.RECIPIENT, Reason.LOOP, None, f"{domain} is this relay")
    return route_of((Host(domain, port),))


def unknown(answer: Answer) -> Deferred:
    """No one knows at present."""
    return Deferred(Scope.SITE, Reason.DNS_TEMPORARY, None, answer.detail)


def route_of(hosts: tuple[Host, ...]) -> Route:
    """A route to these hosts; opportunistic TLS."""
    return Route("mx:" + ",".join(sorted(host.name for host in hosts)), hosts)
