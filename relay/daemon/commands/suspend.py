"""``relay queue suspend|resume|suspended``: stop deliveries to a site or a domain, or those of an account.

Kept in the directory, so that it holds in all workers within a second, and over restarts. Mail is accepted as
before; it waits, and expires when its time is up.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from relay.base.errors import RelayError
from relay.daemon.commands import filters
from relay.daemon.commands.directory import opened
from relay.daemon.commands.filters import AsJson
from relay.daemon.commands.rows import Row, moment, print_rows
from relay.daemon.commands.running import loaded
from relay.daemon.supervisor import control
from relay.directory.records import Suspended

Site = Annotated[str, typer.Option(help="A site as `explain` names it, or one of its hosts.")]
Domain = Annotated[str, typer.Option(help='A recipient domain; ".example.org" with all below it.')]
Account = Annotated[str, typer.Option(help="An account: its accepted mail waits.")]


def suspend(
    site: Site = "",
    domain: Domain = "",
    account: Account = "",
    reason: Annotated[str, typer.Option(help="Why, for the log and for those who look.")] = "",
) -> None:
    """Stop deliveries. Mail is accepted as before and waits."""
    with filters.told():
        kind, name = _one(site, domain, account)
    with opened() as directory:
        row = directory.suspensions.add(kind, name, reason)
    _note(row.kind, row.name, row.reason, is_over=False)
    typer.echo(f"{row.kind} {row.name} is suspended")


def resume(
    site: Site = "",
    domain: Domain = "",
    account: Account = "",
    everything: Annotated[bool, typer.Option("--all", help="All that is suspended.")] = False,
) -> None:
    """Let deliveries go on; what waits is tried at once."""
    with filters.told():
        kind, name = (None, "") if everything else _one(site, domain, account)
    with opened() as directory:
        rows = directory.suspensions
        if kind is None:
            gone = [(one.kind, one.name) for one in rows.list()]
            rows.clear()
        else:
            rows.remove(kind, name)
            gone = [(kind, name)]
    for kind, name in gone:
        _note(kind, name, "", is_over=True)
        typer.echo(f"{kind} {name} is resumed")
    if not gone:
        typer.echo("nothing is suspended", err=True)


def suspended(as_json: AsJson = False) -> None:
    """List what is suspended."""
    with opened() as directory:
        found: list[Row] = [
            {"kind": one.kind.value, "name": one.name, "since": moment(one.since), "reason": one.reason}
            for one in directory.suspensions.list()
        ]
    print_rows(found, as_json=as_json, nothing="nothing is suspended")


def _one(site: str, domain: str, account: str) -> tuple[Suspended, str]:
    """What is named. Raises ValueError unless it is one thing."""
    given = [
        (kind, name)
        for kind, name in (
            (Suspended.SITE, site),
            (Suspended.DOMAIN, domain),
            (Suspended.ACCOUNT, account),
        )
        if name
    ]
    if len(given) != 1:
        raise ValueError("name one thing: --site, --domain or --account")
    return given[0]


def _note(kind: Suspended, name: str, reason: str, *, is_over: bool) -> None:
    """For the relay's log. It holds all the same where no relay runs, or none may be asked by this user."""
    fields = {"kind": kind.value, "target": name, "reason": reason, "is_over": is_over}
    try:
        asyncio.run(control.ask(loaded().spool.path, "note suspension", 10.0, **fields))
    except RelayError as error:
        typer.echo(f"not logged by the relay: {error}", err=True)
