"""``relay account``: on whose behalf mail is sent."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.base.suppression import SuppressionReason, reasons_of
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, moment, print_row, print_rows
from relay.directory.accounts import UNLIMITED
from relay.directory.records import Access, Account, OverQuota

app = typer.Typer(no_args_is_help=True, help="Accounts: who may send, and on whose behalf.")

Name = Annotated[str, typer.Argument(help="The account's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NO_LIMIT = "unlimited"


def _rate(text: str) -> float:
    return UNLIMITED if text == _NO_LIMIT else float(text)


def _quota(text: str) -> int:
    return UNLIMITED if text == _NO_LIMIT else int(text)


def _suppress(text: str) -> frozenset[SuppressionReason]:
    try:
        return reasons_of("" if text == "none" else text.upper().replace(" ", ""))
    except ValueError:
        raise typer.BadParameter(f"{text!r}: give bounce, complaint, both with a comma, or none") from None


Contact = Annotated[str | None, typer.Option(help="The address that hears of bounces and revocations.")]
AccessOption = Annotated[
    Access | None, typer.Option("--access", help="In the sandbox, recipients must be verified too.")
]
Rate = Annotated[
    float | None,
    typer.Option("--rate", parser=_rate, metavar="N|unlimited", help="Recipients a second."),
]
Quota = Annotated[
    int | None,
    typer.Option("--quota", parser=_quota, metavar="N|unlimited", help="Recipients in any 24 hours."),
]
OverQuotaOption = Annotated[
    OverQuota | None,
    typer.Option(
        "--over-quota",
        help="A message beyond these: reject it (454), smooth (take it, release it when there is room), "
        "or hold it until an operator releases it.",
    ),
]


Source = Annotated[
    str | None,
    typer.Option(help='The [\\[source]] or [\\[source_pool]] that its mail leaves from; "" for the default.'),
]


@app.command()
def create(
    name: Name,
    contact: Contact = None,
    access: AccessOption = None,
    rate: Rate = None,
    quota: Quota = None,
    over_quota: OverQuotaOption = None,
    source: Source = None,
    as_json: AsJson = False,
) -> None:
    """Create an account: for production, 5 recipients a second and 10,000 a day, unless told otherwise."""
    with opened() as directory:
        account = directory.accounts.create(
            name,
            contact or "",
            access=access or Access.PRODUCTION,
            max_send_rate=rate,
            max_24_hours=quota,
            over_quota=over_quota or OverQuota.REJECT,
            source=source or "",
        )
        print_row(_row(account, as_json), as_json=as_json)
        if not as_json:
            typer.echo(
                f'Other limits: `relay account set {name} --rate N --quota N`, or "unlimited".', err=True
            )


Suppress = Annotated[
    frozenset[SuppressionReason] | None,
    typer.Option(
        "--suppress",
        parser=_suppress,
        metavar="bounce,complaint|none",
        help="What puts an address on its suppression list; none: it uses none, and the service's binds it.",
    ),
]


@app.command("set")
def set_account(
    name: Name,
    contact: Contact = None,
    access: AccessOption = None,
    rate: Rate = None,
    quota: Quota = None,
    over_quota: OverQuotaOption = None,
    source: Source = None,
    suppress: Suppress = None,
    as_json: AsJson = False,
) -> None:
    """Change an account. Limits that it started with follow its access, others stay as they are."""
    if all(value is None for value in (contact, access, rate, quota, over_quota, source, suppress)):
        raise typer.BadParameter(
            "say what to change: --contact, --access, --rate, --quota, --over-quota, --source, --suppress"
        )
    with opened() as directory:
        account = directory.accounts.set(
            name,
            contact=contact,
            access=access,
            max_send_rate=rate,
            max_24_hours=quota,
            over_quota=over_quota,
            source=source,
            suppressed_reasons=suppress,
        )
        print_row(_row(account, as_json), as_json=as_json)


@app.command("list")
def list_accounts(as_json: AsJson = False) -> None:
    """List all accounts."""
    with opened() as directory:
        print_rows(
            [_row(account, as_json) for account in directory.accounts.list()],
            as_json=as_json,
            nothing="no accounts; create one with `relay account create NAME`",
        )


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show an account and what it holds."""
    with opened() as directory:
        account = directory.accounts.show(name)
        row = {
            **_row(account, as_json),
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


def _row(account: Account, as_json: bool) -> Row:
    """For programs a limit that is none is -1, as in the API of SES."""
    rate, quota = account.max_send_rate, account.max_24_hours
    return {
        "name": account.name,
        "id": account.id,
        "state": account.state.value,
        "reason": account.reason,
        "access": account.access.value,
        "max_send_rate": rate if as_json else _limit(f"{rate:g}/s", rate),
        "max_24_hours": quota if as_json else _limit(f"{quota:,}", quota),
        "over_quota": account.over_quota.value,
        "source": account.source,
        "suppress": account.suppressed_reasons.lower() or "none",
        "contact": account.contact,
        "created": moment(account.created_at),
    }


def _limit(text: str, value: float) -> str:
    return _NO_LIMIT if value == UNLIMITED else text
