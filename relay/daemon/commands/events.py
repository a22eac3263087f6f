"""``relay events``: what happened to messages, from the outbox of the spool."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from relay.base.errors import RelayError
from relay.base.events import Event, EventKind
from relay.daemon.commands.rows import moment
from relay.daemon.commands.running import loaded, spool_of
from relay.spool import views

app = typer.Typer(no_args_is_help=True, help="Events: what happened to messages.")

_POLL_S = 0.5
_PAGE = 10_000


@app.command()
def tail(
    number: Annotated[int, typer.Option("-n", help="So many of the last ones first.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    kind: Annotated[list[EventKind] | None, typer.Option(help="Only these kinds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Print events as lines, oldest first."""
    path = spool_of(loaded())
    kinds = kind or ()
    try:
        offsets = {shard: max(0, last - number) for shard, last in views.last_events(path).items()}
        batch = _read(path, offsets, kinds)
        for shard, offset, event in batch[-number:] if number else []:
            _print(shard, offset, event, as_json)
        while follow:
            time.sleep(_POLL_S)  # noqa: TID251  the outbox is polled: its writer knows nothing of us
            for shard, offset, event in _read(path, offsets, kinds):
                _print(shard, offset, event, as_json)
    except (RelayError, ValueError) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _read(path: Path, offsets: dict[int, int], kinds: Collection[EventKind]) -> list[tuple[int, int, Event]]:
    found = sorted(views.events(path, offsets, _PAGE, kinds), key=lambda one: one[2].at)
    for shard, offset, _ in found:
        offsets[shard] = max(offsets.get(shard, 0), offset)
    return found


def _print(shard: int, offset: int, event: Event, as_json: bool) -> None:
    detail = json.loads(event.detail)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "shard": shard,
                    "offset": offset,
                    "at": event.at,
                    "kind": event.kind.value,
                    "message_id": event.message_id,
                    "account_id": event.account_id,
                    "detail": detail,
                },
                ensure_ascii=False,
            )
        )
    else:
        said = " ".join(f"{key}={_said(value)}" for key, value in detail.items() if value != "")
        typer.echo(f"{moment(event.at)} {event.kind.value:<9} {event.message_id} {said}")


def _said(value: object) -> str:
    """A member of an event's detail, for people."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)
