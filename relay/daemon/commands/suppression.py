"""``relay suppression``: addresses to which nothing is sent, on each account's list and the service-wide one.

What is added, removed or imported holds in all workers within a second; mail that was accepted before is not
concerned. ``import`` goes batch by batch, each whole or not at all; a file whose import broke off can be
imported again. Lines that are no entries are named and passed over, and the exit status is 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from relay.base.clock import SystemClock
from relay.base.errors import DirectoryError, RelayError
from relay.base.simulator import is_simulator
from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.codec.suppression_csv import HEAD, BadLine, address_of, moment_of, read, row
from relay.daemon.commands.directory import directory_of
from relay.daemon.commands.filters import told
from relay.daemon.commands.rows import Row, moment, print_row, print_rows
from relay.daemon.settings.config import Config, load
from relay.directory.store import Directory

app = typer.Typer(no_args_is_help=True, help="Suppression lists: addresses to which nothing is sent.")

_BATCH = 10_000
_NAMED = 20  # bad lines that are printed

Account = Annotated[str, typer.Option(help="The list of this account.")]
Service = Annotated[bool, typer.Option("--service", help="The service-wide list.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Addresses = Annotated[list[str], typer.Argument(help="Addresses, in any case.")]
Reason = Annotated[
    SuppressionReason | None, typer.Option(case_sensitive=False, help="Why: bounce or complaint.")
]


class _Opened:
    """A directory, the list in it that is meant, and the time."""

    def __init__(self, config: Config, directory: Directory, account: str, is_service: bool) -> None:
        self.directory = directory
        self.lists = directory.suppression
        self.now = SystemClock().now()
        self.service_since = self.now - config.suppression.service_for
        self.until_s = config.suppression.service_for
        self.service_domain = config.signing.service_domain
        self.name = "service" if is_service else account
        self.list_of = SERVICE if is_service or not account else directory.accounts.show(account).id

    def address(self, text: str) -> str:
        """An address that may be listed. Raises ValueError."""
        found = address_of(text.strip())
        if is_simulator(found, self.service_domain):
            raise ValueError(f"{text} belongs to the mailbox simulator, which is on no list")
        return found


@contextmanager
def _opened(account: str, is_service: bool, *, is_needed: bool = True) -> Iterator[_Opened]:
    """The list that is meant. Ends the command with one line on what the relay refuses."""
    with told():
        if bool(account) + is_service != 1 and (is_needed or account):
            raise ValueError("say which list: --account NAME, or --service for the service-wide one")
        config = load(None)
        directory = directory_of(config)
        try:
            yield _Opened(config, directory, account, is_service)
        finally:
            directory.close()


@app.command()
def add(addresses: Addresses, account: Account = "", service: Service = False, reason: Reason = None) -> None:
    """Put addresses on a list: mail to them is accepted and bounced, not sent."""
    with _opened(account, service) as opened:
        why = reason or SuppressionReason.BOUNCE
        forms = dict.fromkeys(opened.address(one) for one in addresses)
        opened.lists.put([(opened.list_of, Listed(one, why, opened.now)) for one in forms])
        for one in forms:
            typer.echo(f"{one} is on the list of {opened.name}")


@app.command()
def remove(addresses: Addresses, account: Account = "", service: Service = False) -> None:
    """Take addresses off a list: new mail to them is sent again."""
    with _opened(account, service) as opened:
        forms = dict.fromkeys(address_of(one.strip()) for one in addresses)
        gone = set(opened.lists.remove(opened.list_of, forms))
        for one in forms:
            if one in gone:
                typer.echo(f"{one} is off the list of {opened.name}")
        missing = [one for one in forms if one not in gone]
        if missing:
            raise DirectoryError(f"not on the list of {opened.name}: {', '.join(missing)}")


@app.command()
def show(
    address: Annotated[str, typer.Argument(help="The address, in any case.")],
    account: Account = "",
    service: Service = False,
    as_json: AsJson = False,
) -> None:
    """Show on which lists an address is, since when, and what brought it there."""
    with _opened(account, service, is_needed=False) as opened:
        form = address_of(address.strip())
        names = {one.id: one.name for one in opened.directory.accounts.list()} | {SERVICE: "service"}
        wanted = [opened.list_of] if account or service else list(names)
        rows: list[Row] = [
            {"list": names[list_of], **_row(one, opened.until_s if list_of == SERVICE else None)}
            for list_of, one in opened.lists.everywhere(form)
            if list_of in wanted and (list_of != SERVICE or one.since > opened.service_since)
        ]
        if not rows:
            raise DirectoryError(f"{form} is not on {'that' if account or service else 'any'} list")
        print_rows(rows, as_json=as_json, nothing="")


@app.command("list")
def list_entries(
    account: Account = "",
    service: Service = False,
    reason: Reason = None,
    start: Annotated[str, typer.Option(help="Listed at this time or later: ISO 8601, or seconds.")] = "",
    end: Annotated[str, typer.Option(help="Listed before this time.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 100,
    after: Annotated[str, typer.Option(help="Go on behind this address: the last of the page before.")] = "",
    as_json: AsJson = False,
) -> None:
    """List a page of a list, by address. For all of a long one see `export`."""
    with _opened(account, service) as opened:
        since = moment_of(start, opened.now) if start else 0.0
        found = list(
            opened.lists.listed(
                opened.list_of,
                reason=reason,
                start=max(since, opened.service_since) if service else since,
                end=moment_of(end, opened.now) if end else None,
                after=after.lower(),
                limit=limit + 1,
            )
        )
        rows = [_row(one, opened.until_s if service else None) for one in found[:limit]]
        print_rows(rows, as_json=as_json, nothing="no addresses")
        if len(found) > limit:
            typer.echo(f"more: --after {found[limit - 1].address}", err=True)


@app.command()
def export(account: Account = "", service: Service = False, reason: Reason = None) -> None:
    """Print a whole list as CSV: address, reason, since."""
    with _opened(account, service) as opened:
        start = opened.service_since if service else None
        out = sys.stdout
        out.write(HEAD + "\n")
        for one in opened.lists.listed(opened.list_of, reason=reason, start=start):
            out.write(row(one) + "\n")


@app.command("import")
def import_csv(
    file: Annotated[Path, typer.Argument(help="CSV: address,reason,since; - for standard input.")],
    account: Account = "",
    service: Service = False,
    reason: Reason = None,
    is_removing: Annotated[bool, typer.Option("--remove", help="Take these addresses off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the addresses of a CSV file on a list, over what is there; or take them off."""
    with _opened(account, service) as opened:
        default = SuppressionReason.BOUNCE if is_removing else reason
        try:
            with sys.stdin.buffer if file == Path("-") else file.open("rb") as stream:
                lines, changed, bad = _import(opened, stream, default, is_removing)
        except OSError as error:
            raise RelayError(f"cannot read {file}: {error.strerror}; give a CSV file, or -") from None
        done = "taken off" if is_removing else "put on"
        result = {"list": opened.name, "lines": lines, "changed": changed, "bad": bad}
        if as_json:
            print_row(result, as_json=True)
        else:
            typer.echo(f"{changed:,} addresses {done} the list of {opened.name}")
        if bad:
            more = f", {bad - _NAMED:,} of them not named here" if bad > _NAMED else ""
            raise DirectoryError(
                f"{bad:,} of {lines:,} lines are no entries{more}: nothing was done for them"
            )


def _import(
    opened: _Opened, stream: BinaryIO, reason: SuppressionReason | None, is_removing: bool
) -> tuple[int, int, int]:
    """How many lines there were, how many addresses that changed, and how many lines were bad."""
    lines = changed = bad = 0
    batch: dict[str, Listed] = {}

    def flush() -> int:
        if is_removing:
            count = len(opened.lists.remove(opened.list_of, batch))
        else:
            opened.lists.put([(opened.list_of, one) for one in batch.values()])
            count = len(batch)
        batch.clear()
        return count

    for one in read(stream.readline, opened.now, reason):
        lines += 1
        wrong = one.why if isinstance(one, BadLine) else ""
        if isinstance(one, Listed) and not is_removing and is_simulator(one.address, opened.service_domain):
            wrong = f"{one.address} belongs to the mailbox simulator, which is on no list"
        if wrong or isinstance(one, BadLine):
            bad += 1
            if bad <= _NAMED:
                where = f"line {one.number}: " if isinstance(one, BadLine) else ""
                typer.echo(f"{where}{wrong}", err=True)
            continue
        batch[one.address] = one
        if len(batch) >= _BATCH:
            changed += flush()
    return lines, changed + flush(), bad


def _row(one: Listed, until_s: float | None) -> dict[str, object]:
    """``until_s``: so long it stays, on the service-wide list."""
    until = {} if until_s is None else {"until": moment(one.since + until_s)}
    return {
        "address": one.address,
        "reason": one.reason.value,
        "since": moment(one.since),
        **until,
        "message": one.message_id,
    }
