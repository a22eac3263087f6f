"""``relay queue sites``: what each worker does towards each receiver at present, and what binds it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.daemon.commands.filters import AsJson
from relay.daemon.commands.rows import Row, print_rows
from relay.daemon.commands.running import asked, loaded
from relay.daemon.supervisor import control


def sites(
    site: Annotated[str, typer.Argument(help="Only sites whose name holds this text.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many of each worker; 0: all.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List receivers with mail in memory or of late: state, connections, rate, and why not more."""
    found = asked(control.ask(loaded().spool.path, "sites", 30.0, site=site.lower(), limit=limit))
    rows = [{"worker": worker, **one} for worker, lanes in enumerate(found) for one in lanes]
    if as_json:
        print_rows(rows, as_json=True, nothing="")
    else:
        print_rows([_row(one) for one in rows], as_json=False, nothing="no sites are known")


def _row(one: dict[str, Any]) -> Row:
    """The same for people: short numbers, the reason last."""
    rate = one["rate_per_s"]
    back = f"{one['retry_in_s']:.0f} s" if one["retry_in_s"] else ""
    return {
        "site": one["site"],
        "worker": one["worker"],
        "state": one["state"],
        "waiting": one["waiting"],
        "connections": f"{one['connections']} of {one['connections_rule']}",
        "rate": _rate(rate) if rate else "",
        "reply": f"{one['reply_s']:.2f} s" if one["reply_s"] else "",
        "back_in": back,
        "rule": one["rule"],
        "why": one["why"],
    }


def _rate(per_s: float) -> str:
    return f"{per_s:.1f}/s" if per_s >= 1 else f"{per_s * 60:.1f}/min"
