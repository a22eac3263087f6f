"""``relay events read`` and what goes with it: programs that take the event log piece by piece.

A consumer is a name with a position. ``read`` prints what is behind the position and moves it once all of
that was written to standard output: whoever is killed, or whose reader has gone, sees the same events again.
One process uses a name at a time. Names that begin with "relay/" are the relay's own and only listed.

Consumers do not keep events from being dropped; ``consumers`` shows who has fallen behind the oldest.
"""

from __future__ import annotations

import re
import time
from typing import Annotated

import typer

from relay.base.clock import SystemClock
from relay.daemon.commands.events import (
    PAGE,
    POLL_S,
    Kinds,
    OfAccount,
    app,
    log_opened,
    put,
    tell_dropped,
    wanted_of,
)
from relay.daemon.commands.rows import moment, print_rows
from relay.daemon.commands.running import loaded, spool_of
from relay.daemon.event_lines import as_json
from relay.daemon.notifier.event_start import offsets_of, parse_start
from relay.spool.cursor import Progress, write_cursor
from relay.spool.positions import OWN, Positions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}")


def _is_name(value: str) -> str:
    if value.startswith(OWN):
        raise typer.BadParameter(
            f"{value!r} is one of the relay's own; what begins with {OWN!r} is only listed"
        )
    if _NAME.fullmatch(value) is None:
        raise typer.BadParameter(f'{value!r} is no name of a consumer; e.g. "billing"')
    return value


Name = Annotated[str, typer.Argument(help="The consumer.", callback=_is_name)]
_Consumer = Annotated[
    str, typer.Option("--consumer", help="Whose position to go on from.", callback=_is_name)
]


@app.command()
def read(
    consumer: _Consumer,
    limit: Annotated[int | None, typer.Option(help="About so many events; all.", min=1)] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait if there are none.", min=0.0)] = 0.0,
    start: Annotated[
        str, typer.Option("--from", help='Where a new consumer begins: "beginning", "end", "2h", a time.')
    ] = "beginning",
    kind: Kinds = None,
    account: OfAccount = "",
) -> None:
    """Print the next events as JSON lines, and remember how far.

    The position moves once the lines are written: at least once. A few more than --limit come where two
    workers have news of one message.
    """
    clock = SystemClock()
    with log_opened() as log:
        positions, wanted = Positions(spool_of(loaded())), wanted_of(log, account)
        after = positions.get(consumer)
        if after:
            tell_dropped(log, after)
        else:
            after = offsets_of(parse_start(start, clock.now()), log)
            positions.set(consumer, after, clock.now())
        printed, until = 0, clock.monotonic() + wait
        while limit is None or printed < limit:
            left = PAGE if limit is None else limit - printed
            batch, reached = log.read(after, min(left, PAGE), kind or ())
            if reached == after:
                if printed or clock.monotonic() >= until:
                    break
                time.sleep(min(POLL_S, wait))  # noqa: TID251  the log is polled
                continue
            progress, lines = Progress(batch, reached), list[str]()
            for one in batch:
                if len(lines) >= left and progress.is_whole:
                    break
                progress.did(one)
                if wanted(one):
                    lines.append(as_json(one, write_cursor(progress.position)))
            put(lines)
            printed, after = printed + len(lines), progress.position
            positions.set(consumer, after, clock.now())


@app.command()
def consumers(is_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the consumers of the event log, the relay's own too, and how far each has come."""
    with log_opened() as log:
        rows = []
        for name, of in sorted(Positions(spool_of(loaded())).all().items()):
            offsets = {shard: offset for shard, (offset, _) in of.items()}
            waiting, dropped = log.behind(offsets)
            rows.append({
                "consumer": name, "waiting": waiting, "dropped": dropped,
                "moved": moment(max(at for _, at in of.values())), "cursor": write_cursor(offsets),
            })  # fmt: skip
        print_rows(rows, as_json=is_json, nothing="no consumers")


@app.command()
def seek(
    name: Name,
    to: Annotated[str, typer.Option("--to", help='"beginning", "end", "2h", a time, or a cursor.')],
) -> None:
    """Let a consumer go on from elsewhere: back to see events again, or forward to skip some."""
    clock = SystemClock()
    with log_opened() as log:
        offsets = {**dict.fromkeys(log.last(), 0), **offsets_of(parse_start(to, clock.now()), log)}
        Positions(spool_of(loaded())).set(name, offsets, clock.now())
        typer.echo(f"{name}: {log.behind(offsets)[0]} events to read")


@app.command()
def forget(name: Name) -> None:
    """Remove a consumer."""
    with log_opened():
        if not Positions(spool_of(loaded())).forget(name):
            raise ValueError(f"no consumer {name!r}; `relay events consumers` lists them")
        typer.echo(f"{name} is forgotten")
