"""``relay demo``: one real message end to end, and a relay to play with."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from relay.base.errors import RelayError


def demo(
    folder: Annotated[Path, typer.Argument(help="Where its configuration and spool are kept.")] = Path("var"),
    once: Annotated[bool, typer.Option("--once", help="End after the message.")] = False,
) -> None:
    """Start a relay on loopback, send one message through it, show each step, keep serving."""
    from relay.daemon import demo as demonstration

    try:
        result = asyncio.run(demonstration.run(folder.absolute(), once=once, say=typer.echo))
    except (RelayError, OSError, TimeoutError) as error:
        typer.echo(f"relay: {error or 'the message did not arrive within 30 s'}", err=True)
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(0) from None
    if once:
        typer.echo(json.dumps(result))
        is_well = result["delivered"] and result["dkim"] == "pass"
        raise typer.Exit(0 if is_well else 1)
