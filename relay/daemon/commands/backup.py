"""``relay backup``: a copy of directory, spool and configuration, while the relay runs or not."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.base.clock import SystemClock
from relay.base.errors import RelayError

if TYPE_CHECKING:
    from relay.daemon.backup.manifest import Manifest


def backup(
    target: Annotated[Path, typer.Argument(help="A new folder, or a file whose name ends in .tar.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Make nothing; check the backup that is there.")
    ] = False,
    without_keys: Annotated[
        bool,
        typer.Option(
            "--without-keys",
            help="Leave out the directory's key file, private keys and passwords.",
        ),
    ] = False,
    full_speed: Annotated[
        bool, typer.Option("--full-speed", help="Take no rests; the relay gets slower meanwhile.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy spool, directory and configuration, keys included, while the relay runs.

    The backup has its name only once it is complete, on the disk and verified. It holds secrets and mail:
    it is for its owner alone, mode 0600, and so should be every copy of it.
    """
    from relay.daemon.backup import making, verifying
    from relay.daemon.backup.archive_reader import opened
    from relay.daemon.settings import config

    os.umask(0o077)
    os.nice(10)
    try:
        if verify:
            with opened(target) as archive:
                manifest, faults = archive.manifest, verifying.verify(archive)
                faults += verifying.newer(archive)
        else:
            share = 1.0 if full_speed else 0.5
            manifest = making.make(
                config.load(None), target, SystemClock(), keys=not without_keys, share=share
            )
            faults = []
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(
            json.dumps({**summary(manifest), "file": str(target.absolute()), "faults": faults}, indent=2)
        )
    else:
        for fault in faults:
            typer.echo(f"relay: {target}: {fault}", err=True)
        if not faults:
            _tell(target, manifest, is_new=not verify)
    if faults:
        raise typer.Exit(1)


def summary(manifest: Manifest) -> dict[str, object]:
    """What a backup is, without its list of files."""
    return {
        "relay": manifest.relay,
        "host": manifest.host,
        "began_at": manifest.began_at,
        "ended_at": manifest.ended_at,
        "messages": manifest.messages,
        "recipients": manifest.recipients,
        "by_state": manifest.by_state,
        "finished_meanwhile": manifest.finished_meanwhile,
        "has_directory": manifest.directory is not None,
        "has_keys": manifest.has_keys,
        "files": len(manifest.files),
        "bytes": sum(one.size for one in manifest.files),
        "notes": manifest.notes,
    }


def made_at(manifest: Manifest) -> str:
    """When it was begun, and where."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(manifest.began_at))} on {manifest.host}"


def _tell(target: Path, manifest: Manifest, *, is_new: bool) -> None:
    size = sum(one.size for one in manifest.files)
    typer.echo(
        f"{target}: {'made and verified' if is_new else 'whole'}; of {made_at(manifest)}, relay "
        f"{manifest.relay}; {manifest.messages} messages to {manifest.recipients} recipients, "
        f"{len(manifest.files)} files, {size / 1e6:.1f} MB"
    )
    if manifest.has_keys:
        typer.echo("it holds the keys: whoever can read it can read every secret of the directory")
    else:
        typer.echo("it holds no keys: without the directory's key file no secret in it can be read")
    for note in manifest.notes:
        typer.echo(f"note: {note}")
