"""``relay account quota`` and ``relay account statistics``: what an account has sent, and what became of it.

The quota is asked of the running relay, which counts it; the statistics are read from the file that the
notifier fills. ``relay stats`` shows both, and more.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.base.clock import SystemClock
from relay.base.errors import RelayError
from relay.daemon.commands.account import AsJson, Name
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import moment, print_row, print_rows
from relay.daemon.commands.running import asked, loaded, spool_of
from relay.daemon.supervisor import control
from relay.spool.statistics_views import reading


def quota(name: Name, as_json: AsJson = False) -> None:
    """Show what an account has sent in the last 24 hours, and what it may.

    Counted in recipients. With limits: as the ledger counts, mail that is kept for later included. Without:
    as the events tell that are kept. JSON has -1 for no limit.
    """
    with opened() as directory:
        account = directory.accounts.show(name)
    is_limited = account.max_send_rate >= 0 or account.max_24_hours >= 0
    question = control.ask(loaded().spool.path, "usage", account=account.id, is_limited=is_limited)
    sent = int(asked(question)["sent"])
    if as_json:
        row: dict[str, Any] = {
            "name": name,
            "sent_last_24_hours": sent,
            "max_24_hours": account.max_24_hours,
            "max_send_rate": account.max_send_rate,
            "over_quota": account.over_quota.value,
        }
    else:
        row = {
            "sent last 24 hours": _of(sent, account.max_24_hours),
            "max 24 hours": _limit(account.max_24_hours),
            "max send rate": _limit(account.max_send_rate, "/s"),
            "over quota": account.over_quota.value,
        }
    print_row(row, as_json=as_json)


def statistics(
    name: Name,
    days: Annotated[float, typer.Option(help="How far back.", min=0.0)] = 14.0,
    as_json: AsJson = False,
) -> None:
    """Show what became of an account's mail, by the quarter of an hour.

    Attempts are recipients accepted, bounces those refused for good, rejects messages dropped for what is in
    them. Two weeks back at most.
    """
    with opened() as directory:
        account = directory.accounts.show(name)
    path = spool_of(loaded())
    try:
        with reading(path) as views:
            found = views.points(account.id, SystemClock().now() - days * 86_400.0)
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    rows = [
        {
            "from": moment(start),
            "attempts": one.sent,
            "deliveries": one.delivered,
            "bounces": one.hard,
            "complaints": one.complaints,
            "rejects": one.rejects,
        }
        for start, one in found
    ]
    print_rows(rows, as_json=as_json, nothing=f"no mail of {name} in this time")


def _limit(value: float, unit: str = "") -> str:
    return f"{value:,.15g}{unit}" if value >= 0 else "unlimited"


def _of(sent: int, quota: int) -> str:
    return f"{sent:,} ({sent / quota:.0%})" if quota > 0 else f"{sent:,}"
