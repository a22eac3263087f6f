"""The operator's rules for receivers: which of them holds for a lane.

Contract, pure. A rule names receivers by recipient domain, by next hop, or by the host names of their MX;
the first kind that matches decides, in this order, and within a kind the most specific pattern: a full name
before ``*.example.org``, a longer suffix before a shorter. Of a site's MX hosts those of the best preference
count, for that is where mail goes. A pattern that stands in two rules is a ConfigError, since the order in
the file means nothing.

Mail for domains that a rule names is *set apart*: ``set_apart`` gives their route a site of its own, so that
they have their bounds for themselves though other domains lie behind the same hosts.

Bounds of a rule may differ by source. ``rollup`` is for providers that give each customer MX names of its
own: all sites that the rule matches share the bounds, and what is found out about the receiver.

Cost: ``rule`` is asked when a lane is opened, ``set_apart`` when a route is found; a few dict lookups each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from relay.base.endpoint import format_endpoint
from relay.base.errors import ConfigError
from relay.base.route import Host, Route
from relay.traffic.site_rule import SiteRule

_APART = "#"


@dataclass(frozen=True, slots=True)
class ShapingRule:
    """One rule: bounds, by source where they differ, and the patterns of those it is for (lower case)."""

    bounds: SiteRule
    by_source: Mapping[str, SiteRule] = field(default_factory=dict)
    mx: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    next_hops: tuple[str, ...] = ()

    def of(self, source: str) -> SiteRule:
        """The bounds for mail from a source."""
        return self.by_source.get(source, self.bounds)


class _Patterns:
    """Full names, and suffixes of any depth."""

    __slots__ = ("_kind", "_names", "_suffixes")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._names: dict[str, ShapingRule] = {}
        self._suffixes: dict[str, ShapingRule] = {}

    def add(self, pattern: str, rule: ShapingRule) -> None:
        """Raises ConfigError."""
        where, key = (self._suffixes, pattern[2:]) if pattern.startswith("*.") else (self._names, pattern)
        other = where.setdefault(key, rule)
        if other is not rule:
            raise ConfigError(
                f'[[rule]] "{rule.bounds.name}" {self._kind}: "{pattern}" stands in rule '
                f'"{other.bounds.name}" too; remove one of them'
            )

    def find(self, name: str) -> tuple[int, ShapingRule] | None:
        """How specific (the length of what matched), and the rule."""
        found = self._names.get(name)
        if found is not None:
            return 1000, found
        if self._suffixes:
            _, _, rest = name.partition(".")
            while rest:
                if (found := self._suffixes.get(rest)) is not None:
                    return len(rest), found
                _, _, rest = rest.partition(".")
        return None


class Shaping:
    """All rules, in a form that is fast to look up."""

    def __init__(self, default: ShapingRule, rules: Iterable[ShapingRule] = ()) -> None:
        """Raises ConfigError for a name or a pattern that stands twice."""
        self._default = default
        self._by_name: dict[str, ShapingRule] = {}
        self._mx = _Patterns("mx")
        self._domains = _Patterns("domain")
        self._next_hops = _Patterns("next_hop")
        for rule in rules:
            name = rule.bounds.name
            if self._by_name.setdefault(name, rule) is not rule:
                raise ConfigError(f'[[rule]] name = "{name}" stands twice; give one another name')
            for kind, patterns in (
                (self._mx, rule.mx),
                (self._domains, rule.domains),
                (self._next_hops, rule.next_hops),
            ):
                for pattern in patterns:
                    kind.add(pattern, rule)

    def rule(self, route: Route) -> SiteRule:
        """The bounds for the route's site and source."""
        return self._find(route).of(route.source.name)

    def set_apart(self, domain: str, route: Route) -> Route:
        """The route, on a site of its own if a rule names the domain."""
        found = self._domains.find(domain)
        if found is None or not route.hosts:
            return route
        return replace(route, site=f"{route.site}{_APART}{found[1].bounds.name}")

    def _find(self, route: Route) -> ShapingRule:
        _, _, name = route.site.rpartition(_APART)
        apart = self._by_name.get(name) if name != route.site else None
        if apart is not None and apart.domains:
            return apart
        if not route.hosts:
            return self._default
        if not route.is_by_mx:
            return self._by_next_hop(route.hosts[0])
        best = min(host.preference for host in route.hosts)
        found = [
            one
            for host in route.hosts
            if host.preference == best and (one := self._mx.find(host.name)) is not None
        ]
        return max(found, key=lambda one: one[0])[1] if found else self._default

    def _by_next_hop(self, host: Host) -> ShapingRule:
        for name in (format_endpoint(host.name, host.port), host.name):
            if (found := self._next_hops.find(name)) is not None:
                return found[1]
        return self._default
