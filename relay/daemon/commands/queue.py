"""``relay queue``: what waits, why, and what to do about it.

Looking reads the shards and works whether or not the relay runs. Changing goes through the running relay,
which alone writes to its shards; filters are the same everywhere and must all match.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from relay.base.control import for_people
from relay.daemon.commands import explain, filters, sites, steer, suspend
from relay.daemon.commands.filters import AsJson
from relay.daemon.commands.rows import Row, moment, print_row, print_rows
from relay.daemon.commands.running import loaded, spool_of
from relay.spool import views

app = typer.Typer(no_args_is_help=True, help="The queue: what waits, why, and what to do about it.")


@app.command("list")
def list_messages(
    domain: filters.Domain = "",
    account: filters.Account = "",
    sender: filters.Sender = None,
    state: filters.State = "",
    older: filters.Older = "",
    newer: filters.Newer = "",
    site: filters.Site = "",
    limit: Annotated[int, typer.Option(help="At most so many; 0: all.")] = 100,
    order: Annotated[str, typer.Option(help="oldest, newest or due.")] = "oldest",
    as_json: AsJson = False,
) -> None:
    """List what waits."""
    settings = loaded()
    with filters.told():
        chosen = filters.chosen_by(settings, None, domain, account, sender, state, older, newer, site)
        rows: list[Row] = [
            {
                "id": one.id,
                "state": one.state,
                "arrived": moment(one.arrived_at),
                "due": moment(one.due_at) if one.due_at else "",
                "attempts": one.attempts,
                "bytes": one.size_bytes,
                "sender": one.sender,
                "recipients": one.recipients,
                "recipient": one.address,
                "reply": one.reply,
            }
            for one in views.list_messages(spool_of(settings), chosen, limit or None, order=order)
        ]
        print_rows(rows, as_json=as_json, nothing="nothing waits")


@app.command()
def count(
    domain: filters.Domain = "",
    account: filters.Account = "",
    top: Annotated[int, typer.Option(help="So many domains.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count what waits, by state and by domain."""
    settings = loaded()
    with filters.told():
        found = views.counts(spool_of(settings), top, filters.chosen_by(settings, None, domain, account))
        row = {
            "messages": found.messages,
            "recipients": found.recipients,
            "bytes": found.bytes,
            "uncertain": found.uncertain,
            **{f"{state}_recipients": number for state, number in found.by_state.items()},
        }
        if as_json:
            print_row({**row, "domains": dict(found.by_domain)}, as_json=True)
            return
        print_row(row, as_json=False)
        domains: list[Row] = [{"domain": name, "recipients": n} for name, n in found.by_domain]
        if domains:
            typer.echo()
            print_rows(domains, as_json=False, nothing="")


@app.command()
def show(
    message_id: Annotated[str, typer.Argument(help="Its id, as in `250 Ok <id>`.")], as_json: AsJson = False
) -> None:
    """Show one message and each recipient that is not done."""
    settings = loaded()
    with filters.told():
        message = views.show(spool_of(settings), message_id)
        if message is None:
            raise ValueError(f"{message_id} is not in the queue: delivered, bounced, deleted, or never here")
        recipients: list[Row] = [
            {
                "recipient": r.address,
                "state": r.state.value,
                "attempts": r.attempts,
                "due": moment(r.due_at) if r.due_at else "",
                "reply": r.reply,
            }
            for r in message.recipients
        ]
        row = {
            "id": message.id,
            "account_id": message.account_id,
            "sender": message.sender,
            "mail_from": message.wire_sender,  # as receivers see it
            "bytes": message.size_bytes,
            "arrived": moment(message.arrived_at),
            "expires": moment(message.expires_at),
        }
        if as_json:
            asked_for = json.loads(message.control or "{}")
            print_row({**row, "control": asked_for, "recipients": list(recipients)}, as_json=True)
            return
        print_row({**row, **for_people(message.control)}, as_json=False)
        typer.echo()
        print_rows(recipients, as_json=False, nothing="no recipients")


@app.command()
def uncertain(as_json: AsJson = False) -> None:
    """List recipients whose last dot was sent and whose reply no one knows: they may get a message twice."""
    settings = loaded()
    with filters.told():
        rows: list[Row] = [
            {"id": one.message_id, "recipient": one.address, "at": moment(one.at), "why": one.why}
            for one in views.uncertain(spool_of(settings))
        ]
        print_rows(rows, as_json=as_json, nothing="nothing is uncertain")


app.command()(explain.explain)
app.command()(sites.sites)
app.command("flush", help="Try again now.")(steer.simple("flush", "recipients are due now"))
app.command("hold", help="Keep back until released.")(steer.simple("hold", "recipients are held"))
app.command("release", help="Let go what is held.")(steer.simple("release", "recipients are due now"))
app.command()(steer.delete)
app.command()(steer.reroute)
app.command()(suspend.suspend)
app.command()(suspend.resume)
app.command()(suspend.suspended)
