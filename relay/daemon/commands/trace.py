"""``relay trace``: the SMTP dialogue of sessions as it happens, in and out, without secrets and content.

A line is: time (UTC, as in the log), session (``in`` or ``out``, worker, number), who said it, what. ``C:``
is said by the client and ``S:`` by the server: of sessions that come in the relay is the server, of those
that go out it is the client; ``#`` is told by the relay. Lines that could not be kept in time are counted
where they are missing. It ends after ``--for``, after ``--count`` sessions, at Ctrl-C, and with the relay; a
worker that is started anew meanwhile goes on being traced.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import typer

from relay.base.errors import RelayError
from relay.base.trace import END, NOTE, Filter
from relay.daemon.commands.directory import opened
from relay.daemon.commands.running import AsJson, loaded
from relay.daemon.link import LinkError
from relay.daemon.settings.config import Config
from relay.daemon.settings.units import parse_duration
from relay.daemon.supervisor import control

_QUESTION_S = 60.0


class Printed:
    """Lines as they are printed. State: the sessions that were seen, at most ``most``, and those that have
    ended."""

    def __init__(self, most: int, as_json: bool) -> None:
        self._most = most
        self._as_json = as_json
        self._seen: set[str] = set()
        self._ended: set[str] = set()

    @property
    def is_enough(self) -> bool:
        """All sessions that were asked for have ended."""
        return bool(self._most) and len(self._ended) >= self._most

    def texts(self, answer: dict[str, Any]) -> list[str]:
        """What to print of an answer to ``trace next``."""
        found = []
        for at, session, who, text in answer["lines"]:
            if session not in self._seen:
                if who == END or (self._most and len(self._seen) >= self._most):
                    continue
                self._seen.add(session)
            if who == END:
                self._ended.add(session)
                if not self._most:
                    self._seen.discard(session)  # its number does not come again
                continue
            found.append(self._line(at, session, who, text))
        if answer["left_out"]:
            found.append(
                json.dumps({"left_out": answer["left_out"]})
                if self._as_json
                else f"… {answer['left_out']} lines left out"
            )
        return found

    def _line(self, at: float, session: str, who: str, text: str) -> str:
        when = datetime.fromtimestamp(at, UTC)
        if self._as_json:
            said = {
                "at": when.isoformat(timespec="milliseconds"),
                "session": session,
                "who": who,
                "line": text,
            }
            return json.dumps(said, ensure_ascii=False)
        mark = "# " if who == NOTE else f"{who}:"
        return f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} {session:<7} {mark} {text}"


def trace(
    client: Annotated[
        str, typer.Option(help="Sessions of this address, or of a network: 192.0.2.0/24.")
    ] = "",
    listener: Annotated[str, typer.Option(help="Sessions of this listener: 127.0.0.1:587, or :587.")] = "",
    account: Annotated[str, typer.Option(help="Sessions and deliveries of this account.")] = "",
    site: Annotated[str, typer.Option(help="Deliveries to this domain, site or mail server.")] = "",
    for_: Annotated[str, typer.Option("--for", help="End after this time.")] = "5m",
    count: Annotated[int, typer.Option(help="End after so many sessions; 0: any number.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Show SMTP sessions as they happen, without passwords and without what the messages contain.

    Several options must all match. Who traces what is in the relay's log.
    """
    settings = loaded()
    try:
        for_s = parse_duration(for_)
        chosen = _filter(settings, client, listener, site)
        if not (client or listener or account or site):
            raise ValueError("say which sessions: --client, --listener, --account or --site")
    except ValueError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(2) from None
    if account:
        with opened() as directory:
            chosen = Filter(chosen.client, chosen.listener, directory.accounts.show(account).id, chosen.site)
    try:
        asyncio.run(follow(settings.spool.path, chosen, for_s, Printed(count, as_json)))
    except BrokenPipeError:
        sys.stderr.close()  # else Python complains at its end that standard output cannot be flushed
        raise typer.Exit(0) from None
    except RelayError as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None


def _filter(settings: Config, client: str, listener: str, site: str) -> Filter:
    """Raises ValueError for what can match nothing."""
    if site and (client or listener):
        raise ValueError("--site is of deliveries, --client and --listener are of sessions that come in")
    if client:
        client = str(ip_network(client.strip("[]"), strict=False))
    if listener:
        host, _, port = listener.rpartition(":")
        if not port.isdigit():
            raise ValueError(f"{listener!r} is no listener; e.g. 127.0.0.1:587, or :587")
        listener = f"{host.strip('[]')}:{port}"
        known = sorted({str(one[1]) for section in settings.listener for one in section.address})
        if port not in known:
            raise ValueError(f"no [[listener]] has port {port}; there are {', '.join(known) or 'none'}")
    return Filter(client, listener, 0, site.strip().strip("[]").lower().rstrip("."))


async def follow(spool: Path, chosen: Filter, for_s: float, printed: Printed) -> None:
    """Print until it is over. Raises RelayError."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, task.cancel)
    async with control.asking(spool) as ask:
        number = await ask("trace begin", _QUESTION_S, chosen=chosen.fields(), for_s=for_s)
        try:
            while not printed.is_enough:
                answer = await ask("trace next", _QUESTION_S, number=number)
                for text in printed.texts(answer):
                    sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
                if answer["is_over"]:
                    return
        except LinkError as error:
            raise LinkError(f"the trace ended with the relay: {error}") from error
        except asyncio.CancelledError:
            return  # as the one who watched wanted
        finally:
            with suppress(RelayError):  # it ends without us, too
                await ask("trace end", 5.0, number=number)
