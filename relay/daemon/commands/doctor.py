"""``relay doctor``: an identity's mail as receivers will judge it, and what to publish where they frown."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from relay.admin.doctor import Patient, examine
from relay.admin.finding import Finding, Level
from relay.base.clock import SystemClock
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, print_row, print_rows
from relay.daemon.settings.config import Config, load
from relay.daemon.supervisor import files
from relay.daemon.translate import endpoint_text
from relay.daemon.worker.patients import patient_of, snapshot_of
from relay.transport.resolve import Resolver

_AT_ONCE = 8


def doctor(
    name: Annotated[str, typer.Argument(help="An identity; without it all are looked at, a line each.")] = "",
    ip: Annotated[
        list[str] | None, typer.Option(help="An address that mail leaves from, as receivers see it.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Its account, where several hold the same name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge SPF, DKIM, DMARC and the host as receivers do; exit status 1 if there is a problem."""
    config = None
    with opened() as directory:
        config = load(None)
        files.check(config)
        addresses = _addresses(ip)
        held = (
            [directory.mail_froms.show(name, account)] if name else list(directory.identities.list(account))
        )
        snapshot = snapshot_of(directory)
        patients = [patient_of(one, snapshot, config, addresses, directory) for one in held]
        found = asyncio.run(_examine(config, patients))
    if name:
        _print(held[0].account, patients[0], found[0], as_json)
    else:
        for remark in files.remarks(config):
            typer.echo(f"relay: {remark}", err=True)
        rows = [
            _summary(one.identity.name, one.account, findings)
            for one, findings in zip(held, found, strict=True)
        ]
        print_rows(rows, as_json=as_json, nothing="no identities; add one with `relay identity add`")
    if any(finding.level is Level.PROBLEM for findings in found for finding in findings):
        raise typer.Exit(1)


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
    for one in findings:
        typer.echo(f"{one.level.value:<8} {one.about:<12} {one.seen}")
        for line in one.publish.splitlines():
            typer.echo(f"{'':<8} {'':<12} -> {line}")
