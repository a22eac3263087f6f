"""Those who send: connections of every kind, in step with a common pace, that record each 250.

As those of ``tests.crash.source`` they never repeat a submission: if the connection dies before the answer,
nothing is claimed. Some keep their connection for up to some hundred messages, some make one for each; plain
where loopback is trusted, else over STARTTLS or TLS from the first byte, with AUTH PLAIN. ``quiet`` makes
all of them pause, ``stop`` end.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from tests.crash.ledger import Ledger
from tests.crash.mail import Mail
from tests.crash.source import SILENCE_S, reply_of

_PAUSE_S = 0.2
_KEPT_FOR = (20, 400)  # messages


@dataclass(frozen=True, slots=True)
class Way:
    """How one client comes in, and as whom."""

    port: int
    tls: str  # "plain", "starttls" or "wrapper"
    is_kept: bool
    sender: str
    login: tuple[str, str] | None


class Pace:
    """The next moment for anybody: ``rate`` a second over all who ask, after a pause no faster."""

    def __init__(self, rate: float) -> None:
        self._step_s = 1 / rate
        self._next = 0.0

    async def turn(self) -> None:
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._step_s
        await asyncio.sleep(at - now)


class Clients:
    """All of them, until ``stop``."""

    def __init__(
        self,
        ways: list[Way],
        pace: Pace,
        make: Callable[[int, str], Mail],
        ledger: Ledger,
        tls: ssl.SSLContext,
        seed: int,
    ) -> None:
        self.accepted = 0
        self.unknown = 0  # submissions whose answer was not seen
        self.silences = 0
        self.sessions: Counter[str] = Counter()
        self.replies: Counter[str] = Counter()  # other than 250 and 354, without what varies
        self.took: list[float] = []  # seconds from the end of the content to the 250
        self.numbers = count(1)
        self._ways, self._pace, self._make, self._ledger, self._tls = ways, pace, make, ledger, tls
        self._chance = random.Random(seed)
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Clients:
        self._running = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def stop(self) -> None:
        """Submit no more; each client ends after its present message."""
        self._stop.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for way in self._ways:
                group.create_task(self._live(way))

    async def _live(self, way: Way) -> None:
        while not self._stop.is_set():
            writer = None
            try:
                async with asyncio.timeout(SILENCE_S):
                    reader, writer = await self._open(way)
                await self._send(reader, writer, way)
            except TimeoutError:
                self.silences += 1
            except (OSError, EOFError):  # ssl.SSLError is an OSError
                await self._rest()
            finally:
                if writer is not None:
                    writer.transport.abort()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE_S):
                await self._stop.wait()

    async def _open(self, way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connected, secured, logged in. EOFError if the relay says no."""
        tls = self._tls if way.tls == "wrapper" else None
        reader, writer = await asyncio.open_connection("localhost", way.port, ssl=tls, limit=2**16)
        try:
            self._want(await reply_of(reader), "220")
            await self._ask(reader, writer, "EHLO client.example")
            if way.tls == "starttls":
                self._want(await self._ask(reader, writer, "STARTTLS"), "220")
                await writer.start_tls(self._tls, server_hostname="localhost")
                await self._ask(reader, writer, "EHLO client.example")
            if way.login is not None:
                word = base64.b64encode("\0".join(("", *way.login)).encode()).decode()
                self._want(await self._ask(reader, writer, f"AUTH PLAIN {word}"), "235")
        except BaseException:
            writer.transport.abort()
            raise
        self.sessions[way.tls] += 1
        return reader, writer

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str) -> str:
        writer.write(line.encode() + b"\r\n")
        return await reply_of(reader)

    def _want(self, reply: str, code: str) -> None:
        if reply[:3] != code:
            self.note(reply)
            raise EOFError(reply)

    def note(self, reply: str) -> None:
        """Count an answer that is not what was hoped for; ids and addresses do not make it another."""
        self.replies[" ".join(word for word in reply.split() if "@" not in word and len(word) < 30)] += 1

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        for _ in range(self._chance.randint(*_KEPT_FOR) if way.is_kept else 1):
            await self._pace.turn()
            if self._stop.is_set():
                break
            mail = self._make(next(self.numbers), way.sender)
            if await self._envelope(reader, writer, mail):
                await self._content(reader, writer, mail)
            else:
                await self._rest()
        async with asyncio.timeout(SILENCE_S):
            await self._ask(reader, writer, "QUIT")

    async def _envelope(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Mail) -> bool:
        async with asyncio.timeout(SILENCE_S):
            writer.write(mail.envelope)
            replies = [await reply_of(reader) for _ in range(len(mail.recipients) + 2)]
            wrong = [reply for reply in replies[:-1] if reply[:3] != "250"]
            if not wrong and replies[-1][:3] == "354":
                return True
            self.note((wrong or replies)[-1])
            if replies[-1][:3] == "354":
                raise EOFError("354 after a refusal: this connection is of no more use")
            await self._ask(reader, writer, "RSET")
        return False

    async def _content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Mail) -> None:
        self.unknown += 1
        async with asyncio.timeout(2 * SILENCE_S):
            writer.write(mail.content)
            await writer.drain()
            began = time.monotonic()
            reply = await reply_of(reader)
        self.unknown -= 1
        if reply[:3] == "250":
            self._ledger.note(mail.recipients)
            self.accepted += 1
            self.took.append(time.monotonic() - began)
        else:
            self.note(reply)
