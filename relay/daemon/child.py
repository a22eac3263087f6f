"""One worker as the supervisor sees it: a process, a link, and when to start it again.

Decision part: ``Restarts`` says how long to wait before the next start: at once after a long life, doubling
from 0.1 to 10 seconds while the worker dies young.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from relay.daemon.link import LIMIT_BYTES, Answer, Link
from relay.daemon.worker import Orders

log = logging.getLogger(__name__)

_LONG_LIFE_S = 60.0


@dataclass(slots=True)
class Restarts:
    """How often a worker had to be started anew."""

    count: int = 0
    young_deaths: int = 0

    def delay_s(self, lived_s: float) -> float:
        """Seconds to wait before the next start of a worker that lived so long."""
        self.count += 1
        self.young_deaths = 0 if lived_s >= _LONG_LIFE_S else self.young_deaths + 1
        return min(0.1 * 2.0 ** (self.young_deaths - 1), 10.0) if self.young_deaths else 0.0


class Child:
    """A running worker process."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, link: Link) -> None:
        self.number = number
        self.process = process
        self.link = link
        self.is_ready = False

    @classmethod
    async def start(
        cls,
        number: int,
        count: int,
        sockets: list[list[socket.socket]],
        board: int,
        text: str,
        path: str,
        orphans: list[int],
        answer: Answer,
    ) -> Child:
        """Start worker ``number``. ``sockets``: per listener, those of this worker. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        config = os.memfd_create("relay-config", 0)
        os.write(config, text.encode())
        fds = [[one.fileno() for one in bound] for bound in sockets]
        orders = Orders(number, count, fds, theirs.fileno(), board, config, path, orphans)
        inherited = [fd for bound in fds for fd in bound] + [theirs.fileno(), board, config]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "relay",
                "worker",
                pass_fds=inherited,
                env={**os.environ, "RELAY_WORKER": orders.to_environment()},
                start_new_session=True,  # a Ctrl-C reaches the supervisor alone, which then drains
            )
        finally:
            theirs.close()
            os.close(config)
        reader, writer = await asyncio.open_connection(sock=ours, limit=LIMIT_BYTES)
        return cls(number, process, Link(reader, writer, answer))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if the process is still there."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def readings(self) -> dict[str, Any] | None:
        """What the worker counts; None if it does not answer in time."""
        try:
            answer = await self.link.ask("readings", 5.0)
        except Exception:
            return None
        return dict(answer)
