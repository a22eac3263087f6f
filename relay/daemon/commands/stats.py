"""``relay stats``: what became of the mail, and how good it is.

Read from the statistics file, which the notifier fills; the use of the quota is asked of the running relay.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from relay.admin import sending
from relay.base.clock import SystemClock
from relay.base.errors import DirectoryError, RelayError
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import moment, print_row, print_rows
from relay.daemon.commands.running import loaded, spool_of
from relay.daemon.notifier.reputation_letters import percent
from relay.daemon.settings.config import Config
from relay.daemon.settings.units import parse_duration
from relay.daemon.supervisor import control
from relay.daemon.translate import reputation_thresholds
from relay.directory.records import Account, identity_name, normal_domain
from relay.spool.event_log import EventLog
from relay.spool.statistics_views import Views, reading


def stats(
    account: Annotated[str, typer.Option(help="Only this account's mail, and how it stands.")] = "",
    identity: Annotated[str, typer.Option(help="Only what was sent as this identity.")] = "",
    domain: Annotated[str, typer.Option(help="Only what went to this receiver domain.")] = "",
    since: Annotated[str, typer.Option(help='How far back: "2d", "6h"; days beyond two weeks.')] = "14d",
    points: Annotated[bool, typer.Option("--points", help="The data points of 15 minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what became of the mail: sums, bounce and complaint rate, quota, receiver domains.

    Rates are of the newest mail, however old: as much as is sent on an average day, and at least as many
    recipients as minimum_volume says in the configuration. Only hard bounces count. Receiver domains that are
    not among the 20 with the most mail of an account in their time are (other).
    """
    settings = loaded()
    now = SystemClock().now()
    try:
        start = now - parse_duration(since)
        only = {"identity": identity_name(identity) if identity else "", "domain": normal_domain(domain)}
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except DirectoryError as error:
        raise typer.BadParameter(f"--identity: {error}") from None
    with opened() as directory:
        everyone = {one.id: one for one in directory.accounts.list()}
        chosen = directory.accounts.show(account) if account else None
    try:
        with reading(spool_of(settings)) as views:
            if points:
                _print_points(views, chosen, start, only, as_json)
                return
            found = _gather(views, settings, chosen, everyone, start, only)
            found["events_not_counted"] = _waiting(settings.spool.path, views)
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found)


def _print_points(
    views: Views, chosen: Account | None, start: float, only: dict[str, str], as_json: bool
) -> None:
    rows = sending.points(views, chosen.id if chosen else None, start, **only)
    if as_json:
        typer.echo(json.dumps({"SendDataPoints": rows}, indent=2))
    else:
        print_rows(rows, as_json=False, nothing="no mail in this time")


def _gather(
    views: Views,
    settings: Config,
    chosen: Account | None,
    everyone: dict[int, Account],
    start: float,
    only: dict[str, str],
) -> dict[str, Any]:
    limits = reputation_thresholds(settings.reputation)
    number = chosen.id if chosen else None
    found: dict[str, Any] = {"account": chosen.name if chosen else "", **only, "since": moment(start)}
    found |= sending.sums(views.total(number, start, **only))
    if chosen is not None:
        found["reputation"] = sending.reputation(views, chosen.id, limits, **only)
        found["quota"] = _quota(settings, chosen)
    else:
        found["accounts"] = sending.accounts(views, start, limits, everyone, **only)
    found["domains"] = sending.domains(views, number, start, limits, **only)
    return found


def _waiting(spool: Path, views: Views) -> int:
    """Events that the notifier has not come to. Raises SpoolError."""
    log, counted = EventLog(spool), views.position()
    try:
        return log.behind(counted)[0]
    finally:
        log.close()


def _quota(settings: Config, account: Account) -> dict[str, float | None]:
    """As GetSendQuota; what was sent is None where no relay runs that could say."""
    is_limited = account.max_send_rate >= 0 or account.max_24_hours >= 0
    question = control.ask(settings.spool.path, "usage", account=account.id, is_limited=is_limited)
    try:
        sent = float(asyncio.run(question)["sent"])
    except RelayError:
        sent = None
    return {
        "Max24HourSend": float(account.max_24_hours),
        "MaxSendRate": account.max_send_rate,
        "SentLast24Hours": sent,
    }


def _print(found: dict[str, Any]) -> None:
    head: dict[str, object] = {
        name: found[name] for name in ("account", "identity", "domain", "since") if found[name]
    }
    if "reputation" in found and found["reputation"]["status"]:
        head["status"] = found["reputation"]["status"]
    head |= {
        "sent": f"{found['sent']:,}",
        "delivered": f"{found['delivered']:,}",
        "bounced": f"{found['bounced']:,} hard, {found['soft_bounced']:,} soft",
        "complaints": f"{found['complaints']:,}",
        "rejects": f"{found['rejects']:,}",
        "suppressed": f"{found['suppressed']:,}",
    }
    if "reputation" in found:
        head |= _rates(found["reputation"])
        head |= _limits(found["quota"])
    print_row(head, as_json=False)
    if found["events_not_counted"]:
        typer.echo(f"note: {found['events_not_counted']:,} events are not counted yet", err=True)
    for table in ("accounts", "domains"):
        if found.get(table):
            typer.echo()
            print_rows([_shown(row) for row in found[table]], as_json=False, nothing="")


def _rates(reputation: dict[str, Any]) -> dict[str, str]:
    mails, since = reputation["mails"], reputation["since"]
    of = f"of {mails:,} since {since}" if mails else "of none"
    return {
        f"{name} rate": f"{percent(one['rate'])}, {one['status']} ({one['count']:,} {of})"
        for name, one in (("bounce", reputation["bounce_rate"]), ("complaint", reputation["complaint_rate"]))
    }


def _limits(quota: dict[str, Any]) -> dict[str, str]:
    most, rate, sent = quota["Max24HourSend"], quota["MaxSendRate"], quota["SentLast24Hours"]
    used = "unknown" if sent is None else f"{sent:,.0f}"
    bound = f" of {most:,.0f}" if most >= 0 else ", unlimited"
    return {
        "sent last 24 hours": f"{used}{bound}{' (no relay runs)' if sent is None else ''}",
        "max send rate": f"{rate:g}/s" if rate >= 0 else "unlimited",
    }


def _shown(row: dict[str, Any]) -> dict[str, object]:
    return {
        name: percent(value) if name.endswith("_rate") else f"{value:,}" if isinstance(value, int) else value
        for name, value in row.items()
    }
