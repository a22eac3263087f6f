"""The operator's routes: domain patterns and the next hops they name.

Contract, pure. A pattern is a domain, ``*.example.org`` (its subdomains, at any depth, not itself) or ``*``.
The most specific pattern wins, whatever the order in the file: exact, then the longest suffix, then ``*``. A
pattern that stands twice, one that is none, or a next hop named with two kinds of TLS is a ConfigError:
guessing which was meant would send mail in clear or to a stranger.

Cost: a few dict lookups per domain, once; ``route`` caches the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from relay.base.endpoint import format_endpoint, parse_endpoint
from relay.base.errors import ConfigError
from relay.base.route import Host, Route, TlsMode

_SMTP_PORT = 25
_SUFFIX = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Mail for ``domain`` (a pattern) goes to ``next_hop`` ("host:port", "[2001:db8::1]:25") in place of its
    MX."""

    domain: str
    next_hop: str
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    username: str = ""
    password_file: str = ""
    client_certificate: str = ""  # PEM files of a certificate that we show; "" for none
    client_key: str = ""


class Rules:
    """Rules in a form that is fast to look up."""

    __slots__ = ("_everything", "_exact", "_hops", "_suffixes")

    def __init__(self, rules: Iterable[RoutingRule] = ()) -> None:
        """Raises ConfigError."""
        self._exact: dict[str, Route] = {}
        self._suffixes: dict[str, Route] = {}
        self._everything: Route | None = None
        self._hops: dict[tuple[Host, ...], Route] = {}
        modes: dict[str, Route] = {}
        for rule in rules:
            route = _route(rule)
            other = modes.setdefault(route.site, route)
            if other != route:
                raise ConfigError(
                    f'[[route]] domain "{rule.domain}": next_hop "{rule.next_hop}" has another tls or '
                    "password_file in another route; one next hop and user has one of each"
                )
            self._hops.setdefault(route.hosts, route)
            self._add(rule.domain.strip().lower(), route)

    def _add(self, pattern: str, route: Route) -> None:
        if pattern == "*":
            is_twice, self._everything = self._everything is not None, route
        elif pattern.startswith("*.") and _SUFFIX.fullmatch(pattern[2:]):
            is_twice = self._suffixes.setdefault(pattern[2:], route) is not route
        elif _SUFFIX.fullmatch(pattern) or (pattern.startswith("[") and pattern.endswith("]")):
            is_twice = self._exact.setdefault(pattern, route) is not route
        else:
            raise ConfigError(
                f'[[route]] domain "{pattern}": give a domain in ASCII, "*.example.org" for its '
                'subdomains, or "*" for all'
            )
        if is_twice:
            raise ConfigError(f'[[route]] domain "{pattern}" stands twice; remove one')

    def hop(self, next_hop: str) -> Route:
        """The route to a next hop ("host:port") where the operator sends mail: as the first rule that names
        it has it, TLS and credentials included, else with TLS if it is offered. Raises ConfigError."""
        route = _route(RoutingRule("", next_hop))
        return self._hops.get(route.hosts, route)

    def find(self, domain: str) -> Route | None:
        """The route for a domain (lower case, A-labels), or None where MX decides."""
        found = self._exact.get(domain)
        if found is not None:
            return found
        if self._suffixes:
            _, _, rest = domain.partition(".")
            while rest:
                found = self._suffixes.get(rest)
                if found is not None:
                    return found
                _, _, rest = rest.partition(".")
        return self._everything


def _route(rule: RoutingRule) -> Route:
    host, port = parse_endpoint(rule.next_hop, _SMTP_PORT)
    user = f"{rule.username}@" if rule.username else ""
    return Route(
        site=f"hop:{user}{format_endpoint(host, port)}",
        hosts=(Host(host, port),),
        tls=rule.tls,
        username=rule.username,
        password_file=rule.password_file,
        client_certificate=rule.client_certificate,
        client_key=rule.client_key,
    )
