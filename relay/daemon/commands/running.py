"""``relay run``, ``reload`` and ``config check``: the daemon itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from relay.base.errors import ConfigError, RelayError, StartError
from relay.daemon import logs
from relay.daemon.commands.rows import print_row
from relay.daemon.exits import EX_CONFIG, EX_TEMPFAIL
from relay.daemon.settings import config
from relay.daemon.settings.difference import masked
from relay.daemon.supervisor import control

config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run() -> None:
    """Run the relay in the foreground, until SIGTERM or Ctrl-C.

    SIGHUP reads the configuration again. Ends with status 0 after a drain, 78 if the configuration cannot be
    used, 75 if it cannot start now but may later (a port is taken, a database server is not up yet).
    """
    from relay.daemon.supervisor.supervisor import Supervisor

    try:
        text, file = config.read()
        settings = config.parse(text, file)
    except ConfigError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_CONFIG) from None
    os.umask(0o077)  # whatever we make is ours alone, unless its maker says otherwise
    logs.configure(settings.log.level, settings.log.format)

    async def work() -> int:
        return await Supervisor(text, settings).run()

    try:
        status = uvloop.run(work())
    except (ConfigError, StartError) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_CONFIG if isinstance(error, ConfigError) else EX_TEMPFAIL) from None
    raise typer.Exit(status)


def asked(question: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
    """The answer of the running relay; ends the command with status 1 if there is none."""
    try:
        return asyncio.run(question)
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None


def loaded() -> config.Config:
    """The configuration; ends the command with status 78 if it cannot be used."""
    try:
        return config.load()
    except ConfigError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_CONFIG) from None


def spool_of(settings: config.Config) -> Path:
    """The spool's folder, to look into; ends the command with status 1 if there is nothing to be seen.

    Without this a user who may not read it would be told that nothing waits.
    """
    path = settings.spool.path
    if os.access(path, os.R_OK | os.X_OK):
        return path
    if path.parent.exists() and os.access(path.parent, os.X_OK) and not path.exists():
        why = "no such folder; has the relay run with this configuration?"
    else:
        why = "not allowed for this user; be root or the relay's user"
    typer.echo(f"relay: [spool] path: {path}: {why}", err=True)
    raise typer.Exit(1)


def reload() -> None:
    """Make the running relay read its configuration and certificate again (as SIGHUP does).

    A configuration that cannot be used ends it with status 78; the relay then goes on with what it has.
    """
    settings = loaded()
    try:
        need = asyncio.run(control.ask(settings.spool.path, "reload"))
    except (control.NotRunning, control.NotAllowed) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    except RelayError as error:
        typer.echo(f"relay: {error}\nrelay: not taken over; the old configuration is in force", err=True)
        raise typer.Exit(EX_CONFIG) from None
    typer.echo("taken over" + (f"; needs a restart: {', '.join(need)}" if need else ""))


@config_app.command()
def check(as_json: AsJson = False) -> None:
    """Read the configuration and every file that it names, and say whether they can be used.

    Run it as the relay's user: another may read other files.
    """
    from relay.daemon.supervisor import files

    settings = loaded()
    try:
        files.check(settings)
    except ConfigError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_CONFIG) from None
    for remark in files.remarks(settings):
        typer.echo(f"note: {remark}", err=True)
    row = {
        "file": str(settings.path),
        "hostname": settings.relay.hostname,
        "listeners": ", ".join(
            f"{host}:{port} ({one.tls}, auth {one.auth})"
            for one in settings.listener
            for host, port in one.address
        ),
        "workers": settings.workers.effective_count,
        "spool": str(settings.spool.path),
        "directory": masked(settings.directory.url),
        "routes": len(settings.route),
    }
    print_row(row, as_json=as_json)


@config_app.command()
def show() -> None:
    """Print every setting as it is in force, as JSON."""
    settings = loaded()
    url = masked(settings.directory.url)
    directory = settings.directory.model_copy(update={"url": url})
    typer.echo(settings.model_copy(update={"directory": directory}).model_dump_json(indent=2))
