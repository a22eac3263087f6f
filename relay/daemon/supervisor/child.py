"""One worker, or the notifier, as the supervisor sees it: a process, a link, and when to start it again.

Decisions: ``Restarts`` says how long to wait before the next start (at once after a long life, doubling from
0.1 to 10 seconds while the worker dies young); ``hang_signal`` what to send to one whose loop is silent.
Until it is heard of for the first time, a worker has ``FIRST_BEAT_S``: it loads its modules then.

A worker inherits its sockets, its end of the link, the board and a memfd with the configuration; nothing else
of the supervisor, and nothing of systemd's. It is in a session of its own, so that a Ctrl-C reaches the
supervisor alone, which then drains.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import Any

from relay.daemon.link import LIMIT_BYTES, Answer, Link
from relay.daemon.orders import Orders

_LONG_LIFE_S = 60.0
GRACE_S = 5.0  # SIGABRT writes where it hung; a process that is stopped does not even hear it
FIRST_BEAT_S = 60.0
# Each thread that allocates while another does would get a heap of its own, which never shrinks: a worker
# with fifteen threads grew by 100 MB in minutes under mixed sizes, with two heaps by half of that. They
# seldom meet, since Python runs one thread at a time.
_HEAPS = {"MALLOC_ARENA_MAX": "2"}
_NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@dataclass(slots=True)
class Restarts:
    """How often a worker had to be started anew."""

    count: int = 0
    young_deaths: int = 0

    def delay_s(self, lived_s: float) -> float:
        """Seconds to wait before the next start of a worker that lived so long."""
        self.count += 1
        self.young_deaths = 0 if lived_s >= _LONG_LIFE_S else self.young_deaths + 1
        return min(0.1 * 2.0 ** min(self.young_deaths - 1, 10), 10.0) if self.young_deaths else 0.0


def hang_signal(silent_s: float, limit_s: float, was_aborted: bool) -> int | None:
    """What to send to a worker that has been silent for so long: SIGABRT, then SIGKILL, or nothing."""
    if silent_s <= limit_s:
        return None
    if not was_aborted:
        return signal.SIGABRT
    return signal.SIGKILL if silent_s > limit_s + GRACE_S else None


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a worker is started with. ``texts``: the configuration at the start of the relay, and now."""

    number: int
    count: int
    sockets: list[list[socket.socket]]  # per listener, those of this worker
    board: int
    texts: tuple[str, str]
    path: str
    orphans: list[int] = field(default_factory=list)
    role: str = "worker"  # the subcommand that it runs: "worker" or "notifier"


class Child:
    """A running worker process."""

    def __init__(self, outfit: Outfit, process: asyncio.subprocess.Process, link: Link) -> None:
        self.number = outfit.number
        self.text = outfit.texts[1]
        self.process = process
        self.link = link
        self.started_at = 0.0  # by the monotonic clock
        self.is_ready = False
        self.is_aborted = False
        self.published: dict[str, Any] = {}  # the readings that it sent last
        self.published_at = 0.0  # monotonic

    @classmethod
    async def start(cls, outfit: Outfit, answer: Answer) -> Child:
        """Start a worker. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        config = os.memfd_create("relay-config")
        try:
            _write(config, json.dumps(outfit.texts).encode())
            process = await _spawn(outfit, theirs.fileno(), config)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(config)
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=LIMIT_BYTES)
        except BaseException:
            process.kill()
            ours.close()
            raise
        return cls(outfit, process, Link(reader, writer, answer))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if the process is still there."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    def publish(self, readings: dict[str, Any], now: float) -> None:
        """It has sent its readings; ``now`` is monotonic."""
        self.published, self.published_at = readings, now

    async def readings(self) -> dict[str, Any] | None:
        """What the worker counts; None if it does not answer in time."""
        try:
            answer = await self.link.ask("readings", 5.0)
        except Exception:
            return None
        return dict(answer)


def _write(memory: int, content: bytes) -> None:
    with open(memory, "wb", closefd=False) as stream:
        stream.write(content)


async def _spawn(outfit: Outfit, link: int, config: int) -> asyncio.subprocess.Process:
    fds = [[one.fileno() for one in bound] for bound in outfit.sockets]
    orders = Orders(outfit.number, outfit.count, fds, link, outfit.board, config, outfit.path, outfit.orphans)
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    # Where the supervisor does not import from the working folder, its workers must not either.
    safe_path = [] if {"", os.getcwd()} & set(sys.path) else ["-P"]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *safe_path,
        "-m",
        "relay",
        outfit.role,
        pass_fds=[fd for bound in fds for fd in bound] + [link, outfit.board, config],
        env={**_HEAPS, **environment, "RELAY_WORKER": orders.to_environment()},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
