"""``relay queue flush|hold|release|reroute|delete``: changing the queue of the running relay.

The relay alone writes to its shards, so it has to run. The work is done in steps, while mail comes and goes;
on a terminal a bar shows how far it is, and Ctrl-C stops after the step at hand. What arrives after the
command was given is not touched.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from relay.base.clock import SystemClock
from relay.base.endpoint import format_endpoint, parse_endpoint
from relay.daemon.commands import filters
from relay.daemon.commands.filters import AsJson
from relay.daemon.commands.rows import print_row
from relay.daemon.commands.running import asked, loaded
from relay.daemon.settings.config import Config
from relay.daemon.supervisor import control
from relay.spool.choosing import Chosen

ASK_ABOVE = 1000  # recipients
_SMTP_PORT = 25

Everything = Annotated[bool, typer.Option("--all", help="Yes, the whole queue.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
IsSure = Annotated[
    bool, typer.Option("--yes", "-y", help=f"Do not ask, on a terminal, above {ASK_ABOVE} recipients.")
]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, to whom, and what is said when it is."""

    name: str  # of the command
    operation: str
    done: str
    chosen: Chosen
    next_hop: str = ""


async def work(settings: Config, order: Order, is_sure: bool) -> dict[str, Any]:
    """Have it done. Raises RelayError; ``typer.Abort`` where the operator says no."""
    chosen = order.chosen
    if chosen.older_than is None:  # mail that comes in meanwhile was not meant
        chosen = replace(chosen, older_than=SystemClock().now())
    request = {
        "operation": order.operation,
        "chosen": {name: getattr(chosen, name) for name in Chosen.__slots__},
    }
    stop = asyncio.Event()
    async with control.asking(settings.spool.path) as ask:
        total = await ask("steer count", 600.0, **request)
        if total > ASK_ABOVE and not is_sure and is_terminal():
            typer.confirm(f"{order.name} {total} recipients?", abort=True, err=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        done = busy = 0
        cursors = None
        with _progress() as bar:
            task = bar.add_task(order.name, total=total)
            while not stop.is_set():
                step = await ask("steer", 600.0, **request, cursors=cursors, next_hop=order.next_hop)
                done, busy, cursors = done + step["done"], busy + step["busy"], step["cursors"]
                bar.update(task, completed=done + busy, total=max(total, done + busy))
                if not cursors:
                    break
    found: dict[str, Any] = {order.name: done}
    if busy:
        found["busy"] = busy
    if cursors:
        found["stopped"] = True
    return found


async def count(settings: Config, order: Order) -> int:
    """How many recipients it would concern. Raises RelayError."""
    chosen = {name: getattr(order.chosen, name) for name in Chosen.__slots__}
    return int(
        await control.ask(settings.spool.path, "steer count", operation=order.operation, chosen=chosen)
    )


def is_terminal() -> bool:
    """Someone is there to be asked."""
    return sys.stdin.isatty()


def _progress() -> Progress:
    """On the terminal, if standard error is one."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def carry_out(settings: Config, order: Order, *, dry_run: bool, is_sure: bool, as_json: bool) -> None:
    """Do it, and say what was done; ends the command with status 130 if it was stopped."""
    if dry_run:
        total = asked(count(settings, order))
        if as_json:
            print_row({order.name: total, "dry_run": True}, as_json=True)
        else:
            typer.echo(f"{total} recipients match; nothing was done")
        return
    found = asked(work(settings, order, is_sure))
    if as_json:
        print_row(found, as_json=True)
    else:
        typer.echo(f"{found[order.name]} {order.done}")
        if found.get("busy"):
            typer.echo(f"{found['busy']} were being delivered and are left alone; try again", err=True)
        if found.get("stopped"):
            typer.echo("stopped; the rest is as it was", err=True)
    if found.get("stopped"):
        raise typer.Exit(130)


def _meant(chosen: Chosen, everything: bool) -> Chosen:
    if chosen == Chosen() and not everything:
        raise ValueError("name messages or filters, or say --all for the whole queue")
    return chosen


def simple(name: str, done: str) -> Callable[..., None]:
    """A command without options of its own."""

    def command(
        ids: filters.Ids = None,
        domain: filters.Domain = "",
        site: filters.Site = "",
        account: filters.Account = "",
        sender: filters.Sender = None,
        state: filters.State = "",
        older: filters.Older = "",
        newer: filters.Newer = "",
        everything: Everything = False,
        dry_run: DryRun = False,
        is_sure: IsSure = False,
        as_json: AsJson = False,
    ) -> None:
        settings = loaded()
        with filters.told():
            chosen = filters.chosen_by(settings, ids, domain, account, sender, state, older, newer, site)
            order = Order(name, name, done, _meant(chosen, everything))
            carry_out(settings, order, dry_run=dry_run, is_sure=is_sure, as_json=as_json)

    return command


def delete(
    ids: filters.Ids = None,
    bounce: Annotated[
        bool, typer.Option("--bounce", help="Tell the senders, as if the receiver had refused the mail.")
    ] = False,
    domain: filters.Domain = "",
    site: filters.Site = "",
    account: filters.Account = "",
    sender: filters.Sender = None,
    state: filters.State = "",
    older: filters.Older = "",
    newer: filters.Newer = "",
    everything: Everything = False,
    dry_run: DryRun = False,
    is_sure: IsSure = False,
    as_json: AsJson = False,
) -> None:
    """Delete, without a word to the senders unless --bounce is given."""
    settings = loaded()
    with filters.told():
        chosen = filters.chosen_by(settings, ids, domain, account, sender, state, older, newer, site)
        operation, done = "delete", "recipients are deleted"
        if bounce:
            operation, done = "bounce", "recipients are deleted, and their senders are told"
        order = Order("delete", operation, done, _meant(chosen, everything))
        carry_out(settings, order, dry_run=dry_run, is_sure=is_sure, as_json=as_json)


def reroute(
    ids: filters.Ids = None,
    to: Annotated[str, typer.Option(help="The next hop, host:port; a [\\[route]] to it lends its TLS.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Undo it: to where the addresses say.")] = False,
    domain: filters.Domain = "",
    site: filters.Site = "",
    account: filters.Account = "",
    sender: filters.Sender = None,
    state: filters.State = "",
    older: filters.Older = "",
    newer: filters.Newer = "",
    everything: Everything = False,
    dry_run: DryRun = False,
    is_sure: IsSure = False,
    as_json: AsJson = False,
) -> None:
    """Send what waits to another mail server. Mail that comes in later goes where it always went: for that,
    a [\\[route]] in the configuration. Rerouted mail is found by --domain host:port from then on."""
    settings = loaded()
    with filters.told():
        if bool(to) == back:
            raise ValueError('say --to "host:port", or --back to undo it')
        next_hop = format_endpoint(*parse_endpoint(to, _SMTP_PORT)) if to else ""
        chosen = filters.chosen_by(settings, ids, domain, account, sender, state, older, newer, site)
        done = f"recipients go to {next_hop} now" if to else "recipients go where their addresses say"
        order = Order("reroute", "reroute" if to else "back", done, _meant(chosen, everything), next_hop)
        carry_out(settings, order, dry_run=dry_run, is_sure=is_sure, as_json=as_json)
