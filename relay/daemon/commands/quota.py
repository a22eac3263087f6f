"""``relay account quota``: how much of its limits an account has used, as the running relay counts it."""

from __future__ import annotations

from typing import Any

from relay.daemon import control
from relay.daemon.commands.account import AsJson, Name
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import print_row
from relay.daemon.commands.running import asked, loaded


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


def _limit(value: float, unit: str = "") -> str:
    return f"{value:,.15g}{unit}" if value >= 0 else "unlimited"


def _of(sent: int, quota: int) -> str:
    return f"{sent:,} ({sent / quota:.0%})" if quota > 0 else f"{sent:,}"
