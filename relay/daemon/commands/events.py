"""``relay events``: what happened to messages, from the event log of the spool."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import typer

from relay.base.clock import SystemClock
from relay.base.errors import RelayError, SpoolError
from relay.base.events import EventKind, Logged
from relay.codec.notification import Service
from relay.daemon.commands.directory import opened
from relay.daemon.commands.running import loaded, spool_of
from relay.daemon.event_lines import as_json, as_line
from relay.daemon.notifier.event_notifications import AsNotifications
from relay.daemon.notifier.event_start import offsets_of, parse_start
from relay.spool.cursor import Progress, write_cursor
from relay.spool.event_log import EventLog

app = typer.Typer(no_args_is_help=True, help="Events: what happened to messages.")

POLL_S = 0.5
PAGE = 1000
_LAST = 20
_AGAIN_S = 1.0  # a shard that cannot be read is read again, while following

Wanted = Callable[[Logged], bool]
Kinds = Annotated[list[EventKind] | None, typer.Option("--kind", help="Only these kinds.")]
OfAccount = Annotated[str, typer.Option("--account", help="Only of this account.")]


@app.command()
def tail(
    number: Annotated[int | None, typer.Option("-n", help="So many of the last ones; 20.", min=0)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    start: Annotated[
        str, typer.Option("--from", help='From there on: "beginning", "2h", a time, or a cursor.')
    ] = "",
    kind: Kinds = None,
    account: OfAccount = "",
    identity: Annotated[str, typer.Option(help="Only of mail that was sent as this identity.")] = "",
    message: Annotated[str, typer.Option(help="Only of this message.")] = "",
    is_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    is_ses: Annotated[bool, typer.Option("--ses", help="Print notifications as topics get them.")] = False,
) -> None:
    """Print events as lines, oldest first.

    Each JSON line has a cursor: `--from CURSOR` goes on behind that event. Where two workers have news of one
    message, some events may come once more; shard and offset tell which.
    """
    if start and number is not None:
        raise typer.BadParameter("-n is of the last ones, --from begins elsewhere: give one of them")
    if is_json and is_ses:
        raise typer.BadParameter("--json prints events, --ses notifications: give one of them")
    with log_opened() as log:
        wanted = wanted_of(log, account, identity, message)
        show = _Show(wanted, is_json, AsNotifications(log, _service()) if is_ses else None)
        kinds = kind or ()
        if start:
            batch, after = [], offsets_of(parse_start(start, SystemClock().now()), log)
            tell_dropped(log, after)
        elif message:
            after = log.last()
            found = [one for one in log.of_message(message) if one.offset <= after.get(one.shard, 0)]
            batch = [one for one in found if not kinds or one.event.kind in kinds]
            batch = batch if number is None else batch[max(0, len(batch) - number) :]
        else:
            batch, after = log.newest(_LAST if number is None else number, kinds, wanted)
        show(batch, after)
        for batch, reached in _batches(log, after, kinds, follow) if start or follow else ():
            show(batch, reached)
            if not (batch or follow):
                break


def _batches(
    log: EventLog, after: dict[int, int], kinds: Sequence[EventKind], is_patient: bool
) -> Iterator[tuple[list[Logged], dict[int, int]]]:
    """What is behind ``after``, then, without an end, what comes; an empty batch where there is no more for
    now. Who is patient waits for a worker that starts again, or rebuilds its database. Raises SpoolError."""
    is_told = False
    while True:
        try:
            batch, reached = log.read(after, PAGE, kinds)
        except SpoolError as error:
            if not is_patient:
                raise
            if not is_told:
                typer.echo(f"relay: {error}; tried again", err=True)
            is_told = True
            time.sleep(_AGAIN_S)  # noqa: TID251  as below
            continue
        is_told, is_end = False, reached == after
        after = reached
        if batch or is_end:
            yield batch, after
        if is_end:
            time.sleep(POLL_S)  # noqa: TID251  the log is polled: its writers know nothing of us


@dataclass(frozen=True)
class _Show:
    """Prints the events of a batch that are wanted."""

    wanted: Wanted
    is_json: bool
    notifications: AsNotifications | None

    def __call__(self, batch: Sequence[Logged], reached: dict[int, int]) -> None:
        if self.notifications is not None:
            put(self.notifications.lines(filter(self.wanted, batch)))
            return
        progress, lines = Progress(batch, reached), []
        for one in batch:
            progress.did(one)
            if self.wanted(one):
                lines.append(as_json(one, write_cursor(progress.position)) if self.is_json else as_line(one))
        put(lines)


def _service() -> Service:
    config = loaded()
    return Service(config.directory.region, config.relay.hostname, config.signing.service_domain)


def put(lines: Sequence[str]) -> None:
    """Write lines to standard output; all of them are written when this returns. Raises OSError.

    Not with ``print``: where standard output is not buffered (PYTHONUNBUFFERED), it takes a part that was
    written, of which the reader has gone, for the whole.
    """
    rest = memoryview("".join(f"{line}\n" for line in lines).encode())
    while rest:
        count: int | None = sys.stdout.buffer.write(rest)
        if count is None:
            raise BlockingIOError("standard output takes no more at present, and does not block")
        rest = rest[count:]
    sys.stdout.buffer.flush()


@contextmanager
def log_opened() -> Iterator[EventLog]:
    """The event log of the configuration's spool. An error ends the command with status 1, Ctrl-C with 0."""
    log = EventLog(spool_of(loaded()))
    try:
        yield log
    except (RelayError, ValueError) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    finally:
        log.close()


def tell_dropped(log: EventLog, after: dict[int, int]) -> None:
    """Say how many events were dropped before they could be read, if any were."""
    dropped = log.behind(after)[1] if after else 0
    if dropped:
        typer.echo(f"relay: about {dropped} events were dropped before they were read ([events])", err=True)


def wanted_of(log: EventLog, account: str = "", identity: str = "", message: str = "") -> Wanted:
    """Which events are wanted. Raises RelayError if there is no such account."""
    tests: list[Wanted] = []
    if account:
        with opened() as directory:
            number = directory.accounts.show(account).id
        tests.append(lambda one: one.event.account_id == number)
    if message:
        tests.append(lambda one: one.event.message_id == message)
    if identity:
        name = identity.lower()

        @lru_cache(10_000)
        def sent_as(message_id: str) -> str:
            found = log.of_message(message_id, has_deliveries=False)
            return next((_identity(one) for one in found if one.event.kind is EventKind.SEND), "")

        def is_of(one: Logged) -> bool:  # deliveries do not repeat what the Send event has said
            found = _identity(one)
            return (found or (sent_as(one.event.message_id) if one.event.message_id else "")) == name

        tests.append(is_of)
    return lambda one: all(test(one) for test in tests)


def _identity(one: Logged) -> str:
    return str(json.loads(one.event.detail).get("identity") or "").lower()
