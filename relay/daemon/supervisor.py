"""The supervisor: small, and the parent of everything.

It binds the sockets, drops root, starts the workers and watches their heartbeats, answers the CLI and the
scrape. No message passes through it. Signals:

SIGTERM, SIGINT   drain: workers stop taking mail, finish what is in flight within [workers] drain, and end
again             end at once: workers are killed; what was promised is on disk
SIGHUP            read the configuration again; a wrong one changes nothing and is logged

A worker that dies, or whose event loop does not touch the board for [workers] heartbeat, is started anew,
with backoff while it dies young. Its sockets stay open here, so that no client is refused meanwhile.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import pwd
import signal
from contextlib import AsyncExitStack
from typing import Any

import relay
from relay.admin import health, metrics
from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, RelayError
from relay.base.tasks import Tasks
from relay.daemon import config, control, logs, systemd
from relay.daemon.board import Board
from relay.daemon.child import Child, Restarts
from relay.daemon.http import HttpServer
from relay.daemon.link import LinkError
from relay.daemon.sockets import bind
from relay.daemon.worker import EX_CONFIG
from relay.directory.store import Directory
from relay.spool.recover import shards_in

log = logging.getLogger(__name__)


def drop_privileges(section: config.RelaySection) -> None:
    """Become [relay] user and group, if they are set and we are root. Raises ConfigError."""
    if not section.user or os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(section.user)
        group = grp.getgrnam(section.group).gr_gid if section.group else user.pw_gid
    except KeyError as error:
        raise ConfigError(f"[relay] user or group: {error.args[0]}; make it or name another") from error
    os.setgroups([group])
    os.setgid(group)
    os.setuid(user.pw_uid)


class Supervisor:
    """The process behind ``relay run``."""

    def __init__(self, text: str, settings: config.Config) -> None:
        self._text = text
        self.config = settings
        self._clock = SystemClock()
        self._count = settings.workers.effective_count
        self._children: dict[int, Child] = {}
        self._restarts = {number: Restarts() for number in range(self._count)}
        self._tasks = Tasks("supervisor")
        self._drain = asyncio.Event()
        self._at_once = asyncio.Event()
        self._all_ready = asyncio.Event()
        self._started_at = self._clock.now()
        self._exit_status = 0

    async def run(self) -> int:
        """Run until a signal ends it; returns the exit status. Raises ConfigError before anything started."""
        listeners = [
            [bind(address, self._count, "[[listener]] address") for address in one.address]
            for one in self.config.listener
        ]
        self._sockets = [
            [[per_address[number] for per_address in one] for one in listeners]
            for number in range(self._count)
        ]
        listen = self.config.metrics.listen
        http_socket = bind(listen, 1, "[metrics] listen")[0] if listen else None
        drop_privileges(self.config.relay)
        self._prepare()
        self._board = Board.make(self._count)
        self._install_signals()
        async with AsyncExitStack() as stack:
            await self._tasks.start(stack)
            stack.push_async_callback(self._kill_all)
            for number in range(self._count):
                self._tasks.spawn(self._keep(number), f"worker {number}")
            self._tasks.spawn(self._watch(), "watch")
            await control.serve(self.config.spool.path, self.answer, stack)
            if http_socket is not None:
                http = HttpServer(self._metrics, self._health)
                serving = self._tasks.spawn(http.serve(http_socket), "http")
                stack.push_async_callback(asyncio.wait, [serving], timeout=2.0)
                stack.callback(http.end)
            self._tasks.spawn(self._announce(), "ready")
            await self._drain.wait()
            systemd.notify("STOPPING=1")
            await self._stop_all()
        log.info("relay ended", extra={"status": self._exit_status})
        return self._exit_status

    def _prepare(self) -> None:
        """Folders and tables, as the user that we run as."""
        path = self.config.spool.path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"[spool] path: {path}: {error.strerror}") from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise ConfigError(f"[spool] path: {path} cannot be written by user {os.geteuid()}")
        section = self.config.directory
        directory = Directory(section.url, section.key_file, section.region)
        try:
            directory.migrate()
            directory.vault()
        except RelayError as error:
            raise ConfigError(f"[directory]: {error}") from error
        finally:
            directory.close()

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
        self._tasks.spawn(self._reload_logged(), "reload")

    # -- workers ------------------------------------------------------------------------------------------

    def _orphans(self, number: int) -> list[int]:
        """Shards of workers that are no more, shared out among those that are."""
        shards = shards_in(self.config.spool.path)
        return [s for s in shards if s > self._count and (s - 1) % self._count == number]

    async def _keep(self, number: int) -> None:
        """Run worker ``number``, again and again, until we drain."""
        while not self._drain.is_set():
            started = self._clock.monotonic()
            self._board.clear(number)
            child = await Child.start(
                number,
                self._count,
                self._sockets[number],
                self._board.descriptor,
                self._text,
                str(self.config.path),
                self._orphans(number),
                self._answer_worker(number),
            )
            self._children[number] = child
            self._tasks.spawn(child.link.serve(), f"link {number}")
            status = await child.process.wait()
            child.is_ready = False
            self._board.clear(number)
            if self._drain.is_set():
                return
            if status == EX_CONFIG and not self._all_ready.is_set():
                self._exit_status = EX_CONFIG
                self._drain.set()
                return
            delay_s = self._restarts[number].delay_s(self._clock.monotonic() - started)
            log.error("worker died", extra={"dead": number, "status": status, "restart_in_s": delay_s})
            await asyncio.sleep(delay_s)

    def _answer_worker(self, number: int) -> Any:  # noqa: ANN401
        async def answer(what: str, _: dict[str, Any]) -> None:
            if what != "ready":
                raise LinkError(f"unknown request {what!r}")
            self._children[number].is_ready = True
            if all(self._ready().values()):
                self._all_ready.set()

        return answer

    async def _announce(self) -> None:
        """Tell systemd and the log once all workers are ready; then keep the watchdog fed."""
        await self._all_ready.wait()
        log.info("relay ready", extra={"workers": self._count, "version": relay.__version__})
        systemd.notify(f"READY=1\nSTATUS={self._count} workers")
        interval_s = systemd.watchdog_interval_s()
        while interval_s is not None:
            systemd.notify("WATCHDOG=1")
            await asyncio.sleep(interval_s)

    async def _watch(self) -> None:
        """Kill a worker whose event loop has not touched the board for too long; ``_keep`` starts it anew."""
        limit_s = self.config.workers.heartbeat
        while True:
            await asyncio.sleep(1.0)
            now = self._clock.monotonic()
            for number, child in self._children.items():
                beat = self._board.last_beat(number)
                if child.is_ready and beat and now - beat > limit_s:
                    log.error("worker hangs; killed", extra={"dead": number, "silent_s": int(now - beat)})
                    child.is_ready = False
                    child.kill(signal.SIGABRT)  # faulthandler writes where it hung

    async def _stop_all(self) -> None:
        """Drain the workers within the bound, or at once if asked again."""
        log.info("relay drains", extra={"bound_s": self.config.workers.drain})
        running = [c for c in self._children.values() if c.process.returncode is None]
        for child in running:
            child.kill(signal.SIGTERM)
        ended = self._tasks.spawn(_all_ended(running), "drain")
        at_once = self._tasks.spawn(self._at_once.wait(), "at once")
        bound_s = 2 * self.config.workers.drain + 10.0
        await asyncio.wait([ended, at_once], timeout=bound_s, return_when=asyncio.FIRST_COMPLETED)

    async def _kill_all(self) -> None:
        for child in self._children.values():
            child.kill()
            await child.process.wait()

    # -- what others ask ----------------------------------------------------------------------------------

    def _ready(self) -> dict[int, bool]:
        children = self._children
        return {n: n in children and children[n].is_ready for n in range(self._count)}

    async def _readings(self) -> dict[int, dict[str, Any]]:
        children = [child for child in self._children.values() if child.is_ready]
        found = await asyncio.gather(*[child.readings() for child in children])
        return {c.number: r for c, r in zip(children, found, strict=True) if r is not None}

    async def _metrics(self) -> bytes:
        restarts = {number: one.count for number, one in self._restarts.items()}
        own = metrics.SupervisorReadings(self._ready(), restarts, self._started_at, relay.__version__)
        return metrics.render(await self._readings(), own)

    async def _health(self) -> health.Health:
        return health.judge(self._ready(), await self._readings())

    async def answer(self, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer the CLI."""
        if what == "status":
            return {"ready": self._ready(), "readings": await self._readings(), "version": relay.__version__}
        if what == "reload":
            return await self._reload()
        ready = [child for child in self._children.values() if child.is_ready]
        if not ready:
            raise LinkError("no worker is ready; look at the log of the relay")
        if what == "submit":
            return await ready[0].link.ask(what, **fields)
        if what in ("flush", "hold", "release", "delete", "sites"):
            return await asyncio.gather(*[child.link.ask(what, 600.0, **fields) for child in ready])
        raise LinkError(f"unknown request {what!r}")

    async def _reload_logged(self) -> None:
        systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}")
        try:
            await self._reload()
        except RelayError as error:
            log.error("configuration not taken over; the old one is in force", extra={"why": str(error)})
        systemd.notify("READY=1")

    async def _reload(self) -> list[str]:
        """Read the file again and pass it on; returns the settings that need a restart."""
        text, file = config.read(self.config.path)
        settings = config.parse(text, file)
        need: set[str] = set()
        for child in self._children.values():
            if child.is_ready:
                need.update(await child.link.ask("reload", text=text))
        self._text = text
        self.config = settings
        logs.configure(settings.log.level, settings.log.format)
        log.info("configuration taken over", extra={"needs_restart": ", ".join(sorted(need)) or "nothing"})
        return sorted(need)


async def _all_ended(children: list[Child]) -> None:
    for child in children:
        await child.process.wait()
