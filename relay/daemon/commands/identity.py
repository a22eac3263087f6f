"""``relay identity``: the domains and addresses that an account may send from, and the records to publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from relay.daemon.commands.directory import opened
from relay.daemon.commands.mail_from import mail_from
from relay.daemon.commands.rows import Row, print_row, print_rows
from relay.directory.identities import Held
from relay.directory.keys import ED25519, RSA, SigningKey, public_record, zone_record
from relay.directory.probe import prove
from relay.directory.records import IdentityKind, IdentityState
from relay.directory.store import Directory

app = typer.Typer(no_args_is_help=True, help="Identities: the domains and addresses that may be sent from.")

Name = Annotated[str, typer.Argument(help="example.org or name@example.org")]
Account = Annotated[str | None, typer.Option(help="Its account, where several hold the same name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


app.command("mail-from")(mail_from)


@app.command()
def add(
    account: Annotated[str, typer.Argument(help="The account that may send from it.")],
    name: Name,
    ed25519: Annotated[bool, typer.Option("--ed25519", help="Sign with an Ed25519 key as well.")] = False,
    bits: Annotated[int, typer.Option("--rsa-bits", help="Size of the RSA key.")] = 2048,
    is_verified: Annotated[bool, typer.Option("--verified", help="Mark it verified at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add an identity; for a domain make its DKIM keys, test them, and print the records to publish."""
    with opened() as directory:
        algorithms = (RSA, ED25519) if ed25519 else (RSA,)
        held = directory.identities.add(
            account, name, algorithms=algorithms, bits=bits, is_verified=is_verified
        )
        keys = _keys(directory, held)
        for key in keys:
            prove(key)
        if as_json:
            print_row({**_row(held), "records": [_record(key) for key in keys]}, as_json=True)
            return
        print_row(_row(held), as_json=False)
        if keys:
            typer.echo("\nPublish in DNS:\n")
            _print_zone(keys)
        if not is_verified:
            name = held.identity.name
            typer.echo(f"\nThen let {account} send from it: relay identity verify {name} --account {account}")


@app.command()
def verify(name: Name, account: Account = None) -> None:
    """Mark an identity verified, on the administrator's word."""
    with opened() as directory:
        held = directory.identities.verify(name, account)
        typer.echo(f"{held.identity.name} is verified for {held.account}")


@app.command("list")
def list_identities(
    account: Annotated[str | None, typer.Argument(help="Only those of this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """List identities."""
    with opened() as directory:
        print_rows(
            [_row(held) for held in directory.identities.list(account)],
            as_json=as_json,
            nothing="no identities; add one with `relay identity add ACCOUNT NAME`",
        )


@app.command()
def remove(name: Name, account: Account = None) -> None:
    """Remove an identity with its DKIM keys."""
    with opened() as directory:
        directory.identities.remove(name, account)
        typer.echo(f"{name} is removed")


@app.command()
def records(
    name: Annotated[str, typer.Argument(metavar="DOMAIN", help="example.org")],
    account: Account = None,
    as_zone: Annotated[bool, typer.Option("--bind", help="As lines of a zone file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the TXT records to publish for a domain."""
    with opened() as directory:
        keys = directory.identities.signing_keys(name, account)
        if as_zone and not as_json:
            _print_zone(keys)
        else:
            print_rows([_record(key) for key in keys], as_json=as_json, nothing="no records")


def _keys(directory: Directory, held: Held) -> tuple[SigningKey, ...]:
    if held.identity.kind is IdentityKind.ADDRESS:
        return ()
    return directory.identities.signing_keys(held.identity.name, held.account)


def _print_zone(keys: Sequence[SigningKey]) -> None:
    for key in keys:
        typer.echo(zone_record(key.record_name, public_record(key)))


def _record(key: SigningKey) -> Row:
    return {"name": key.record_name, "type": "TXT", "value": public_record(key)}


def _row(held: Held) -> Row:
    identity = held.identity
    return {
        "name": identity.name,
        "account": held.account,
        "kind": identity.kind.value,
        "verified": identity.state is IdentityState.VERIFIED,
        "dkim": identity.is_dkim_on,
        "mail_from": f"{identity.mail_from} ({identity.mail_from_state})" if identity.mail_from else "",
    }
