"""The subcommands of ``relay``, joined.

``--config FILE`` (or RELAY_CONFIG) names the configuration for every subcommand. Errors are one line on
standard error that names the fix; exit status 0 for done, 1 for not done, 2 for a wrong call, 78 for a
configuration that cannot be used; ``send`` has the statuses of sysexits.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

import relay
from relay.daemon.commands import (
    account,
    credential,
    demo,
    dkim,
    doctor,
    events,
    identity,
    init,
    queue,
    quota,
    running,
    send,
    tls_policy,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A standalone mail relay: accepts, promises on disk, signs, delivers, and tells.",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(relay.__version__)
        raise typer.Exit


@app.callback()
def options(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The configuration file.", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What every subcommand takes."""
    if config is not None:
        os.environ["RELAY_CONFIG"] = str(config.absolute())


@app.command(
    "send",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def _send(context: typer.Context) -> None:
    """Hand a message from standard input to the running relay, as sendmail would (`relay send -h`)."""
    raise typer.Exit(send.main(context.args))  # `relay --config FILE send ...`; else `cli` is faster


app.command("run")(running.run)
app.command("reload")(running.reload)
app.command("status")(running.status)
app.command("init")(init.init)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("tls-policy")(tls_policy.tls_policy)
app.add_typer(running.config_app, name="config")
account.app.command("quota")(quota.quota)
account.app.command("statistics")(quota.statistics)
app.add_typer(account.app, name="account")
app.add_typer(credential.app, name="credential")
identity.app.command("rotate")(dkim.rotate)
identity.app.command("dkim")(dkim.switch)
identity.app.command("import-key")(dkim.import_key)
identity.app.command("easy-dkim")(dkim.easy_dkim)
identity.app.command("keys")(dkim.list_keys)
identity.app.command("zone")(dkim.zone)
app.add_typer(identity.app, name="identity")
app.add_typer(queue.app, name="queue")
app.add_typer(events.app, name="events")
