"""``relay queue``: what waits, why, and what to do about it.

Looking reads the shards and works whether or not the relay runs. Changing goes through the running relay,
which alone writes to its shards; filters are the same everywhere and must all match.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from relay.base.clock import SystemClock
from relay.base.control import for_people
from relay.base.errors import RelayError
from relay.daemon import control
from relay.daemon.commands.directory import directory_of
from relay.daemon.commands.rows import Row, moment, print_row, print_rows
from relay.daemon.commands.running import asked, loaded, spool_of
from relay.daemon.config import Config
from relay.daemon.units import parse_duration
from relay.spool import views
from relay.spool.operate import STATES, Chosen

app = typer.Typer(no_args_is_help=True, help="The queue: what waits, why, and what to do about it.")

_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f-]{36}-[0-9a-f]{6}")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Message ids; none: all that the filters match.")]
Domain = Annotated[str, typer.Option(help='Recipient domain; ".example.org" takes subdomains too.')]
Account = Annotated[str, typer.Option(help="Account name.")]
Sender = Annotated[str | None, typer.Option(help='Envelope sender; "" is the null sender: bounces.')]
State = Annotated[str, typer.Option(help="fresh, deferred or held.")]
Older = Annotated[str, typer.Option(help='Arrived longer ago than this, e.g. "2h".')]
Newer = Annotated[str, typer.Option(help='Arrived within this time, e.g. "10m".')]
Everything = Annotated[bool, typer.Option("--all", help="Yes, the whole queue.")]


@contextmanager
def _told() -> Any:  # noqa: ANN401
    """What goes wrong becomes one line and status 1."""
    try:
        yield
    except (RelayError, ValueError) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None


def _chosen(
    settings: Config,
    ids: list[str] | None = None,
    domain: str = "",
    account: str = "",
    sender: str | None = None,
    state: str = "",
    older: str = "",
    newer: str = "",
) -> Chosen:
    """The filters of a command. Raises ValueError, RelayError."""
    for one in ids or ():
        if not _ID.fullmatch(one):
            raise ValueError(f"{one!r} is not a message id; `relay queue list` shows them")
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
    return Chosen(
        ids=tuple(ids or ()),
        state=state,
        domain=domain.lower(),
        account=account_id,
        sender=sender,
        older_than=now - parse_duration(older) if older else None,
        newer_than=now - parse_duration(newer) if newer else None,
    )


@app.command("list")
def list_messages(
    domain: Domain = "",
    account: Account = "",
    sender: Sender = None,
    state: State = "",
    older: Older = "",
    newer: Newer = "",
    limit: Annotated[int, typer.Option(help="At most so many; 0: all.")] = 100,
    order: Annotated[str, typer.Option(help="oldest, newest or due.")] = "oldest",
    as_json: AsJson = False,
) -> None:
    """List what waits."""
    settings = loaded()
    with _told():
        chosen = _chosen(settings, None, domain, account, sender, state, older, newer)
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
    domain: Domain = "",
    account: Account = "",
    top: Annotated[int, typer.Option(help="So many domains.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Count what waits, by state and by domain."""
    settings = loaded()
    with _told():
        found = views.counts(spool_of(settings), top, _chosen(settings, None, domain, account))
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
    with _told():
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
    with _told():
        rows: list[Row] = [
            {"id": one.message_id, "recipient": one.address, "at": moment(one.at), "why": one.why}
            for one in views.uncertain(spool_of(settings))
        ]
        print_rows(rows, as_json=as_json, nothing="nothing is uncertain")


def _change(what: str, done: str) -> Callable[..., None]:
    """A command that changes the queue of the running relay."""

    def command(
        ids: Ids = None,
        domain: Domain = "",
        account: Account = "",
        sender: Sender = None,
        state: State = "",
        older: Older = "",
        newer: Newer = "",
        everything: Everything = False,
        as_json: AsJson = False,
    ) -> None:
        settings = loaded()
        with _told():
            chosen = _chosen(settings, ids, domain, account, sender, state, older, newer)
            if chosen == Chosen() and not everything:
                raise ValueError("name messages or filters, or say --all for the whole queue")
            fields = {name: getattr(chosen, name) for name in Chosen.__slots__}
            number = sum(asked(control.ask(settings.spool.path, what, **fields)))
            if as_json:
                print_row({what: number}, as_json=True)
            else:
                typer.echo(f"{number} {done}")

    return command


app.command("flush", help="Try again now.")(_change("flush", "recipients are due now"))
app.command("hold", help="Keep back until released.")(_change("hold", "recipients are held"))
app.command("release", help="Let go what is held.")(_change("release", "recipients are due now"))
app.command("delete", help="Delete without telling the sender.")(_change("delete", "messages are deleted"))
