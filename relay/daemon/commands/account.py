"""``relay account``: on whose behalf mail is sent."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, moment, print_row, print_rows
from relay.directory.records import Account

app = typer.Typer(no_args_is_help=True, help="Accounts: who may send, and on whose behalf.")

Name = Annotated[str, typer.Argument(help="The account's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    name: Name,
    contact: Annotated[str, typer.Option(help="The address that hears of bounces and revocations.")] = "",
    as_json: AsJson = False,
) -> None:
    """Create an account."""
    with opened() as directory:
        print_row(_row(directory.accounts.create(name, contact)), as_json=as_json)


@app.command("list")
def list_accounts(as_json: AsJson = False) -> None:
    """List all accounts."""
    with opened() as directory:
        print_rows(
            [_row(account) for account in directory.accounts.list()],
            as_json=as_json,
            nothing="no accounts; create one with `relay account create NAME`",
        )


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show an account and what it holds."""
    with opened() as directory:
        account = directory.accounts.show(name)
        row = {
            **_row(account),
            "credentials": len(directory.credentials.list(name)),
            "identities": len(directory.identities.list(name)),
        }
        print_row(row, as_json=as_json)


@app.command()
def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, for the log and for `relay account show`.")] = "",
) -> None:
    """Suspend sending; what is queued is still delivered."""
    with opened() as directory:
        directory.accounts.pause(name, reason)
        typer.echo(f"{name} is paused")


@app.command()
def resume(name: Name) -> None:
    """Let a paused account send again."""
    with opened() as directory:
        directory.accounts.resume(name)
        typer.echo(f"{name} is active")


@app.command()
def delete(
    name: Name,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete an account with its credentials, identities and DKIM keys."""
    with opened() as directory:
        directory.accounts.show(name)
        if not is_sure:
            typer.confirm(
                f"Delete {name} with its credentials, identities and DKIM keys?", abort=True, err=True
            )
        directory.accounts.delete(name)
        typer.echo(f"{name} is deleted")


def _row(account: Account) -> Row:
    return {
        "name": account.name,
        "id": account.id,
        "state": account.state.value,
        "reason": account.reason,
        "contact": account.contact,
        "created": moment(account.created_at),
    }
