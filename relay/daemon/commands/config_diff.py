"""``relay config diff``: what the running relay follows, against what the file says now."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

import relay
from relay.base.errors import ConfigError, RelayError
from relay.daemon.commands.rows import Row, print_rows
from relay.daemon.commands.running import AsJson
from relay.daemon.exits import EX_CONFIG
from relay.daemon.settings import config
from relay.daemon.settings.changes import in_force
from relay.daemon.settings.difference import Difference, differences
from relay.daemon.supervisor import control

_DIFFERENT, _UNKNOWN = 1, 2


def diff(as_json: AsJson = False) -> None:
    """Show the settings in which the running relay differs from the configuration file.

    Says of each what makes the file's value come into force: `relay reload`, or a restart. Passwords are
    masked. Ends with status 0 if there is no difference, 1 if there are some, 78 if the file cannot be used,
    2 if the running relay could not be asked.
    """
    try:
        text, path = config.read()
        file = config.parse(text, path)
    except ConfigError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_CONFIG) from None
    try:
        answer = asyncio.run(control.ask(file.spool.path, "config"))
        found = compared(answer, file)
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(_UNKNOWN) from None
    if Path(answer["path"]) != path:
        typer.echo(f"note: the running relay reads {answer['path']}, and this is {path}", err=True)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        rows: list[Row] = [asdict(one) for one in found]
        print_rows(rows, as_json=False, nothing="no difference")
    if found:
        raise typer.Exit(_DIFFERENT)


def compared(answer: dict[str, Any], file: config.Config) -> list[Difference]:
    """The running relay's answer to "config" against the file. Raises RelayError."""
    path = Path(answer["path"])
    try:
        boot, latest = config.parse(answer["boot_text"], path), config.parse(answer["text"], path)
    except ConfigError as error:
        raise RelayError(
            f"the running relay is version {answer['version']}, this is {relay.__version__}: what it follows "
            f"cannot be read here ({error}); restart it, or use its own `relay config diff`"
        ) from error
    return differences(boot, in_force(boot, latest), file)
