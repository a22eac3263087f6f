"""The subcommands of ``relay``, joined.

``--config FILE`` (or RELAY_CONFIG) names the configuration for every subcommand. Errors are one line on
standard error that names the fix; exit status 0 for done, 1 for not done, 2 for a wrong call, 78 for a
configuration that cannot be used; ``send`` has the statuses of sysexits.

A subcommand is loaded when it is called, or when the help of all is asked for: ``relay run`` and
``relay status`` wait for nothing that only ``relay identity`` needs. ``SUBCOMMANDS`` says where each one is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, MutableMapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import relay

Loaded = typer.Typer | Callable[..., None]


def _of(module: str, name: str = "app") -> Loaded:
    """The group, or the function, of a module of commands."""
    found: Loaded = getattr(import_module(f"relay.daemon.commands.{module}"), name)
    return found


@cache
def _account() -> typer.Typer:
    from relay.daemon.commands import account, quota

    account.app.command("quota")(quota.quota)
    account.app.command("statistics")(quota.statistics)
    return account.app


@cache
def _identity() -> typer.Typer:
    from relay.daemon.commands import dkim, identity

    identity.app.command("rotate")(dkim.rotate)
    identity.app.command("dkim")(dkim.switch)
    identity.app.command("import-key")(dkim.import_key)
    identity.app.command("easy-dkim")(dkim.easy_dkim)
    identity.app.command("keys")(dkim.list_keys)
    identity.app.command("zone")(dkim.zone)
    return identity.app


@cache
def _config() -> typer.Typer:
    from relay.daemon.commands import config_diff, running

    running.config_app.command("diff")(config_diff.diff)
    return running.config_app


SUBCOMMANDS: dict[str, Callable[[], Loaded]] = {
    "run": partial(_of, "running", "run"),
    "reload": partial(_of, "running", "reload"),
    "status": partial(_of, "status", "status"),
    "top": partial(_of, "top", "top"),
    "init": partial(_of, "init", "init"),
    "demo": partial(_of, "demo", "demo"),
    "doctor": partial(_of, "doctor", "doctor"),
    "tls-policy": partial(_of, "tls_policy", "tls_policy"),
    "config": _config,
    "account": _account,
    "credential": partial(_of, "credential"),
    "identity": _identity,
    "topic": partial(_of, "topic"),
    "queue": partial(_of, "queue"),
    "suppression": partial(_of, "suppression"),
    "bounce": partial(_of, "bounce"),
    "events": partial(_of, "consumers"),
    "message": partial(_of, "message", "message"),
    "trace": partial(_of, "trace", "trace"),
    "log": partial(_of, "log"),
    "stats": partial(_of, "stats", "stats"),
    "backup": partial(_of, "backup", "backup"),
    "restore": partial(_of, "restore", "restore"),
    "manual": partial(_of, "manual", "manual"),
}


class _Loading(MutableMapping[str, Any]):
    """Commands by name, as Typer makes them; each is loaded when it is looked up."""

    def __init__(self, made: MutableMapping[str, Any]) -> None:
        self._made = made

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  what a command is, is Typer's affair
        if name not in self._made and name in SUBCOMMANDS:
            self._made[name] = _command(name, SUBCOMMANDS[name]())
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._made, *SUBCOMMANDS)))

    def __len__(self) -> int:
        return len({*self._made, *SUBCOMMANDS})


def _command(name: str, loaded: Loaded) -> Any:  # noqa: ANN401
    around = typer.Typer()
    around.callback()(lambda: None)  # without it, one that is alone would lose its name
    if isinstance(loaded, typer.Typer):
        around.add_typer(loaded, name=name)
    else:
        around.command(name)(loaded)
    made: Any = typer.main.get_command(around)
    return made.commands[name]


class _Subcommands(TyperGroup):
    def __init__(self, **fields: Any) -> None:  # noqa: ANN401
        super().__init__(**fields)
        self.commands = _Loading(self.commands)


app = typer.Typer(
    cls=_Subcommands,
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
    from relay.daemon.commands import send

    raise typer.Exit(send.main(context.args))  # `relay --config FILE send ...`; else `cli` is faster
