"""``relay queue explain``: why a message has not left, which limit binds, and when it is tried next.

The worker that owns the message's shard answers. Where no relay runs, or that worker is not there, the disk
says what it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from relay.base.clock import SystemClock
from relay.daemon.commands import filters
from relay.daemon.commands.filters import AsJson
from relay.daemon.commands.rows import moment, print_row
from relay.daemon.commands.running import loaded, spool_of
from relay.daemon.link import LinkError
from relay.daemon.settings.config import Config
from relay.daemon.supervisor import control


def explain(
    message_id: Annotated[str, typer.Argument(help="Its id, as in `250 Ok <id>`.")], as_json: AsJson = False
) -> None:
    """Explain why a message has not left: what binds, when it is tried next, what was said last."""
    settings = loaded()
    with filters.told():
        found, why = found_of(settings, message_id)
        if found is None:
            raise ValueError(f"{message_id} is not in the queue: delivered, bounced, deleted, or never here")
        if as_json:
            print_row({**found, "asked": why or "the relay"}, as_json=True)
            return
        if why:
            typer.echo(f"as the disk tells; {why}", err=True)
        _print(found)


def found_of(settings: Config, message_id: str) -> tuple[dict[str, Any] | None, str]:
    """The answer, and why it is only the disk's ("" where the relay answered). Raises ValueError."""
    path = settings.spool.path
    filters.check_id(message_id)
    try:
        return asyncio.run(control.ask(path, "explain", 60.0, message_id=message_id)), ""
    except control.NotAllowed:
        raise
    except LinkError as error:
        from relay.daemon.worker.explaining import (
            from_disk,  # loads most of the relay: only where it is needed
        )

        return from_disk(spool_of(settings), message_id, SystemClock().now()), str(error)


def _print(found: dict[str, Any]) -> None:
    recipients = found.pop("recipients")
    head = {
        "id": found["id"],
        "account": found["account"] or found["account_id"],
        **({"account_state": found["account_state"]} if "account_state" in found else {}),
        "sender": found["sender"],
        "bytes": found["bytes"],
        "arrived": moment(found["arrived_at"]),
        "given_up": moment(found["gives_up_at"]),
    }
    print_row(head, as_json=False)
    for one in recipients:
        typer.echo()
        print_row(_lines(one), as_json=False)
        if one.get("transcript"):
            typer.echo(f"last attempt, {moment(one['transcript_at'])}:")
            for line in one["transcript"].split("\n"):
                typer.echo(f"  {printable(line)}")


def _lines(one: Mapping[str, Any]) -> dict[str, object]:
    """A recipient's answer, a line each; what is empty is left out."""
    route, lane = one.get("route") or {}, one.get("lane") or {}
    next_at = one["next_at"]
    shown = {
        "recipient": printable(one["recipient"]),
        "where": one["where"],
        "limit": one["limit"],
        "why": printable(one["why"]),
        "suppressed": one.get("suppressed", ""),
        "next_attempt": moment(next_at) if next_at is not None else "not before that changes",
        "attempts": one["attempts"],
        "last_reply": printable(one["reply"]),
        "site": route.get("site", ""),
        "hosts": ", ".join(route.get("hosts", ())),
        "tls": " ".join(filter(None, (route.get("tls", ""), route.get("tls_asked_by", "")))),
        "source": route.get("source", ""),
        "lane": _lane(lane),
        "to_change_it": one["advice"],
    }
    return {name: value for name, value in shown.items() if value != ""}


def _lane(lane: Mapping[str, Any]) -> str:
    if "state" not in lane:
        return ""
    rate = f", {lane['rate_per_s']:g}/s" if lane.get("rate_per_s") else ""
    return (
        f"{lane['state']}, {lane['connections']} of {lane['connections_rule']} connections{rate}, "
        f"{lane['waiting']} messages wait, rule {lane['rule']}"
    )


def printable(text: str) -> str:
    """What a peer or a sender chose must not command the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
