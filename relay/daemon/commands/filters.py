"""Which recipients a ``relay queue`` command is about: the same options everywhere, and what they mean.

Filters must all match. A site is known to the running relay only: which domains lead there is asked of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from relay.base.clock import SystemClock
from relay.base.errors import RelayError
from relay.daemon.commands.directory import directory_of
from relay.daemon.settings.config import Config
from relay.daemon.settings.units import parse_duration
from relay.daemon.supervisor import control
from relay.directory.records import normal_domain
from relay.spool.choosing import STATES, Chosen

_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f-]{36}-[0-9a-f]{6}")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Message ids; none: all that the filters match.")]
Domain = Annotated[str, typer.Option(help='Recipient domain; ".example.org" takes subdomains too.')]
Site = Annotated[
    str, typer.Option(help="Site, as `explain` names it, or one of its hosts; asks the running relay.")
]
Account = Annotated[str, typer.Option(help="Account name.")]
Sender = Annotated[str | None, typer.Option(help='Envelope sender; "" is the null sender: bounces.')]
State = Annotated[str, typer.Option(help=f"One of {', '.join(STATES)}.")]
Older = Annotated[str, typer.Option(help='Arrived longer ago than this, e.g. "2h".')]
Newer = Annotated[str, typer.Option(help='Arrived within this time, e.g. "10m".')]


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong becomes one line and status 1."""
    try:
        yield
    except (RelayError, ValueError) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None


def check_id(text: str) -> None:
    """Raise ValueError unless it is a message id."""
    if not _ID.fullmatch(text):
        raise ValueError(f"{text!r} is not a message id; `relay queue list` shows them")


def chosen_by(
    settings: Config,
    ids: list[str] | None = None,
    domain: str = "",
    account: str = "",
    sender: str | None = None,
    state: str = "",
    older: str = "",
    newer: str = "",
    site: str = "",
) -> Chosen:
    """The filters of a command. Raises ValueError, RelayError."""
    for one in ids or ():
        check_id(one)
    if state and state not in STATES:
        raise ValueError(f"{state!r} is no state; there are {', '.join(STATES)}")
    account_id = None
    if account:
        directory = directory_of(settings)
        try:
            account_id = directory.accounts.show(account).id
        finally:
            directory.close()
    now = SystemClock().now()
    chosen = Chosen(
        ids=tuple(ids or ()),
        state=state,
        domain=("." if domain.startswith(".") else "") + normal_domain(domain.removeprefix(".")),
        account=account_id,
        sender=sender,
        older_than=now - parse_duration(older) if older else None,
        newer_than=now - parse_duration(newer) if newer else None,
    )
    if not site:
        return chosen
    domains = asyncio.run(control.ask(settings.spool.path, "domains of site", site=site))
    return replace(chosen, domains=tuple(domains))
