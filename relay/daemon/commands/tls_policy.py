"""``relay tls-policy DOMAIN``: what a domain publishes about TLS for its mail, and what follows.

It asks the DNS and the policy's web server itself, now, as the relay would, and shows beside that what the
relay has kept on disk. It writes nothing: the relay itself fetches for itself.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from relay.base.address import check_address, domain_of
from relay.base.clock import SystemClock
from relay.base.errors import ConfigError
from relay.base.outcome import Deferred, Failed
from relay.base.route import Route, TlsMode
from relay.base.simulator import simulator_domain
from relay.base.tls_session import TlsPolicyType
from relay.codec.mta_sts import StsPolicy, parse_policy, parse_record
from relay.codec.tls_report import parse_record as parse_report_record
from relay.daemon.commands.rows import Row, moment, print_row
from relay.daemon.settings.config import Config, load
from relay.daemon.translate import endpoint_text, routing_rules, tls_rules
from relay.transport.answers import Status
from relay.transport.https import Https
from relay.transport.resolve import Resolver
from relay.transport.route import Router
from relay.transport.sts_fetch import FetchFailure, PolicyFetcher
from relay.transport.sts_files import Kept, PolicyFiles
from relay.transport.tls_decision import NO_TLSA, TlsPlan, Unfit, asks_tlsa, decide
from relay.transport.tlsa_lookup import find_tlsa

_EFFECTS = {
    TlsMode.NONE: "no TLS",
    TlsMode.OPPORTUNISTIC: "TLS if offered, certificate not checked",
    TlsMode.ENCRYPT: "TLS or not at all, certificate not checked",
    TlsMode.REQUIRED: "only over TLS with a certificate that verifies",
    TlsMode.DANE_ONLY: "only over TLS with a certificate that its TLSA records vouch for",
    TlsMode.WRAPPER: "TLS from the first byte, with a certificate that verifies",
}


def tls_policy(
    domain: Annotated[str, typer.Argument(help="A recipients' domain.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what applies to mail for a domain: MTA-STS, TLSA records, routes, and where reports go."""
    try:
        check_address(f"x@{domain.rstrip('.')}")
        name = domain_of(f"x@{domain.rstrip('.')}")
    except ValueError:
        raise typer.BadParameter(f"{domain!r} is not a domain") from None
    try:
        config = load(None)
        row = asyncio.run(_find(config, name))
    except ConfigError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(78) from None
    if not as_json:
        row = {
            key: ", ".join(map(str, value)) if isinstance(value, list) else value
            for key, value in row.items()
        }
    print_row(row, as_json=as_json)


class _Known:
    """The one policy that was asked for, as the router asks for policies."""

    def __init__(self, policy: StsPolicy | None) -> None:
        self._policy = policy

    async def find(self, domain: str) -> StsPolicy | None:
        return self._policy


async def _find(config: Config, domain: str) -> Row:
    delivery = config.delivery
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        server = endpoint_text(delivery.resolver)
        resolver = Resolver(clock, server, delivery.resolver_timeout, dnssec=delivery.dnssec)
        await resolver.start(stack)
        https = Https(resolver, str(delivery.ca_file or ""), delivery.private_addresses == "allow")
        record, report = await asyncio.gather(
            resolver.txt(f"_mta-sts.{domain}"), resolver.txt(f"_smtp._tls.{domain}")
        )
        record_id = parse_record(record.texts) if record.status is Status.FOUND else None
        got = None
        if record_id is not None:
            got = await PolicyFetcher(https, delivery.mta_sts_port).fetch(domain)
        published = _parsed(got, record_id)
        kept = PolicyFiles(config.spool.path / "mta-sts").load(domain)
        holds = kept is not None and kept.expires_at > clock.now()
        policy = published if isinstance(published, StsPolicy) else kept.policy if kept and holds else None
        router = Router(
            resolver,
            clock,
            {config.relay.hostname},
            routing_rules(config),
            delivery.port,
            simulator_domain=simulator_domain(config.signing.service_domain),
            tls_rules=tls_rules(config),
            policies=_Known(policy) if delivery.mta_sts else None,
        )
        route = await router.find(domain)
        effects = await _effects(resolver, route)
    return {
        "domain": domain,
        "site": route.site if isinstance(route, Route) else route.detail,
        "mta_sts_record": list(record.texts) or [record.detail or "none"],
        "mta_sts_published": _text(published) if isinstance(published, StsPolicy) else published,
        "mta_sts_kept": _kept(kept, holds),
        "mta_sts_in_force": policy.mode.value if policy is not None and delivery.mta_sts else "none",
        "effect": effects,
        "reports_to": list(parse_report_record(report.texts)) or ["nobody"],
    }


async def _effects(resolver: Resolver, route: Route | Deferred | Failed) -> list[str]:
    """What is required of a session to each host, as it is decided before each session."""
    if not isinstance(route, Route):
        return ["none: " + route.detail]
    found = []
    for host in route.hosts:
        tlsa = NO_TLSA
        if asks_tlsa(route):
            tlsa = await find_tlsa(resolver, host, await resolver.addresses(host.name))
        found.append(f"{host.name}: {_effect(decide(route, host.name, tlsa))}")
    return found


def _effect(plan: TlsPlan | Unfit) -> str:
    if isinstance(plan, Unfit):
        return f"never: {plan.detail}"
    by = {TlsPolicyType.STS: " (MTA-STS)", TlsPolicyType.TLSA: " (TLSA)", TlsPolicyType.NONE: ""}
    text = _EFFECTS[plan.mode] + (by[plan.policy.type] if plan.mode is not TlsMode.OPPORTUNISTIC else "")
    if plan.amiss is not None:
        return f"{text}; {plan.amiss[1]}, which is only reported"
    return text if plan.try_first is None else f"{text}; what does not verify is reported (MTA-STS, testing)"


def _parsed(got: bytes | FetchFailure | None, record_id: str | None) -> StsPolicy | str:
    if got is None or record_id is None:
        return "none"
    if isinstance(got, FetchFailure):
        return f"{got.kind.value}: {got.detail}"
    try:
        return parse_policy(got, record_id)
    except ValueError as fault:
        return f"sts-policy-invalid: {fault}"


def _text(policy: StsPolicy) -> str:
    mode, patterns = policy.mode.value, " ".join(policy.mx) or "-"
    return f"{mode}, id {policy.id}, max_age {policy.max_age_s} s, mx {patterns}"


def _kept(kept: Kept | None, holds: bool) -> str:
    if kept is None:
        return "nothing"
    until = f"until {moment(kept.expires_at)}" if holds else f"expired {moment(kept.expires_at)}"
    return f"{_text(kept.policy)}; fetched {moment(kept.fetched_at)}, {until}"
