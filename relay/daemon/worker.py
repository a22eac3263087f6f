"""A worker: a complete relay in one process, under the supervisor's eye.

It is told what it needs through the environment (``RELAY_WORKER``, JSON: number, count, descriptors), builds
its works, says ``ready`` over the link, and then touches the board once a second from its event loop, so that
a loop that hangs is seen. SIGTERM, ``stop`` over the link, and the end of the link all mean the same: drain
and end. Exit status 0 after a drain, 78 for a configuration that cannot be used, 1 for anything else.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import resource
import signal
import socket
import sqlite3
import sys
from base64 import b64decode
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from relay.base.address import check_address, domain_of
from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, DirectoryError, Refused, SpoolError
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.base.tasks import Tasks
from relay.daemon import config, logs
from relay.daemon.board import Board, SharedTally
from relay.daemon.link import LIMIT_BYTES, Link, LinkError
from relay.daemon.wiring import Works
from relay.ingress.connections import neighbourhood
from relay.spool import operate

log = logging.getLogger(__name__)

EX_CONFIG = 78
# The commit thread and the loop hand the interpreter lock to each other several times a commit; at CPython's
# default of 5 ms a busy loop would add that to each. Measured with bench.spool: 0.5 ms costs nothing else.
_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True, slots=True)
class Orders:
    """What the supervisor tells a worker. Descriptors are inherited."""

    number: int
    count: int
    sockets: list[list[int]]  # per listener
    link: int
    board: int
    config: int
    path: str
    orphans: list[int]

    def to_environment(self) -> str:
        """For RELAY_WORKER."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_environment(cls) -> Orders:
        """From RELAY_WORKER."""
        return cls(**json.loads(os.environ["RELAY_WORKER"]))


class Worker:
    """The process of one worker."""

    def __init__(self, orders: Orders, settings: config.Config) -> None:
        self.orders = orders
        self.clock = SystemClock()
        self.lines = logs.Lines(self.clock, settings.log.level, settings.log.format, orders.number)
        self.works = Works(settings, orders.number, self.clock, self.lines)
        self._stop = asyncio.Event()
        self._tasks = Tasks("worker", self._task_failed)
        self.exit_status = 0

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
        async with AsyncExitStack() as stack:
            await self._tasks.start(stack)
            self._tasks.spawn(self._serve(link), "link")
            self._tasks.spawn(self._beat(board), "heartbeat")
            stack.callback(self.lines.flush)
            sockets = [[socket.socket(fileno=fd) for fd in fds] for fds in self.orders.sockets]
            limits = self.works.config.limits
            tally = SharedTally(
                board, self.orders.number, limits.connections, limits.connections_per_address, neighbourhood
            )
            try:
                await self.works.start(stack, sockets, tally, self.orders.orphans)
            except (ConfigError, DirectoryError, SpoolError) as error:
                log.error("worker cannot start", extra={"why": str(error)})
                return EX_CONFIG
            self.tally = tally
            await link.ask("ready", shards=sorted(self.works.shards))
            log.info("worker ready", extra=self._found())
            await self._stop.wait()
            log.info("worker drains")
        return self.exit_status

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

    async def _beat(self, board: Board) -> None:
        while True:
            board.beat(self.orders.number, self.clock.monotonic())
            await asyncio.sleep(1.0)

    async def answer(self, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer the supervisor."""
        if what == "readings":
            usage = resource.getrusage(resource.RUSAGE_SELF)
            return {
                **self.works.readings(),
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "resident_bytes": _resident_bytes(),
                "peak_resident_bytes": usage.ru_maxrss * 1024,
            }
        if what == "stop":
            self._stop.set()
            return None
        if what == "reload":
            return self._reload(fields["text"])
        if what == "submit":
            return await self._submit(fields)
        if what in ("flush", "hold", "release", "delete"):
            return await self._operate(what, fields)
        if what == "sites":
            return self.works.scheduler.sites()
        raise LinkError(f"unknown request {what!r}")

    def _reload(self, text: str) -> list[str]:
        settings = config.parse(text, Path(self.orders.path))
        logs.configure(settings.log.level, settings.log.format, self.orders.number)
        self.lines.set_form(settings.log.level, settings.log.format)
        limits = settings.limits
        self.tally.limit, self.tally.limit_per_address = limits.connections, limits.connections_per_address
        return self.works.reload(settings)

    async def _submit(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A message from ``relay send``: the same acceptance function as every other way in."""
        account = self.works.live.current.account_named(fields["account"])
        if account is None:
            return {"code": 554, "text": f"no such account: {fields['account']}"}
        try:
            for address in (*filter(None, [fields["sender"]]), *fields["recipients"]):
                check_address(address)  # what stands here goes into a command line of the next server
            recipients = [Recipient(n, a, domain_of(a)) for n, a in enumerate(fields["recipients"])]
        except ValueError as error:
            return {"code": 553, "text": str(error)}
        envelope = Envelope(sender=fields["sender"], recipients=recipients, is_8bit=True)
        envelope.is_utf8 = not (fields["sender"] + "".join(fields["recipients"])).isascii()
        submission = Submission(account.id, envelope, b64decode(fields["content"]), Client(protocol="local"))
        try:
            return {"code": 250, "id": await self.works.intakes[self.orders.number + 1].accept(submission)}
        except Refused as refused:
            return {"code": refused.reply.code, "text": refused.reply.text}
        except SpoolError as error:
            return {"code": 451, "text": str(error)}

    async def _operate(self, what: str, fields: dict[str, Any]) -> int:
        """An operator's request on the queue, on every shard of this worker; how many it concerned: messages
        for ``delete``, else recipients."""
        chosen = operate.Chosen(**fields)
        done = 0
        for number, shard in self.works.shards.items():
            keys, count, files = await shard.control(partial(_change_queue, what, self.clock.now(), chosen))
            if keys:
                self.works.scheduler.forget(number, keys)
            shard.remove_files(files)
            done += count
        if what in ("flush", "release"):
            self.works.scheduler.flush()
        return done


def _change_queue(
    what: str, now: float, chosen: operate.Chosen, connection: sqlite3.Connection
) -> tuple[set[int], int, list[str]]:
    """In the commit thread: the keys to forget, how many it concerned, and the files that are left over."""
    if what == "delete":
        keys = operate.keys(connection, chosen)
        gone = operate.delete(connection, chosen)
        return keys, len(gone), [message_id for _, message_id, has_file in gone if has_file]
    if what == "hold":
        return operate.keys(connection, chosen), operate.hold(connection, now, chosen), []
    if what == "flush":
        return set(), operate.flush(connection, now, chosen), []
    return set(), operate.release(connection, now, chosen), []


def _resident_bytes() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """The process: read the orders, run."""
    faulthandler.enable()
    orders = Orders.from_environment()
    with os.fdopen(orders.config, "rb", closefd=True) as stream:
        text = os.pread(stream.fileno(), os.fstat(stream.fileno()).st_size, 0).decode()
    settings = config.parse(text, Path(orders.path))
    logs.configure(settings.log.level, settings.log.format, orders.number)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        return uvloop.run(_run(orders, settings))
    except Exception:
        log.exception("worker failed")
        return 1


async def _run(orders: Orders, settings: config.Config) -> int:
    return await Worker(orders, settings).run()
