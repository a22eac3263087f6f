"""A worker: a complete relay in one process, under the supervisor's eye.

It is told what it needs by ``relay.daemon.orders``, builds its works, says ``ready`` over the link, and
touches the board once a second from its event loop, so that a loop that hangs is seen. SIGTERM and the end
of the link mean the same: drain and end. Exit status 0 after a drain, 78 for a configuration that cannot be
used, 75 if the spool or the directory cannot be had now, 1 for anything else.

A new configuration comes in two steps: ``prepare`` does all that can fail and changes nothing, ``take over``
changes everything and cannot fail.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, DirectoryError, SpoolError
from relay.base.tasks import Tasks
from relay.daemon import logs
from relay.daemon.board import Board, SharedTally
from relay.daemon.exits import EX_CONFIG, EX_FAILED, EX_TEMPFAIL, EX_USAGE
from relay.daemon.link import LIMIT_BYTES, Link, LinkError
from relay.daemon.log_levels import Levels
from relay.daemon.orders import VARIABLE, Orders
from relay.daemon.publishing import publish, publish_once
from relay.daemon.settings import config
from relay.daemon.settings.changes import in_force
from relay.daemon.vitals import Vitals
from relay.daemon.worker.activity import Activity
from relay.daemon.worker.quota_warning import warn_of_quota
from relay.daemon.worker.readings import readings
from relay.daemon.worker.submission import submit
from relay.daemon.worker.tracing import Tracing
from relay.daemon.worker.wiring import Plan, Works
from relay.ingress.connections import neighbourhood
from relay.spool.choosing import Chosen

log = logging.getLogger(__name__)

# The commit thread and the loop hand the interpreter lock to each other several times a commit; at CPython's
# default of 5 ms a busy loop would add that to each.
_SWITCH_INTERVAL_S = 0.0005
# Few of a worker's objects refer to each other in circles, so that the collector finds next to nothing. At
# CPython's default of (700, 10, 10), mail for 3,000 sites at once cost a fifth more CPU; memory is the same.
_COLLECT = (10_000, 20, 20)


class Worker:
    """The process of one worker."""

    def __init__(self, orders: Orders, boot: config.Config, settings: config.Config) -> None:
        """``boot``: the configuration as the relay was started; ``settings``: what is in force of the one
        that is there now."""
        self.orders = orders
        self.boot = boot
        self.clock = SystemClock()
        self.lines = logs.Lines(self.clock, settings.log.level, settings.log.format, orders.number)
        self.levels = Levels(settings.log.level, settings.log.format, orders.number)
        self.levels.add(self.lines)
        self.works = Works(settings, orders.number, self.clock, self.lines)
        self._activity = Activity(self.works, self.clock)
        self._plan: Plan | None = None
        self._stop = asyncio.Event()
        self._tasks = Tasks("worker", self._task_failed)
        self.exit_status = 0
        self.vitals = Vitals(self.clock)

    async def run(self) -> int:
        """Work until told to stop; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor reads the file and passes it on
        board = Board(self.orders.board, self.orders.count)
        reader, writer = await asyncio.open_connection(
            sock=socket.socket(fileno=self.orders.link), limit=LIMIT_BYTES
        )
        link = Link(reader, writer, self.answer)
        self.works.ask_ledger = link.ask
        self.tracing = Tracing(self.works.traces, link.ask)
        async with AsyncExitStack() as stack:
            await self._tasks.start(stack)
            await self.tracing.start(stack)
            self._tasks.spawn(self._serve(link), "link")
            self._tasks.spawn(
                self.vitals.beat(lambda: board.beat(self.orders.number, self.clock.monotonic())), "heartbeat"
            )
            stack.callback(self.lines.flush)
            sockets = [[socket.socket(fileno=fd) for fd in fds] for fds in self.orders.sockets]
            limits = self.works.config.limits
            self.tally = SharedTally(
                board, self.orders.number, limits.connections, limits.connections_per_address, neighbourhood
            )
            try:
                await self.works.start(stack, sockets, self.tally, self.orders.orphans)
            except (ConfigError, DirectoryError, SpoolError) as error:
                log.error("worker cannot start", extra={"why": str(error)})
                return EX_CONFIG if isinstance(error, ConfigError) else EX_TEMPFAIL
            gc.collect()
            gc.freeze()  # what is there now lives as long as we do: a full collection need not look at it
            gc.set_threshold(*_COLLECT)
            await self._say_ready(link)
            self._tasks.spawn(publish(link, self._readings), "publish")
            await self._stop.wait()
            log.info("worker drains")
        return self.exit_status

    async def _say_ready(self, link: Link) -> None:
        """Say so, and take over the configuration if it has changed while we started."""
        try:
            await publish_once(link, self._readings)
            text = await link.ask("ready")
        except LinkError:
            if self._stop.is_set() or not link.is_open:
                return  # the supervisor is gone, or wants us to be
            raise
        if text is not None:
            self._prepare(text)
            self._take_over()
        log.info("worker ready", extra=self._found())

    def _found(self) -> dict[str, Any]:
        shards = self.works.shards.values()
        return {
            "shards": len(self.works.shards),
            "waiting": sum(shard.waiting_found for shard in shards),
            "uncertain": sum(shard.uncertain_found for shard in shards),
        }

    def _task_failed(self, failure: BaseException) -> None:
        self.exit_status = 1
        self._stop.set()

    async def _serve(self, link: Link) -> None:
        await link.serve()
        self._stop.set()

    def _readings(self) -> dict[str, Any]:
        return {**readings(self.works), **self.vitals.readings()}

    async def answer(self, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer the supervisor."""
        if what == "readings":
            return self._readings()
        if what == "prepare":
            return self._prepare(fields["text"])
        if what == "take over":
            return self._take_over()
        if what == "submit":
            intake = self.works.intakes[self.orders.number + 1]
            return await submit(fields, self.works.live.current, intake, self.works.config.limits)
        if what == "notice":
            return await self.works.notices.send(**fields)
        if what == "warn":
            return await warn_of_quota(self.works.notices, **fields)
        if what == "steer":
            return await self.works.steering.step(**{**fields, "chosen": Chosen(**fields["chosen"])})
        if what == "steer count":
            return await self.works.steering.count(fields["operation"], Chosen(**fields["chosen"]))
        if what == "explain":
            return await self.works.explaining.explain(**fields)
        if what == "domains of site":
            return await self.works.steering.domains(**fields)
        if what == "activity":
            return self._activity.look(**fields)
        if what == "sites":
            return self.works.outbound.scheduler.lanes.listed(**fields)
        if what == "log levels":
            return self.levels.override(fields["overrides"])
        if what == "trace begin":
            return self.tracing.begin(**fields)
        if what == "trace end":
            return self.tracing.end(**fields)
        if what == "lane.call" and (shares := self.works.outbound.shares) is not None:
            return shares.call(fields["lanes"])
        raise LinkError(f"unknown request {what!r}")

    def _prepare(self, text: str) -> None:
        """Everything about a new configuration that can fail. Raises ConfigError."""
        wanted = config.parse(text, Path(self.orders.path))
        self._plan = self.works.plan(in_force(self.boot, wanted))

    def _take_over(self) -> None:
        """What was prepared comes into force."""
        plan, self._plan = self._plan, None
        if plan is None:
            raise LinkError("nothing was prepared")
        self.works.take_over(plan)
        settings = plan.config
        self.levels.follow(settings.log.level, settings.log.format)
        limits = settings.limits
        self.tally.limit, self.tally.limit_per_address = limits.connections, limits.connections_per_address


def main() -> int:
    """The process: read the orders, run."""
    faulthandler.enable()
    if VARIABLE not in os.environ:
        print("relay worker: started by `relay run`, not by hand", file=sys.stderr)
        return EX_USAGE
    orders = Orders.from_environment()
    try:
        boot, settings = orders.read_config()
    except ConfigError as error:
        print(f"relay: {error}", file=sys.stderr)
        return EX_CONFIG
    logs.configure(settings.log.level, settings.log.format, orders.number)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        return uvloop.run(_run(orders, boot, settings))
    except Exception:
        log.exception("worker failed")
        return EX_FAILED


async def _run(orders: Orders, boot: config.Config, settings: config.Config) -> int:
    return await Worker(orders, boot, settings).run()
