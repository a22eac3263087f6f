"""``relay manual``: the man pages and the completion for shells, as files for a package to install."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import relay
from relay.base.clock import SystemClock
from relay.daemon.manual import completion
from relay.daemon.manual.command_page import command_page
from relay.daemon.manual.settings_page import settings_page
from relay.daemon.manual.tree import tree


def manual(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go; made if need be.")],
    settings: Annotated[
        Path | None,
        typer.Option(help="conf/relay.toml of the sources; without it there is no relay.toml(5)."),
    ] = None,
) -> None:
    """Write the man pages and the completion for shells into a folder.

    relay.1 and relay.toml.5 go below /usr/share/man, relay.bash becomes
    /usr/share/bash-completion/completions/relay, _relay goes to a folder of zsh's $fpath, relay.fish to
    /usr/share/fish/vendor_completions.d. SOURCE_DATE_EPOCH gives the date on the pages.
    """
    date = datetime.fromtimestamp(
        float(os.environ.get("SOURCE_DATE_EPOCH") or SystemClock().now()), UTC
    ).strftime("%Y-%m-%d")
    root = tree()
    files = {
        "relay.1": command_page(root, date, relay.__version__),
        "relay.bash": completion.bash(root),
        "_relay": completion.zsh(root),
        "relay.fish": completion.fish(root),
    }
    try:
        if settings is not None:
            files["relay.toml.5"] = settings_page(settings.read_text(), date, relay.__version__)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
            typer.echo(folder / name)
    except (OSError, ValueError, KeyError) as error:
        typer.echo(f"relay: not written: {error}", err=True)
        raise typer.Exit(1) from None
