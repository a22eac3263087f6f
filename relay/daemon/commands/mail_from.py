"""``relay identity mail-from``: the MAIL FROM domain of an identity, and the records that it needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from relay.base.errors import DirectoryError
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, print_row
from relay.daemon.settings.config import load
from relay.daemon.translate import return_path_host
from relay.directory.identities import Held
from relay.directory.mail_from import records
from relay.directory.published import zone_line
from relay.directory.records import IdentityRow, OnMailFromFailure


class Action(StrEnum):
    """What to do with it."""

    SHOW = "show"
    SET = "set"
    CLEAR = "clear"


def mail_from(
    name: Annotated[str, typer.Argument(help="The identity: example.org or name@example.org")],
    action: Annotated[Action, typer.Argument(help="show, set DOMAIN, or clear.")] = Action.SHOW,
    domain: Annotated[str, typer.Argument(help="For set: a subdomain such as bounce.example.org")] = "",
    on_failure: Annotated[
        OnMailFromFailure,
        typer.Option(help="What becomes of mail while the MX of the domain is not seen."),
    ] = OnMailFromFailure.USE_DEFAULT,
    account: Annotated[
        str | None, typer.Option(help="Its account, where several hold the same name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The domain of MAIL FROM for mail of an identity: show it, set it, or go back to the default."""
    if (action is Action.SET) != bool(domain):
        raise typer.BadParameter("give a domain with set, and only with set")
    with opened() as directory:
        if action is Action.SET:
            held = directory.mail_froms.put(name, domain, on_failure, account)
        elif action is Action.CLEAR:
            held = directory.mail_froms.clear(name, account)
        else:
            held = directory.mail_froms.show(name, account)
        if action is Action.SHOW and not held.identity.mail_from:
            raise DirectoryError(
                f"{held.identity.name} has no MAIL FROM domain of its own: "
                f"relay identity mail-from {held.identity.name} set bounce.{_domain(held.identity)}"
            )
        _print(held, return_path_host(load(None)), as_json)


def _print(held: Held, host: str, as_json: bool) -> None:
    identity = held.identity
    published = records(identity, host)
    row: Row = {
        "name": identity.name,
        "account": held.account,
        "mail_from": identity.mail_from,
        "state": identity.mail_from_state.value,
        "on_failure": identity.mail_from_on_failure.value,
    }
    if as_json:
        listed = [{"name": one.name, "type": one.type, "value": one.value} for one in published]
        print_row({**row, "records": listed}, as_json=True)
        return
    print_row(row, as_json=False)
    if published:
        typer.echo("\nPublish in DNS, with no other MX beside it; the relay looks for it by itself:\n")
        for one in published:
            typer.echo(zone_line(one))


def _domain(identity: IdentityRow) -> str:
    return identity.name.rpartition("@")[2]
