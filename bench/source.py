"""The source: applications that hand in mail as fast as they are let, or at a fixed rate.

A process of its own on uvloop with N persistent connections; one ``asyncio.Protocol`` per connection, about
15 microseconds of CPU per message. MAIL, RCPT and DATA go in one write (RFC 2920), the content after the
354, as a real MTA does. With ``--tls`` and ``--auth`` each session begins with STARTTLS and AUTH PLAIN.

*As fast as possible*: each connection sends its next message once the last one is answered.
*At a fixed rate* (``--rate``): messages fall due by the clock, whether or not the server keeps up; one that
finds all connections busy waits, and ``lag`` says how long. Latency is from the write of MAIL to the 250
after the dot.

A 4xx is counted as ``pushback`` and the message tried again 50 ms later; a 5xx or a lost connection ends
the run with an error. The last line printed is JSON. ``--times FILE`` gets two arrays of doubles, when MAIL
was written and when the 250 came, by message number. It checks nothing about delivery.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import ssl
import time
from array import array
from collections import deque
from pathlib import Path
from typing import cast

import uvloop

from bench.content import RECEIVER, SENDER, Template, make_template
from bench.figures import percentiles
from bench.sink import own_cpu_s

RETRY_S = 0.05
TICK_S = 0.001


class Run:
    """The messages of one run, and when each was sent and accepted."""

    def __init__(self, run: int, count: int, template: Template, rate: float) -> None:
        self.run = run
        self.count = count
        self.template = template
        self.rate = rate
        self.next = 0
        self.accepted = self.pushback = 0
        self.sent_at = array("d", bytes(8 * count))
        self.accepted_at = array("d", bytes(8 * count))
        self.lag = array("d")
        self.idle: deque[Session] = deque()
        self.started_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, sessions: list[Session]) -> None:
        """Let the sessions send."""
        self.started_at = time.monotonic()
        if self.rate:
            self.idle.extend(sessions)
            self._tick()
        else:
            for session in sessions:
                self.free(session)

    def free(self, session: Session) -> None:
        """``session`` can send again."""
        if self.rate:
            self.idle.append(session)
        elif self.next < self.count:
            self.next += 1
            session.send(self.next - 1)

    def _tick(self) -> None:
        now = time.monotonic()
        due = min(int((now - self.started_at) * self.rate) + 1, self.count)
        while self.next < due and self.idle:
            self.lag.append(max(now - self.started_at - self.next / self.rate, 0.0))
            self.next += 1
            self.idle.popleft().send(self.next - 1)
        if self.next < self.count and not self.done.done():
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def accept(self, number: int) -> None:
        """Message ``number`` has its 250."""
        self.accepted_at[number] = time.monotonic()
        self.accepted += 1
        if self.accepted == self.count and not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        """The run cannot go on."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


class Session(asyncio.Protocol):
    """One connection. ``phase`` says which reply is awaited."""

    SETUP, ENVELOPE, CONTENT, IDLE = range(4)

    def __init__(self) -> None:
        self.run: Run | None = None
        self.phase = self.SETUP
        self.buffer = b""
        self.number = 0
        self.stamp_ns = 0
        self.reply: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def send(self, number: int) -> None:
        """Begin message ``number``."""
        run = self.run
        assert run is not None
        self.number = number
        self.phase = self.ENVELOPE
        now = time.monotonic()
        self.stamp_ns = int(now * 1e9)
        if not run.sent_at[number]:
            run.sent_at[number] = now
        self.transport.write(_ENVELOPE % number)

    def data_received(self, chunk: bytes) -> None:
        if self.buffer:
            chunk = self.buffer + chunk
            self.buffer = b""
        run = self.run
        phase = self.phase
        if phase == self.ENVELOPE:
            assert run is not None
            if chunk.count(b"\n") < 3 or chunk[-1] != 10:
                self.buffer = chunk
            elif chunk.startswith(b"354", chunk.rfind(b"\n", 0, -1) + 1) and chunk.count(b"\n250 ") == 1:
                self.phase = self.CONTENT
                self.transport.write(run.template.fill(run.run, self.number, self.stamp_ns))
            else:
                self._refused(run, chunk)
        elif phase == self.CONTENT:
            assert run is not None
            if chunk[-1] != 10:
                self.buffer = chunk
            elif chunk.startswith(b"250"):
                self.phase = self.IDLE
                run.accept(self.number)
                run.free(self)
            else:
                self._refused(run, chunk)
        elif phase == self.SETUP:
            last = chunk.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
            if chunk[-1] != 10 or last[3:4] == b"-" or self.reply is None:
                self.buffer = chunk
            else:
                self.reply.set_result(chunk)
        elif run is not None:
            run.fail(f"not asked for: {chunk!r}")

    def _refused(self, run: Run, replies: bytes) -> None:
        self.phase = self.IDLE
        lines = replies.splitlines()
        if any(line.startswith(b"421") for line in lines) or not any(line[:1] == b"4" for line in lines):
            run.fail(f"message {self.number}: {replies!r}")
            return
        run.pushback += 1
        asyncio.get_running_loop().call_later(RETRY_S, self.send, self.number)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.run is not None:
            self.run.fail(f"connection lost in message {self.number}: {exc}")
        elif self.reply is not None and not self.reply.done():
            self.reply.set_exception(RuntimeError(f"connection lost before EHLO was done: {exc}"))

    async def ask(self, command: bytes, expected: bytes) -> bytes:
        """Send one command of the opening and await its reply. RuntimeError if it is another."""
        self.reply = asyncio.get_running_loop().create_future()
        if command:
            self.transport.write(command + b"\r\n")
        elif self.buffer:
            self.data_received(b"")
        reply = await self.reply
        self.reply = None
        if not reply.startswith(expected):
            raise RuntimeError(f"{command!r} got {reply!r}")
        return reply


_ENVELOPE = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<user%d@{RECEIVER}>\r\nDATA\r\n".encode()


async def connect(host: str, port: int, is_tls: bool, login: str) -> Session:
    """A session that is ready for MAIL."""
    loop = asyncio.get_running_loop()
    session = Session()
    await loop.create_connection(lambda: session, host, port)
    await session.ask(b"", b"220")
    await session.ask(b"EHLO source.bench.example", b"250")
    if is_tls:
        await session.ask(b"STARTTLS", b"220")
        trust_anyone = ssl.create_default_context()
        trust_anyone.check_hostname = False
        trust_anyone.verify_mode = ssl.CERT_NONE
        transport = await loop.start_tls(session.transport, session, trust_anyone)
        assert transport is not None
        session.transport = transport
        await session.ask(b"EHLO source.bench.example", b"250")
    if login:
        user, _, password = login.partition(":")
        token = base64.b64encode(f"\0{user}\0{password}".encode())
        await session.ask(b"AUTH PLAIN " + token, b"235")
    return session


async def submit(given: argparse.Namespace) -> dict[str, object]:
    """Run the load and return the figures."""
    sessions = []
    try:
        for _ in range(given.connections):
            sessions.append(await connect(given.host, given.port, given.tls, given.auth))
    except (OSError, RuntimeError) as failure:
        return {"error": f"connection {len(sessions) + 1}: {failure}"}
    run = Run(given.run, given.messages, make_template(given.size), given.rate)
    for session in sessions:
        session.run = run
    cpu_s = own_cpu_s()
    run.begin(sessions)
    try:
        await asyncio.wait_for(run.done, given.patience)
    except (RuntimeError, TimeoutError) as failure:
        return {
            "error": f"{failure or 'no end in sight'}",
            "accepted": run.accepted,
            "pushback": run.pushback,
        }
    finally:
        for session in sessions:
            session.run = None
            session.transport.abort() if not run.done.done() else session.transport.write(b"QUIT\r\n")
    if given.times is not None:
        given.times.write_bytes(run.sent_at.tobytes() + run.accepted_at.tobytes())
    seconds = max(run.accepted_at) - run.started_at
    latency = [after - before for before, after in zip(run.sent_at, run.accepted_at, strict=True)]
    return {
        "accepted": run.accepted,
        "pushback": run.pushback,
        "seconds": seconds,
        "accepted_per_s": run.accepted / seconds,
        "accept_s": percentiles(latency),
        "lag_s": percentiles(run.lag),
        "cpu_s": own_cpu_s() - cpu_s,
    }


def main() -> None:
    """``python -m bench.source --port 2525 --messages 1000``"""
    options = argparse.ArgumentParser(description="Hand in mail over SMTP and measure how it is taken.")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--connections", type=int, default=40)
    options.add_argument("--messages", type=int, default=1000)
    options.add_argument("--size", type=int, default=4096, help="bytes of content")
    options.add_argument("--rate", type=float, default=0.0, help="messages per second; 0: full speed")
    options.add_argument("--run", type=int, default=0, help="number of this run, part of every marker")
    options.add_argument("--times", type=Path, help="file for the times of each message")
    options.add_argument("--tls", action="store_true", help="STARTTLS first")
    options.add_argument("--auth", default="", metavar="USER:PASSWORD", help="AUTH PLAIN first")
    options.add_argument("--patience", type=float, default=300.0, help="seconds until the run is given up")
    print(json.dumps(uvloop.run(submit(options.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
