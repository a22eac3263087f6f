"""``relay doctor``: the host and the mail, examined.

With the name of an identity: its mail as receivers will judge it, and what to publish where they frown.
Without one: the host (configuration, ports, TLS, DNS, disk, clock, bounds, directory), each finding with what
mends it, then all identities, a line each. It works without a running relay and without what is not there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer

from relay.admin.doctor import Patient, examine
from relay.admin.finding import Finding, Level
from relay.base.clock import SystemClock
from relay.base.endpoint import parse_endpoint
from relay.base.errors import ConfigError, RelayError
from relay.daemon.checkup import host
from relay.daemon.commands.config_diff import compared
from relay.daemon.commands.directory import directory_of, opened
from relay.daemon.commands.rows import Row, print_row, print_rows
from relay.daemon.commands.running import loaded
from relay.daemon.settings.config import Config, load
from relay.daemon.supervisor import control, files
from relay.daemon.translate import endpoint_text
from relay.daemon.worker.patients import patient_of, snapshot_of
from relay.transport.resolve import Resolver

_AT_ONCE = 8
_ASK_S = 5.0


def doctor(
    name: Annotated[str, typer.Argument(help="An identity; without it the host and all identities.")] = "",
    ip: Annotated[
        list[str] | None, typer.Option(help="An address that mail leaves from, as receivers see it.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Its account, where several hold the same name.")
    ] = None,
    host_only: Annotated[bool, typer.Option("--host", help="Only the host, no identities.")] = False,
    outbound: Annotated[
        list[str] | None,
        typer.Option(help="Try to reach this host (HOST or HOST:PORT), as deliveries would."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine the host, or an identity's mail as receivers do; exit status 1 if there is a problem."""
    if not name:
        _whole(_addresses(ip), account, outbound or (), host_only, as_json)
        return
    with opened() as directory:
        config = load(None)
        files.check(config)
        addresses = _addresses(ip)
        held = [directory.mail_froms.show(name, account)]
        snapshot = snapshot_of(directory)
        patients = [patient_of(one, snapshot, config, addresses, directory) for one in held]
        found = asyncio.run(_examine(config, patients))
    _print(held[0].account, patients[0], found[0], as_json)
    _end(found)


def _whole(
    addresses: tuple[str, ...],
    account: str | None,
    outbound: Sequence[str],
    host_only: bool,
    as_json: bool,
) -> None:
    """The host, then the identities."""
    config = loaded()
    try:
        for one in outbound:
            parse_endpoint(one, 25)
    except ConfigError as error:
        raise typer.BadParameter(f"--outbound: {error}") from None
    answer, differs = asyncio.run(_running(config))
    found = asyncio.run(host.examine(host.Question(config, answer, addresses, outbound, differs)))
    rows, of_identities = ([], []) if host_only else _identities(config, addresses, account)
    if as_json:
        typer.echo(json.dumps({"host": [_member(one) for one in found], "identities": rows}, indent=2))
    else:
        _print_findings(found)
        if not host_only:
            typer.echo()
            print_rows(rows, as_json=False, nothing="no identities; add one with `relay identity add`")
    _end([found, *of_identities])


async def _running(config: Config) -> tuple[dict[str, Any] | None, list[str]]:
    """What the running relay says of itself, and the settings in which it differs from the file."""
    try:
        async with control.asking(config.spool.path) as ask:
            answer = dict(await ask("status", _ASK_S))
            differences = compared(await ask("config", _ASK_S), config)
    except control.NotRunning:
        return None, []
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        return None, []
    return answer, [f"{one.setting} (needs a {one.takes})" for one in differences]


def _identities(
    config: Config, addresses: tuple[str, ...], account: str | None
) -> tuple[list[Row], list[list[Finding]]]:
    """A line for each, and their findings; none where the directory cannot be had, which the host tells."""
    try:
        directory = directory_of(config)
        try:
            held = list(directory.identities.list(account))
            snapshot = snapshot_of(directory)
            patients = [patient_of(one, snapshot, config, addresses, directory) for one in held]
        finally:
            directory.close()
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        return [], []
    found = asyncio.run(_examine(config, patients))
    rows = [
        _summary(one.identity.name, one.account, findings) for one, findings in zip(held, found, strict=True)
    ]
    return rows, found


def _end(found: Sequence[Sequence[Finding]]) -> None:
    if any(finding.level is Level.PROBLEM for findings in found for finding in findings):
        raise typer.Exit(1)


def _member(one: Finding) -> Row:
    return {"level": one.level.value, "about": one.about, "seen": one.seen, "fix": one.publish}


def _addresses(given: Sequence[str] | None) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_address(one)) for one in given or ())
    except ValueError as error:
        raise typer.BadParameter(f"--ip: {error}") from None


async def _examine(config: Config, patients: Sequence[Patient]) -> list[list[Finding]]:
    delivery = config.delivery
    slots = asyncio.Semaphore(_AT_ONCE)
    async with AsyncExitStack() as stack:
        resolver = Resolver(SystemClock(), endpoint_text(delivery.resolver), delivery.resolver_timeout)
        await resolver.start(stack)

        async def one(patient: Patient) -> list[Finding]:
            async with slots:
                return await examine(resolver, patient)

        return await asyncio.gather(*map(one, patients))


def _summary(name: str, account: str, findings: Sequence[Finding]) -> Row:
    bad = [one for one in findings if one.level is Level.PROBLEM]
    doubtful = [one for one in findings if one.level is Level.WARNING]
    first = next(iter(bad or doubtful), None)
    return {
        "name": name,
        "account": account,
        "problems": len(bad),
        "warnings": len(doubtful),
        "first": f"{first.about}: {first.seen}" if first is not None else "",
    }


def _print(account: str, patient: Patient, findings: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        row: Row = {
            "domain": patient.domain,
            "account": account,
            "addresses": list(patient.addresses),
            "helo": patient.helo,
            "mail_from": patient.mail_from,
            "mail_from_kind": patient.mail_from_kind.value,
            "findings": [
                {"level": one.level.value, "about": one.about, "seen": one.seen, "publish": one.publish}
                for one in findings
            ],
        }
        print_row(row, as_json=True)
        return
    addresses = ", ".join(patient.addresses) or "an unknown address"
    typer.echo(
        f"{patient.domain} of {account}: from {addresses} as {patient.helo}, "
        f"MAIL FROM <...@{patient.mail_from}>\n"
    )
    _print_findings(findings)


def _print_findings(findings: Sequence[Finding]) -> None:
    for one in findings:
        typer.echo(f"{one.level.value:<8} {one.about:<12} {one.seen}")
        for line in one.publish.splitlines():
            typer.echo(f"{'':<8} {'':<12} -> {line}")
