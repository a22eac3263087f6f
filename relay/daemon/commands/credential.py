"""``relay credential``: who logs in. The secret and the password are printed once, by ``create``."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import moment, print_row, print_rows

app = typer.Typer(no_args_is_help=True, help="Credentials: access keys and SMTP passwords.")

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
    """List credentials, without their secrets."""
    with opened() as directory:
        rows = [
            {
                "access_key_id": credential.key_id,
                "account": name,
                "created": moment(credential.created_at),
            }
            for credential, name in directory.credentials.list(account)
        ]
        print_rows(rows, as_json=as_json, nothing="no credentials; see `relay credential create --help`")


@app.command()
def delete(key_id: Annotated[str, typer.Argument(help="The access key id.")]) -> None:
    """Delete a credential; logins with it fail within a second."""
    with opened() as directory:
        directory.credentials.delete(key_id)
        typer.echo(f"{key_id} is deleted")
