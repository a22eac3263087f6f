"""Where a domain's mail goes: the operator's rules first, then its MX records.

Contract: ``find`` returns a Route, Failed where no attempt can ever help (no such domain, null MX, loop), or
Deferred where the DNS does not know at present. ``cached`` gives the same Route without waiting, or None if
it is not known or has expired; only routes are cached here, refusals are in the resolver's cache.
``replace_rules`` takes effect with the next question; connections of routes that changed are the pools'
matter. The mailbox simulator's domain comes before all rules and records, so that a rule for ``*`` does not
take its mail away, and so does what stands in place of the domain of a suppressed recipient. What stands
there as ``host:port`` is where the operator has rerouted mail.

What is asked of TLS comes with a route by MX: the administrator's word for the domain (``tls_rules``),
whether DNSSEC vouches for its MX records, and its MTA-STS policy. It is found once and kept as long as the
route.

Bound: ``limit`` domains; past it the oldest goes. Cost on the hot path: ``cached`` is one dict lookup and one
comparison, 0.3 microseconds.

Not here: the rules about MX (``mail_exchangers``), patterns (``rules``), the asking (``resolve``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Protocol

from relay.base.clock import Clock
from relay.base.errors import ConfigError
from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.route import Route, TlsMode
from relay.base.suppression import is_suppressed
from relay.base.tls_session import TlsPolicy, TlsPolicyType
from relay.codec.mta_sts import StsMode, StsPolicy
from relay.transport.answers import Answer, Status
from relay.transport.mail_exchangers import fallback, hosts_of, literal_route, route_of, unknown
from relay.transport.rules import RoutingRule, Rules
from relay.transport.simulator import ROUTE as SIMULATOR
from relay.transport.suppressed import ROUTE as SUPPRESSED
from relay.transport.tls_rules import TlsRule, TlsRules, asks_sts, demand_of

_FOREVER = float("inf")


def is_next_hop(domain: str) -> bool:
    """Not a domain but "host:port", where the operator sends the mail: a colon outside of brackets."""
    return ":" in domain and ":" in domain.rpartition("]")[2]


class Names(Protocol):
    """What the router asks of the DNS (``resolve.Resolver``)."""

    async def mx(self, domain: str) -> Answer:
        """MX records of a domain."""
        ...

    async def addresses(self, host: str) -> Answer:
        """Addresses of a host."""
        ...


class Policies(Protocol):
    """What the router asks about MTA-STS (``mta_sts.StsPolicies``)."""

    async def find(self, domain: str) -> StsPolicy | None:
        """The policy of a domain."""
        ...


class Router:
    """Routes by domain. Owner of its cache is the event loop's thread."""

    def __init__(
        self,
        names: Names,
        clock: Clock,
        own_names: Collection[str] = (),
        rules: Iterable[RoutingRule] = (),
        mx_port: int = 25,
        limit: int = 50_000,
        simulator_domain: str = "",
        tls_rules: Iterable[TlsRule] = (),
        policies: Policies | None = None,
        set_apart: Callable[[str, Route], Route] = lambda domain, route: route,
    ) -> None:
        """``own_names``: names and addresses under which this relay takes mail. ``simulator_domain`` in lower
        case; "" for none. ``set_apart`` may give a domain's route a site of its own. Raises ConfigError."""
        self._names = names
        self._clock = clock
        self._monotonic = clock.monotonic
        self._own_names = frozenset(name.lower().rstrip(".") for name in own_names)
        self._rules = Rules(rules)
        self._tls_rules = TlsRules(tls_rules)
        self._policies = policies
        self._mx_port = mx_port
        self._limit = limit
        self._simulator_domain = simulator_domain
        self._set_apart = set_apart
        self._routes: dict[str, tuple[Route, float]] = {}

    def replace_rules(
        self,
        rules: Iterable[RoutingRule],
        simulator_domain: str = "",
        tls_rules: Iterable[TlsRule] = (),
    ) -> None:
        """Take new rules, or raise ConfigError and keep the old ones."""
        self._rules, self._tls_rules = Rules(rules), TlsRules(tls_rules)
        self._simulator_domain = simulator_domain
        self._routes.clear()

    def cached(self, domain: str) -> Route | None:
        """The route of a domain (lower case, A-labels, or a literal in brackets) if it is known."""
        known = self._routes.get(domain)
        if known is not None and known[1] > self._monotonic():
            return known[0]
        return None

    def forget(self, domain: str) -> None:
        """Find the route of a domain anew."""
        self._routes.pop(domain, None)

    async def find(self, domain: str) -> Route | Deferred | Failed:
        """The route of a domain, asking the DNS if need be."""
        known = self.cached(domain)
        if known is not None:
            return known
        rules = self._rules
        is_simulator = bool(domain) and domain == self._simulator_domain
        route, expires_at = SIMULATOR if is_simulator else rules.find(domain), _FOREVER
        if is_suppressed(domain):
            route = SUPPRESSED
        if is_next_hop(domain):
            try:
                route = rules.hop(domain)
            except ConfigError as fault:  # cannot be: what reroutes mail reads it the same way
                return Deferred(Scope.SITE, Reason.INTERNAL, None, str(fault))
        if route is None:
            found, expires_at, is_secure = await self._by_mx(domain)
            secured = await self._secured(domain, found, is_secure) if isinstance(found, Route) else found
            if not isinstance(secured, Route):
                return secured
            route = secured
        route = self._set_apart(domain, route)
        if rules is self._rules:  # else replaced while we asked: the answer holds for this message only
            self._keep(domain, route, expires_at)
        return route

    async def _by_mx(self, domain: str) -> tuple[Route | Deferred | Failed, float, bool]:
        """A route, how long it holds, and whether DNSSEC vouches for its hosts."""
        if not domain:
            nothing = Failed(Scope.RECIPIENT, Reason.NO_DOMAIN, None, "an address without a domain")
            return nothing, 0.0, False
        if domain.startswith("["):
            return literal_route(domain, self._own_names, self._mx_port), _FOREVER, False
        answer = await self._names.mx(domain)
        if answer.status is Status.TEMPORARY:
            return unknown(answer), 0.0, False
        if answer.status is Status.NO_DOMAIN:
            return Failed(Scope.RECIPIENT, Reason.NO_DOMAIN, None, answer.detail), 0.0, False
        if answer.status is Status.EMPTY:
            addresses = await self._names.addresses(domain)
            route = fallback(domain, addresses, self._own_names, self._mx_port)
            return route, min(answer.expires_at, addresses.expires_at), answer.is_secure
        hosts = hosts_of(domain, answer.mx, self._own_names, self._mx_port)
        found = hosts if isinstance(hosts, Failed) else route_of(hosts)
        return found, answer.expires_at, answer.is_secure

    async def _secured(self, domain: str, route: Route, is_secure: bool) -> Route | Deferred:
        """The route with what is asked of TLS towards this domain."""
        rule = self._tls_rules.find(domain)
        mode, demand = demand_of(rule, is_secure)
        if mode is TlsMode.DANE_ONLY and not is_secure:
            detail = f"DNSSEC does not vouch for the MX records of {domain}, and DANE is required for it"
            return Deferred(Scope.SITE, Reason.TLS, None, detail)
        policy = await self._policies.find(domain) if self._policies is not None and asks_sts(rule) else None
        if policy is not None and policy.mode is not StsMode.NONE:
            sts = TlsPolicy(domain, TlsPolicyType.STS, policy.lines, policy.mx)
            demand = replace(demand, sts=sts, is_sts_enforced=policy.mode is StsMode.ENFORCE)
        return replace(route, tls=mode, demand=demand, domain=domain)

    def _keep(self, domain: str, route: Route, expires_at: float) -> None:
        routes = self._routes
        routes.pop(domain, None)
        if len(routes) >= self._limit:
            del routes[next(iter(routes))]
        routes[domain] = (route, expires_at)
