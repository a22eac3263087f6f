"""What the commands about the directory share: opening it, and one line for what went wrong.

The configuration is the one that RELAY_CONFIG or the default path names. An error leaves as one line on
standard error that names the fix, with exit status 1; standard output holds results only.

The database library is loaded when a directory is opened: most commands about the queue never open one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from relay.base.errors import RelayError
from relay.daemon.settings.config import Config, load

if TYPE_CHECKING:
    from relay.directory.store import Directory


@contextmanager
def opened() -> Iterator[Directory]:
    """The directory of the configuration. Ends the command with status 1 on what the relay refuses."""
    try:
        config = load(None)
        directory = directory_of(config)
        try:
            yield directory
        finally:
            directory.close()
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None


def directory_of(config: Config) -> Directory:
    """The directory that the configuration names."""
    from relay.directory.store import Directory

    return Directory(config.directory.url, config.directory.key_file, config.directory.region)
