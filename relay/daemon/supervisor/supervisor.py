"""The supervisor: small, and the parent of everything.

It binds the sockets, drops root, owns the spool, keeps the workers running, answers the CLI and the scrape.
No message passes through it. Signals:

SIGTERM, SIGINT   drain: workers stop taking mail, finish what is in flight within [workers] drain, and end
again             end at once: workers are killed; what was promised is on disk
SIGHUP            read the configuration again; a wrong one changes nothing and is logged

If it is killed itself, its workers see their links end, drain and end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from relay.admin.health import Health
from relay.base.clock import SystemClock
from relay.base.simulator import simulator_domain
from relay.base.tasks import Tasks
from relay.daemon import sns_certificate, sockets, systemd
from relay.daemon.exits import EX_CONFIG
from relay.daemon.link import LinkError
from relay.daemon.log_levels import Levels
from relay.daemon.public import public_app
from relay.daemon.settings import config
from relay.daemon.supervisor import control, files, last_life, opening, overview, startup
from relay.daemon.supervisor.announcing import Announcing
from relay.daemon.supervisor.child import Child
from relay.daemon.supervisor.http import HttpServer, operator_app
from relay.daemon.supervisor.ledger_keeper import LedgerKeeper
from relay.daemon.supervisor.log_requests import REQUESTS as LOG_REQUESTS
from relay.daemon.supervisor.log_requests import LogRequests
from relay.daemon.supervisor.notifier_process import NotifierProcess
from relay.daemon.supervisor.queue_requests import REQUESTS, QueueRequests
from relay.daemon.supervisor.reloading import Reloading
from relay.daemon.supervisor.scrape import Scrape
from relay.daemon.supervisor.site_keeper import SiteKeeper
from relay.daemon.supervisor.trace_requests import REQUESTS as TRACE_REQUESTS
from relay.daemon.supervisor.trace_requests import TraceRequests
from relay.daemon.supervisor.workers import Workers
from relay.daemon.vitals import Vitals
from relay.directory.store import Directory
from relay.policy.ledger import QuotaWarning

log = logging.getLogger(__name__)

_PUBLIC_CONNECTIONS = 100
_MARGIN_S = 10.0  # above what the workers may take


class Supervisor:
    """The process behind ``relay run``."""

    def __init__(self, text: str, settings: config.Config) -> None:
        self.config = settings
        self._boot, self._boot_text = settings, text
        self._clock = SystemClock()
        self._levels = Levels(settings.log.level, settings.log.format)
        self._tasks = Tasks("supervisor")
        self._vital = Tasks("supervisor", self._vital_task_failed)
        self._drain = asyncio.Event()
        self._at_once = asyncio.Event()
        self._reloading: Reloading | None = None  # once there is someone to pass it on to
        self._is_reload_due = False
        self._vitals = Vitals(self._clock)
        self._exit_status = 0

    async def run(self) -> int:
        """Run until a signal ends it; returns the exit status.

        Raises ConfigError or StartError before anything is started.
        """
        opened = opening.open_all(self.config)
        startup.drop_privileges(self.config.relay)
        lock = startup.prepare(self.config)
        async with AsyncExitStack() as stack:
            stack.callback(os.close, lock)
            stack.enter_context(
                last_life.noted(self.config.spool.path, self._clock, lambda: self._exit_status)
            )
            files.check(self.config)
            for remark in files.remarks(self.config):
                log.warning(remark)
            sockets.listen(opened.own)
            self._install_signals()
            await self._tasks.start(stack)
            await self._vital.start(stack)
            self._ledger = LedgerKeeper(
                self.config.spool.path,
                self._clock,
                self._warn,
                self._vital_task_failed,
                lambda: simulator_domain(self.config.signing.service_domain),
            )
            await self._ledger.start(stack)
            self._workers = Workers(
                self._boot_text,
                self._boot,
                opened.per_worker,
                self._clock,
                self._vital,
                self._unusable,
                self._asked,
            )
            self._queue = QueueRequests(self._workers)
            self._sites = SiteKeeper(self._clock, self._call, self._tasks)
            self._workers.on_end = self._sites.forget
            self._traces = TraceRequests(self._workers, self._clock, self._tasks)
            self._workers.on_ready = self._worker_ready
            stack.push_async_callback(self._workers.kill)
            self._workers.start()
            self._notifier = NotifierProcess(
                self._boot_text, self._boot, self._clock, self._vital, self._asked_by_notifier
            )
            stack.push_async_callback(self._notifier.kill)
            self._notifier.start(self._workers.all_ready)
            self._logs = LogRequests(self._workers, self._notifier, self._levels, self._clock, self._tasks)
            self._notifier.on_ready = self._logs.child_ready
            self._reloading = Reloading(
                self._boot_text, self._boot, self._workers, self._notifier, self._clock, self._taken_over
            )
            if self._is_reload_due:
                self.handle_sighup()
            self._overview = overview.Overview(
                self._workers,
                self._notifier,
                self._clock,
                self._drain.is_set,
                self._reloading.told,
                self._ledger,
            )
            self._tasks.spawn(self._overview.note_on(), "overview")
            self._scrape = Scrape(
                lambda: self.config,
                self._workers,
                self._notifier,
                self._ledger,
                self._reloading,
                self._vitals,
                self._clock,
            )
            self._tasks.spawn(self._vitals.beat(lambda: None), "vitals")
            await control.serve(self.config.spool.path, self.answer, stack)
            if opened.metrics is not None:
                app = operator_app(self._scrape.metrics, self._health)
                self._serve(HttpServer(app), opened.metrics, stack)
            if opened.public is not None:
                section = self.config.directory
                directory = Directory(section.url, section.key_file, section.region)
                stack.callback(directory.close)
                page = HttpServer(
                    public_app(directory.life, partial(sns_certificate.published, self.config.spool.path)),
                    _PUBLIC_CONNECTIONS,
                )
                self._serve(page, opened.public, stack)
            announcing = Announcing(
                self._workers,
                self._boot.workers.heartbeat,
                self._clock,
                lambda: self._overview.latest,
                self._drain.is_set,
            )
            self._tasks.spawn(announcing.run(), "announce")
            await self._drain.wait()
            await self._end()
        log.info("relay ended", extra={"status": self._exit_status})
        return self._exit_status

    def _serve(self, server: HttpServer, sock: socket.socket, stack: AsyncExitStack) -> None:
        """Serve HTTP until the stack unwinds."""
        serving = self._tasks.spawn(server.serve(sock), "http")
        stack.push_async_callback(asyncio.wait, [serving], timeout=2.0)
        stack.callback(server.end)

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_sigterm)
        loop.add_signal_handler(signal.SIGHUP, self.handle_sighup)

    def handle_sigterm(self) -> None:
        """Drain; the second time end at once."""
        if self._drain.is_set():
            self._at_once.set()
        self._drain.set()

    def handle_sighup(self) -> None:
        """Read the configuration again."""
        if self._reloading is None:
            self._is_reload_due = True  # as soon as there is someone to pass it on to
        else:
            self._tasks.spawn(self._reloading.logged(), "reload")

    def _taken_over(self, settings: config.Config) -> None:
        self.config = settings
        self._levels.follow(settings.log.level, settings.log.format)

    def _worker_ready(self, child: Child) -> None:
        self._traces.worker_ready(child)
        self._logs.child_ready(child)

    def _unusable(self) -> None:
        self._exit_status = EX_CONFIG
        self._drain.set()

    def _vital_task_failed(self, _: BaseException) -> None:
        """Without the tasks that keep the workers we are no supervisor: end, and be started anew."""
        self._exit_status = 1
        self._drain.set()

    async def _end(self) -> None:
        """Drain the workers within the bound, or at once if asked again."""
        drain_s = self._boot.workers.drain
        bound_s = 2 * drain_s + _MARGIN_S  # sessions of clients first, then deliveries
        log.info("relay drains", extra={"bound_s": bound_s})
        systemd.notify("STOPPING=1\nSTATUS=drains")
        systemd.extend(bound_s + _MARGIN_S)
        await self._workers.drain(bound_s, self._at_once)
        await self._notifier.end(0.0 if self._at_once.is_set() else _MARGIN_S)

    # -- what others ask ----------------------------------------------------------------------------------

    def _health(self) -> Health:
        return self._scrape.health(is_draining=self._drain.is_set())

    async def answer(self, what: str, fields: dict[str, Any], by: str = "") -> Any:  # noqa: ANN401
        """Answer the CLI; ``by``: which user it runs as."""
        workers = self._workers
        if what in overview.REQUESTS:
            return await self._overview.answer(what, fields)
        if what == "reload" and self._reloading is not None:
            return await self._reloading.run(by)
        if what == "config" and self._reloading is not None:
            return self._reloading.texts()
        if what == "submit":
            if not workers.ready or self._drain.is_set():
                raise LinkError("no worker is ready; try again, or see the relay's log")
            return await workers.ready[0].link.ask(what, **fields)
        if what == "topic test":
            return await self._notifier.ask(what, **fields)
        if what == "usage":
            return {"sent": await self._ledger.sent(fields["account"], is_limited=fields["is_limited"])}
        if what in LOG_REQUESTS:
            return await self._logs.answer(what, fields, by)
        if what in TRACE_REQUESTS:
            return await self._traces.answer(what, fields, by)
        if what in REQUESTS:
            return await self._queue.answer(what, fields, by)
        raise LinkError(f"unknown request {what!r}")

    async def _asked(self, life: int, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer a worker in one of its lives."""
        if what == "traced":
            return self._traces.take(fields)
        if what == "lane.ask":
            return self._sites.answer(life, fields)
        return await self._ledger.answer(life, what, fields)

    async def _asked_by_notifier(self, _: int, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer the notifier: what it has to say by mail, a worker mails. Raises LinkError if none can."""
        if what != "notice":
            raise LinkError(f"unknown request {what!r}")
        if not self._workers.ready:
            raise LinkError("no worker is ready")
        return await self._workers.ready[0].link.ask(what, **fields)

    async def _call(self, life: int, lanes: list[str]) -> None:
        """Let a worker ask about these lanes at once."""
        child = self._workers.living(life)
        if child is not None:
            await child.link.ask("lane.call", 5.0, lanes=lanes)

    async def _warn(self, warning: QuotaWarning) -> None:
        """A worker mails it. Raises LinkError if none can."""
        if not self._workers.ready:
            raise LinkError("no worker is ready")
        await self._workers.ready[0].link.ask("warn", **warning._asdict())
