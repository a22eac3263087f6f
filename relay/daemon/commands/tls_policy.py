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
from relay.codec.mta_sts import StsMode, StsPolicy, parse_policy, parse_record
from relay.codec.tls_report import parse_record as parse_report_record
from relay.daemon.commands.rows import Row, moment, print_row
from relay.daemon.config import Config, load
from relay.daemon.translate import endpoint_text
from relay.transport.answers import Answer, Status
from relay.transport.https import Https
from relay.transport.resolve import Resolver
from relay.transport.sts_fetch import FetchFailure, PolicyFetcher
from relay.transport.sts_files import Kept, PolicyFiles


def tls_policy(
    domain: Annotated[str, typer.Argument(help="A recipients' domain.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what applies to mail for a domain: MTA-STS as published and as kept, and where reports go."""
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


async def _find(config: Config, domain: str) -> Row:
    delivery = config.delivery
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        resolver = Resolver(clock, endpoint_text(delivery.resolver), delivery.resolver_timeout)
        await resolver.start(stack)
        https = Https(resolver, str(delivery.ca_file or ""), delivery.private_addresses == "allow")
        fetcher = PolicyFetcher(https, delivery.mta_sts_port)
        mx, record, report = await asyncio.gather(
            resolver.mx(domain), resolver.txt(f"_mta-sts.{domain}"), resolver.txt(f"_smtp._tls.{domain}")
        )
        record_id = parse_record(record.texts) if record.status is Status.FOUND else None
        got = await fetcher.fetch(domain) if record_id is not None else None
    published = _parsed(got, record_id)
    kept = PolicyFiles(config.spool.path / "mta-sts").load(domain)
    return row_of(domain, mx, record, published, kept, parse_report_record(report.texts), clock.now())


def row_of(
    domain: str,
    mx: Answer,
    record: Answer,
    published: StsPolicy | str,
    kept: Kept | None,
    reports: tuple[str, ...],
    now: float,
) -> Row:
    """All there is to say; ``published`` is a policy, or why there is none."""
    holds = kept is not None and kept.expires_at > now
    policy = published if isinstance(published, StsPolicy) else kept.policy if kept and holds else None
    hosts = [one.host for one in mx.mx]
    return {
        "domain": domain,
        "mx": hosts or [mx.detail or "none"],
        "mta_sts_record": list(record.texts) or [record.detail or "none"],
        "mta_sts_published": _text(published) if isinstance(published, StsPolicy) else published,
        "mta_sts_kept": _kept(kept, holds),
        "in_force": str(policy.mode) if policy is not None else "none",
        "effect": [_effect(host, policy) for host in hosts],
        "reports_to": list(reports) or ["nobody"],
    }


def _parsed(got: bytes | FetchFailure | None, record_id: str | None) -> StsPolicy | str:
    if got is None or record_id is None:
        return "none"
    if isinstance(got, FetchFailure):
        return f"{got.kind}: {got.detail}"
    try:
        return parse_policy(got, record_id)
    except ValueError as fault:
        return f"sts-policy-invalid: {fault}"


def _text(policy: StsPolicy) -> str:
    return f"{policy.mode}, id {policy.id}, max_age {policy.max_age_s} s, mx {' '.join(policy.mx) or '-'}"


def _kept(kept: Kept | None, holds: bool) -> str:
    if kept is None:
        return "nothing"
    until = f"until {moment(kept.expires_at)}" if holds else f"expired {moment(kept.expires_at)}"
    return f"{_text(kept.policy)}; fetched {moment(kept.fetched_at)}, {until}"


def _effect(host: str, policy: StsPolicy | None) -> str:
    if policy is None or policy.mode is StsMode.NONE:
        return f"{host}: TLS if offered, certificate not checked"
    if not policy.matches(host):
        if policy.mode is StsMode.ENFORCE:
            return f"{host}: never, the policy does not name it"
        return f"{host}: reported, the policy does not name it"
    if policy.mode is StsMode.ENFORCE:
        return f"{host}: only over TLS with a certificate that verifies"
    return f"{host}: TLS that does not verify is reported"
