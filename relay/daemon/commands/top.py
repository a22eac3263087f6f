"""``relay top``: what the relay does now, a frame a second. q ends it, s sorts the sites otherwise.

It asks the control socket once a second for the few busiest sites and accounts, so that it costs the relay
next to nothing however much there is. ``--once`` prints one frame after two answers, since a rate needs two,
and ``--json`` a line for each frame. A relay that goes away is waited for; the live screen then says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from relay.admin.pulse import Pulse
from relay.base.errors import RelayError
from relay.daemon.commands.running import asked, loaded
from relay.daemon.commands.top_frame import ORDERS, render
from relay.daemon.supervisor import control

_EVERY_S = 1.0
_ASK_S = 5.0
_MOST = 50
_END, _SORT = frozenset(b"qQ\x03\x04"), frozenset(b"sS")


class Keys:
    """What was typed: whether to end, and how to sort. Owner: the event loop."""

    def __init__(self) -> None:
        self.place = 0
        self.pressed = asyncio.Event()
        self.has_ended = False

    @property
    def order(self) -> str:
        """How sites are sorted."""
        return ORDERS[self.place % len(ORDERS)]

    def type(self, typed: bytes) -> None:
        """Some keys; others than q and s mean nothing. Nothing at all: the terminal is gone."""
        self.has_ended = self.has_ended or not typed or bool(set(typed) & _END)
        self.place += sum(one in _SORT for one in typed)
        self.pressed.set()


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one frame, and end.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=_MOST, help="Sites and accounts that are asked for.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each frame.")] = False,
) -> None:
    """Watch throughput, queue, workers, sites and accounts live. Keys: q ends, s sorts the sites."""
    path, console = loaded().spool.path, Console(highlight=False)
    if once or as_json or not console.is_terminal:
        asked(_lines(path, limit, console, is_once=once or not as_json, as_json=as_json))
    else:
        asked(_live(path, limit, console))


async def _lines(path: Path, limit: int, console: Console, *, is_once: bool, as_json: bool) -> None:
    """Frames one after the other. Raises RelayError once no relay answers."""
    pulse = Pulse()
    async with control.asking(path) as ask:
        frame = pulse.beat(await ask("top", _ASK_S, limit=limit))
        while True:
            await asyncio.sleep(_EVERY_S)
            frame = pulse.beat(await ask("top", _ASK_S, limit=limit))
            if as_json:
                typer.echo(json.dumps(frame))
            else:
                many = 12 + len(frame["workers"]) + len(frame["sites"]) + len(frame["accounts"])
                console.print(render(frame, width=console.width, height=many, is_plain=_is_plain(console)))
            if is_once:
                return


async def _live(path: Path, limit: int, console: Console) -> None:
    """The screen, until q or Ctrl-C. Raises RelayError if there is no relay at the start."""
    pulse, keys = Pulse(), Keys()
    shown: Any = pulse.beat(await control.ask(path, "top", _ASK_S, limit=limit))
    with _typed(keys), Live(console=console, screen=True, auto_refresh=False) as live:
        while not keys.has_ended:
            if isinstance(shown, str):
                live.update(Text(f"{shown}\nasked again each second; q ends"), refresh=True)
            else:
                width, height = console.size
                frame = render(
                    shown, width=width, height=height, order=keys.order, is_plain=_is_plain(console)
                )
                live.update(frame, refresh=True)
            if await _pressed(keys):
                continue
            try:
                shown = pulse.beat(await control.ask(path, "top", _ASK_S, limit=limit))
            except RelayError as error:
                shown = str(error)


async def _pressed(keys: Keys) -> bool:
    """Whether a key was pressed within a second."""
    keys.pressed.clear()
    try:
        async with asyncio.timeout(_EVERY_S):
            await keys.pressed.wait()
    except TimeoutError:
        return False
    return True


@contextmanager
def _typed(keys: Keys) -> Iterator[None]:
    """Hear each key at once, without echo; the terminal is as it was afterwards."""
    if not sys.stdin.isatty():
        yield
        return
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: keys.type(os.read(descriptor, 64)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _is_plain(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")
