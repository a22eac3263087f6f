"""The notifier: the process that makes something of what has happened, beside the workers.

It follows the event log of all shards and leads the sinks along it (``following``): who hears of an outcome,
what goes onto the suppression lists, what is counted. It writes no mail and owns no shard, so that nothing
depends on it but the news itself: while it is down, mail flows, and events wait in the log.

It is a process of its own, and nice (``politeness``): where the processor is short, mail goes first and news
later, but not later and later. Measured
with ``python -m bench --webhook`` on two cores at full speed, every delivery told: mail goes as fast as
without; some of the news goes meanwhile and the rest in the seconds after, about 3,000 a second.
What it has to say by mail it asks a worker for (``notice``), through the supervisor. SIGTERM and the end of
the link mean the same: post no more, end what is in hand, and end. Exit statuses are those of a worker.

A new configuration comes in two steps, as to a worker: ``prepare`` does all that can fail and changes
nothing, ``take over`` changes everything and cannot fail.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from relay.base.clock import Clock, SystemClock
from relay.base.errors import ConfigError, DirectoryError, SpoolError
from relay.base.tasks import Tasks
from relay.daemon import logs
from relay.daemon.board import Board
from relay.daemon.exits import EX_CONFIG, EX_FAILED, EX_TEMPFAIL, EX_USAGE
from relay.daemon.link import LIMIT_BYTES, Link, LinkError
from relay.daemon.log_levels import Levels
from relay.daemon.notifier.consumer_lag import ConsumerLag
from relay.daemon.notifier.counting import Counting
from relay.daemon.notifier.following import Follower, Sink
from relay.daemon.notifier.notifications import Notifications
from relay.daemon.notifier.suppression_sink import SuppressionSink
from relay.daemon.orders import VARIABLE, Orders
from relay.daemon.politeness import Politeness
from relay.daemon.publishing import publish, publish_once
from relay.daemon.settings import config
from relay.daemon.settings.changes import in_force
from relay.daemon.vitals import Vitals
from relay.directory.refresh import LiveSnapshot
from relay.directory.snapshot import Snapshot
from relay.directory.store import Directory
from relay.spool.positions import Positions

log = logging.getLogger(__name__)


class Newsroom:
    """All parts of the notifier, joined. What a sink needs of the others it finds here."""

    def __init__(
        self,
        settings: config.Config,
        clock: Clock,
        link: Link | None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_lost`` hears that a file is damaged or gone, so that the notifier has to be started anew."""
        self._on_lost = on_lost
        self.config = settings
        self.clock = clock
        self._link = link
        self.followers: list[Follower] = []
        self.notifications: Notifications | None = None

    async def start(self, stack: AsyncExitStack) -> None:
        """Open the directory and follow the log until the stack unwinds.

        Raises ConfigError, DirectoryError or SpoolError.
        """
        section = self.config.directory
        self.directory = Directory(section.url, section.key_file, section.region)
        stack.callback(self.directory.close)
        self.live = LiveSnapshot(self.directory, on_change=self._directory_changed)
        await self.live.start(stack)
        self.lag = ConsumerLag(self.config.spool.path, self.clock)
        await self.lag.start(stack)
        for sink in await self._sinks(stack):
            follower = Follower(self.config.spool.path, sink)
            await follower.start(stack)
            self.followers.append(follower)

    async def _sinks(self, stack: AsyncExitStack) -> list[Sink]:
        """Those who make something of events, opened; each ends with the stack."""
        suppression = SuppressionSink(
            self.directory.suppression,
            Positions(self.config.spool.path),
            self.clock,
            service_for_s=lambda: self.config.suppression.service_for,
            service_domain=lambda: self.config.signing.service_domain,
        )
        self.counting = Counting(lambda: self.config, self.live, self.directory, self.notice, self.clock)
        await self.counting.start(stack)
        self.notifications = Notifications(
            lambda: self.config,
            self.live,
            self.directory.topics,
            self.notice,
            self.clock,
            self._on_lost,
        )
        await self.notifications.start(stack)
        return [suppression, self.counting.sink, self.notifications.sink]

    def _directory_changed(self, snapshot: Snapshot) -> None:
        if self.notifications is not None:
            self.notifications.directory_changed(snapshot)

    async def notice(self, account_id: int, subject: str, text: str, kind: str, about: str = "") -> str:
        """Write to the contact of an account; the id of the mail, "" if there is nobody to write to. It is on
        disk when this returns. Raises LinkError if no worker can, now."""
        if self._link is None:
            raise LinkError("no relay runs")
        return str(
            await self._link.ask(
                "notice", account_id=account_id, subject=subject, text=text, kind=kind, about=about
            )
        )

    def plan(self, settings: config.Config) -> config.Config:
        """All that can fail of taking over a configuration. Raises ConfigError, and nothing has changed."""
        return settings

    def take_over(self, settings: config.Config) -> None:
        """A new configuration comes into force."""
        self.config = settings
        if self.notifications is not None:
            self.notifications.take_over(settings)

    def stop(self) -> None:
        """The end is near: begin nothing that another life can do as well."""
        if self.notifications is not None:
            self.notifications.posting.stop()

    def readings(self) -> dict[str, Any]:
        """What the notifier counts, for the scrape."""
        return {
            **self.counting.readings(),
            **self.lag.readings(),
            **(self.notifications.readings() if self.notifications is not None else {}),
            "taken": {one.sink.name: one.taken for one in self.followers},
            "behind": {one.sink.name: one.behind for one in self.followers},
            "take_failures": {one.sink.name: one.failures for one in self.followers},
        }


class Notifier:
    """The process."""

    def __init__(
        self, orders: Orders, boot: config.Config, settings: config.Config, politeness: Politeness
    ) -> None:
        self.orders = orders
        self._politeness = politeness
        self.boot = boot
        self.settings = settings
        self.clock = SystemClock()
        self._stop = asyncio.Event()
        self._tasks = Tasks("notifier", self._task_failed)
        self._levels = Levels(settings.log.level, settings.log.format, "notifier")
        self._plan: config.Config | None = None
        self._exit_status = 0
        self.vitals = Vitals(self.clock)

    async def run(self) -> int:
        """Work until told to stop; returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(pass_over_closed)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        board = Board(self.orders.board, self.orders.count)
        reader, writer = await asyncio.open_connection(
            sock=socket.socket(fileno=self.orders.link), limit=LIMIT_BYTES
        )
        link = Link(reader, writer, self.answer)
        self.newsroom = Newsroom(self.settings, self.clock, link, self._file_lost)
        async with AsyncExitStack() as stack:
            await self._tasks.start(stack)
            self._tasks.spawn(self._serve(link), "link")
            self._tasks.spawn(
                self.vitals.beat(lambda: board.beat(self.orders.number, self.clock.monotonic())), "heartbeat"
            )
            try:
                await self.newsroom.start(stack)
            except (ConfigError, DirectoryError, SpoolError) as error:
                log.error("notifier cannot start", extra={"why": str(error)})
                return EX_CONFIG if isinstance(error, ConfigError) else EX_TEMPFAIL
            try:
                await publish_once(link, self._readings)
                text = await link.ask("ready")
                if text is not None:
                    self._prepare(text)
                    self._take_over()
            except LinkError:
                if not self._stop.is_set() and link.is_open:
                    raise
            self._tasks.spawn(publish(link, self._readings), "publish")
            self._tasks.spawn(self._politeness.keep(), "politeness")
            log.info("notifier ready", extra={"sinks": len(self.newsroom.followers)})
            await self._stop.wait()
            self._politeness.end()
            self.newsroom.stop()
        return self._exit_status

    def _file_lost(self) -> None:
        self._exit_status = EX_TEMPFAIL
        self._stop.set()

    def _task_failed(self, failure: BaseException) -> None:
        self._exit_status = EX_FAILED
        self._stop.set()

    async def _serve(self, link: Link) -> None:
        await link.serve()
        self._stop.set()

    def _readings(self) -> dict[str, Any]:
        return {**self.newsroom.readings(), **self.vitals.readings()}

    async def answer(self, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer the supervisor."""
        if what == "readings":
            return self._readings()
        if what == "topic test" and self.newsroom.notifications is not None:
            posted = await self.newsroom.notifications.test(fields["topic"])
            return {"is_taken": posted.is_taken, "said": posted.said}
        if what == "prepare":
            return self._prepare(fields["text"])
        if what == "log levels":
            return self._levels.override(fields["overrides"])
        if what == "take over":
            return self._take_over()
        raise LinkError(f"unknown request {what!r}")

    def _prepare(self, text: str) -> None:
        wanted = config.parse(text, Path(self.orders.path))
        self._plan = self.newsroom.plan(in_force(self.boot, wanted))

    def _take_over(self) -> None:
        plan, self._plan = self._plan, None
        if plan is None:
            raise LinkError("nothing was prepared")
        self.newsroom.take_over(plan)
        self._levels.follow(plan.log.level, plan.log.format)


def pass_over_closed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What happens beside all tasks is logged, but for what uvloop says of a connection with TLS that we gave
    up: the other side writes on, and it answers into what is closed; or breaks off the handshake for which
    nobody waits any more."""
    error = context.get("exception")
    is_written_to = isinstance(error, RuntimeError) and "the handler is closed" in str(error)
    is_broken_off = isinstance(error, ConnectionError) and "never retrieved" in context.get("message", "")
    if is_written_to or is_broken_off:
        log.debug("a connection that was given up has ended", extra={"why": repr(error)})
    else:
        loop.default_exception_handler(context)


def main() -> int:
    """The process: read the orders, run."""
    faulthandler.enable()
    if VARIABLE not in os.environ:
        print("relay notifier: started by `relay run`, not by hand", file=sys.stderr)
        return EX_USAGE
    orders = Orders.from_environment()
    try:
        boot, settings = orders.read_config()
    except ConfigError as error:
        print(f"relay: {error}", file=sys.stderr)
        return EX_CONFIG
    politeness = Politeness()
    politeness.begin()
    logs.configure(settings.log.level, settings.log.format, "notifier")
    try:
        return uvloop.run(Notifier(orders, boot, settings, politeness).run())
    except Exception:
        log.exception("notifier failed")
        return EX_FAILED
