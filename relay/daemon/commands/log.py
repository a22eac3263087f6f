"""``relay log``: how much the running relay logs, changed live and shown."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from relay.base.clock import SystemClock
from relay.daemon.commands.rows import Row, moment, print_rows
from relay.daemon.commands.running import AsJson, asked, loaded
from relay.daemon.log_levels import check
from relay.daemon.settings.units import parse_duration
from relay.daemon.supervisor import control

_AS_FILE = "file"

app = typer.Typer(
    invoke_without_command=True, help="The log levels of the running relay: shown, and changed live."
)


@app.callback()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the log levels that are in force."""
    if context.invoked_subcommand is None:
        _print(asked(control.ask(loaded().spool.path, "log levels")), as_json)


@app.command()
def level(
    value: Annotated[
        str, typer.Argument(metavar="LEVEL", help='debug, info, warning, error; "file": as there.')
    ],
    for_: Annotated[str, typer.Option("--for", help='Then as the file says again, e.g. "10m".')] = "",
    logger: Annotated[str, typer.Option(help="Of this part only, e.g. relay.transport.")] = "",
    as_json: AsJson = False,
) -> None:
    """Change a log level in all processes of the running relay, until its next start or for some time."""
    try:
        if value != _AS_FILE:
            check(logger, value)
        for_s = parse_duration(for_) if for_ else None
    except ValueError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(2) from None
    question = control.ask(loaded().spool.path, "log level", level=value, logger=logger, for_s=for_s)
    _print(asked(question), as_json)


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    found: list[dict[str, Any]] = answer["set"]
    rows: list[Row] = []
    if not any(one["logger"] == "" for one in found):
        rows.append({"logger": "all", "level": str(answer["file"]), "until": "", "by": "[log] level"})
    now = SystemClock().now()
    for one in found:
        ends_at = one["ends_at"]
        until = moment(ends_at) if isinstance(ends_at, float) and ends_at > now else "the relay ends"
        rows.append(
            {
                "logger": one["logger"] or "all",
                "level": str(one["level"]),
                "until": until,
                "by": str(one["by"]),
            }
        )
    print_rows(rows, as_json=False, nothing="")
