"""``relay credential``: who logs in. The secret and the password are printed once, by ``create``."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import moment, print_row, print_rows

app = typer.Typer(no_args_is_help=True, help="Credentials: access keys and SMTP passwords.")

KeyId = Annotated[str, typer.Argument(metavar="KEYID", help="The access key id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    account: Annotated[str, typer.Argument(help="The account that logs in with it.")],
    as_json: AsJson = False,
) -> None:
    """Create a credential and print it: the only time that it is shown."""
    with opened() as directory:
        new = directory.credentials.create(account)
        row = {
            "account": new.account,
            "access_key_id": new.key_id,
            "secret": new.secret,
            "smtp_username": new.smtp_username,
            "smtp_password": new.smtp_password,
        }
        print_row(row, as_json=as_json)
        if not as_json:
            typer.echo("Keep the secret and the password now: they are not shown again.", err=True)


@app.command("list")
def list_credentials(
    account: Annotated[str | None, typer.Argument(help="Only those of this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """List credentials, without their secrets. The last use is known to about a minute."""
    with opened() as directory:
        rows = [
            {
                "access_key_id": credential.key_id,
                "account": name,
                "state": credential.state.value,
                "last_used": _last_use(credential.last_used_at, as_json),
                "created": moment(credential.created_at),
            }
            for credential, name in directory.credentials.list(account)
        ]
        print_rows(rows, as_json=as_json, nothing="no credentials; see `relay credential create --help`")


@app.command()
def disable(key_id: KeyId) -> None:
    """Let nobody log in with a credential; it holds within a second."""
    with opened() as directory:
        directory.credentials.disable(key_id)
        typer.echo(f"{key_id} is inactive")


@app.command()
def enable(key_id: KeyId) -> None:
    """Let a disabled credential log in again."""
    with opened() as directory:
        directory.credentials.enable(key_id)
        typer.echo(f"{key_id} is active")


@app.command()
def delete(key_id: KeyId) -> None:
    """Delete a credential; logins with it fail within a second."""
    with opened() as directory:
        directory.credentials.delete(key_id)
        typer.echo(f"{key_id} is deleted")


def _last_use(at: float | None, as_json: bool) -> str | None:
    if at is None:
        return None if as_json else "never"
    return moment(at)
