"""``relay restore``: what ``relay backup`` made, put back."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.base.clock import SystemClock
from relay.base.errors import RelayError
from relay.daemon.commands.backup import made_at, summary

if TYPE_CHECKING:
    from relay.daemon.backup.manifest import Manifest
    from relay.daemon.backup.restoring import Restored


class Part(StrEnum):
    """A part of a backup."""

    SPOOL = "spool"
    DIRECTORY = "directory"
    CONFIGURATION = "configuration"


def restore(
    source: Annotated[Path, typer.Argument(help="The folder or .tar file that `relay backup` made.")],
    only: Annotated[
        list[Part] | None,
        typer.Option("--only", help="Restore this part; may be repeated.", show_default="all"),
    ] = None,
    to_spool: Annotated[
        Path | None, typer.Option(help="Where the spool goes.", show_default="where it was")
    ] = None,
    to_directory: Annotated[
        Path | None,
        typer.Option(help="The folder for directory and key file.", show_default="where they were"),
    ] = None,
    to_configuration: Annotated[
        Path | None,
        typer.Option(
            help="The folder for relay.toml; what was below its old folder goes along.",
            show_default="where it was",
        ),
    ] = None,
    release: Annotated[
        bool,
        typer.Option(
            "--release/--hold",
            help="Let restored mail go out at once. What was delivered after the backup then goes out twice.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move aside what is there; nothing is deleted.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put a backup back, while the relay is stopped; it is read and checked first.

    Mail that waits in the backup is held, since some of it may have been delivered after the backup was made:
    look at it with `relay queue list --state held`, and let it go with `relay queue release`.
    """
    from relay.daemon.backup import places, restoring
    from relay.daemon.backup.archive_reader import opened

    os.umask(0o077)
    try:
        with opened(source) as archive:
            manifest = archive.manifest
            where = places.Places.of(manifest, to_spool, to_directory, to_configuration)
            parts = places.part_of([one.value for one in only or []])
            now = SystemClock().now()
            done = restoring.restore(archive, where, parts, now, hold=not release, force=force)
            done.notes += [*where.unlike(manifest), *manifest.notes]
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"backup": summary(manifest), **asdict(done)}, indent=2))
    else:
        _tell(source, manifest, done, Part.SPOOL.value in parts, is_held=not release)


def _tell(source: Path, manifest: Manifest, done: Restored, has_spool: bool, *, is_held: bool) -> None:
    typer.echo(f"restored {source}, of {made_at(manifest)}")
    if done.files or done.as_they_were:
        typer.echo(f"files: {done.files} written, {done.as_they_were} were as they had been")
    for place in done.aside:
        typer.echo(f"moved aside: {place}")
    if has_spool:
        waiting = f"{manifest.messages} messages to {manifest.recipients} recipients"
        typer.echo(f"spool: {done.spool}: {waiting}")
        if is_held:
            typer.echo(f"held: {done.held} recipients, and {done.held_before} that were held before")
            typer.echo(
                "what was delivered after the backup was made waits here too and would go out again: compare "
                "with the log since then,\nthen `relay queue release --all`, or --domain, --account, "
                "--older, ids; `relay queue delete` for what is not to go"
            )
        else:
            typer.echo("nothing is held: what was delivered after the backup was made goes out again")
    if not manifest.has_keys:
        typer.echo(
            "note: the backup has no keys: put the key file and private keys in place before the start"
        )
    for note in done.notes:
        typer.echo(f"note: {note}")
