"""``relay identity``: the domains and addresses that an account may send from, and the records to publish."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.base.arn import identity_arn
from relay.daemon.commands.check import check
from relay.daemon.commands.directory import opened
from relay.daemon.commands.mail_from import mail_from
from relay.daemon.commands.notify import notify, settings_row
from relay.daemon.commands.rows import Row, print_row, print_rows
from relay.daemon.settings.config import Config, load
from relay.daemon.worker.publication import records_of
from relay.directory.identities import Held
from relay.directory.keys import ED25519, RSA, SigningKey
from relay.directory.probe import prove
from relay.directory.published import Record, csv_text, zone_line
from relay.directory.records import IdentityKind
from relay.directory.store import Directory

app = typer.Typer(no_args_is_help=True, help="Identities: the domains and addresses that may be sent from.")

Name = Annotated[str, typer.Argument(help="example.org or name@example.org")]
Account = Annotated[str | None, typer.Option(help="Its account, where several hold the same name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


app.command("mail-from")(mail_from)
app.command("check")(check)
app.command("notify")(notify)


@app.command()
def add(
    account: Annotated[str, typer.Argument(help="The account that may send from it.")],
    name: Name,
    ed25519: Annotated[bool, typer.Option("--ed25519", help="Sign with an Ed25519 key as well.")] = False,
    bits: Annotated[int, typer.Option("--bits", "--rsa-bits", help="Size of the RSA keys.")] = 2048,
    is_verified: Annotated[bool, typer.Option("--verified", help="Mark it verified at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add an identity; for a domain make its DKIM keys, test them, and print the records to publish."""
    with opened() as directory:
        config = load(None)
        algorithms = (RSA, ED25519) if ed25519 else (RSA,)
        held = directory.identities.add(
            account, name, algorithms=algorithms, bits=bits, is_verified=is_verified
        )
        for key in _keys(directory, held):
            prove(key)
        is_domain = held.identity.kind is IdentityKind.DOMAIN
        found = records_of(directory, config, held.identity.name, held.account) if is_domain else ()
        if as_json:
            print_row({**_row(held), "records": [_record(one) for one in found]}, as_json=True)
            return
        print_row(_row(held), as_json=False)
        if found:
            typer.echo("\nPublish in DNS:\n")
            for one in found:
                typer.echo(zone_line(one))
        if not is_verified:
            typer.echo(f"\n{_what_follows(held, config)}")
        above = _told_above(directory, held)
        if above:
            typer.echo(
                f"\nWhat {above} tells topics does not hold for {held.identity.name} once it is verified: "
                f"see relay identity notify {held.identity.name}"
            )


@app.command()
def verify(
    name: Name,
    account: Account = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", "--send", help="Not on your word: send a new link, or look for the record anew."
        ),
    ] = False,
) -> None:
    """Mark an identity verified, on the administrator's word; or begin its verification anew."""
    with opened() as directory:
        if again:
            standing = directory.life.restart(name, account)
            is_domain = standing.kind is IdentityKind.DOMAIN
            what = "its record is looked for" if is_domain else "a new link is sent to it"
            typer.echo(f"{standing.name} is pending again: {what} by the running relay")
            return
        held = directory.identities.verify(name, account)
        typer.echo(f"{held.identity.name} is verified for {held.account}")


@app.command("list")
def list_identities(
    account: Annotated[str | None, typer.Argument(help="Only those of this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """List identities; in JSON with their ARNs, as X-SES-SOURCE-ARN and its like name them, and with what
    they tell."""
    with opened() as directory:
        held_ones = directory.identities.list(account)
        rows = [_row(held) for held in held_ones]
        if as_json:
            region = load(None).directory.region
            told = {(one.account, one.identity): one for one in directory.notifications.list(account)}
            for row, held in zip(rows, held_ones, strict=True):
                identity = held.identity
                row["arn"] = identity_arn(region, identity.account_id, identity.name)
                settings = told.get((held.account, identity.name))
                row["notifications"] = None if settings is None else settings_row(settings, as_json=True)
        print_rows(
            rows,
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
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    is_direct: Annotated[bool, typer.Option("--txt", help="DKIM keys as TXT, not as CNAME.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the records to publish for a domain: its proof, its DKIM keys, its MAIL FROM domain."""
    with opened() as directory:
        found = records_of(directory, load(None), name, account, is_direct=is_direct)
        if as_json or not (as_zone or as_csv):
            print_rows([_record(one) for one in found], as_json=as_json, nothing="no records")
        elif as_csv:
            typer.echo(csv_text(found), nl=False)
        else:
            for one in found:
                typer.echo(zone_line(one))


def _keys(directory: Directory, held: Held) -> tuple[SigningKey, ...]:
    if held.identity.kind is IdentityKind.ADDRESS:
        return ()
    return directory.identities.signing_keys(held.identity.name, held.account)


def _what_follows(held: Held, config: Config) -> str:
    """How a pending identity is verified, for people."""
    name, account = held.identity.name, held.account
    word = f"To take your word for it: relay identity verify {name} --account {account}"
    if held.identity.kind is IdentityKind.DOMAIN:
        hours = config.verification.pending_for / 3600
        how = f"How it stands: relay identity check {name}"
        return f"The running relay looks for them for {hours:g} hours. {how}\n{word}"
    if not config.verification.url:
        return f"No link can be sent to it: [verification] url is not set.\n{word}"
    return f"The running relay sends it a link to confirm.\n{word}"


def _told_above(directory: Directory, held: Held) -> str:
    """The nearest domain above an identity, of the same account, if it tells anyone anything; else ""."""
    told = {one.identity: one.told for one in directory.notifications.list(held.account)}
    local, at, domain = held.identity.name.rpartition("@")
    above = domain if local and at else domain.partition(".")[2]
    while above and above not in told:
        above = above.partition(".")[2]
    return above if above and told[above] else ""


def _record(record: Record) -> Row:
    return {"name": record.name, "type": record.type, "value": record.value, "why": record.why}


def _row(held: Held) -> dict[str, object]:
    identity = held.identity
    return {
        "name": identity.name,
        "account": held.account,
        "kind": identity.kind.value,
        "verified": identity.state.is_sending,
        "state": identity.state.value,
        "dkim": identity.is_dkim_on,
        "dkim_state": identity.dkim_state.value,
        "mail_from": f"{identity.mail_from} ({identity.mail_from_state})" if identity.mail_from else "",
    }
