"""Clients that never give up and never repeat themselves: persistent, pipelined connections that record
each 250.

A submission has a number of its own and is made once. If its connection dies before the answer, no one knows
what became of it, and nothing is claimed: it may arrive or not. A 4xx is counted, and the client goes on
with the next submission a little later. The content of one message and the envelope of the next go in one
write (RFC 2920), so that a kill finds the server in the middle of both.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import count

from tests.crash.ledger import Ledger
from tests.crash.mail import Mail, make_mixed

PAUSE_S = 0.05
SILENCE_S = 30.0  # an answer later than this is a connection that hangs


class Source:
    """Some connections to one port, until ``stop``."""

    def __init__(
        self, port: int, ledger: Ledger, connections: int = 8, make: Callable[[int], Mail] = make_mixed
    ) -> None:
        self.port = port
        self.ledger = ledger
        self.connections = connections
        self.accepted = 0
        self.unknown = 0  # submissions whose answer was not seen
        self.replies: Counter[str] = Counter()  # first lines of answers other than 250 and 354
        self.silences = 0
        self.numbers = count(1)
        self._make = make
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Source:
        self._running = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Submit no more; each connection ends after its present message."""
        self._stop.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.connections):
                group.create_task(self._keep_connected())

    async def _keep_connected(self) -> None:
        while not self._stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await self._pause()
                continue
            try:
                await self._converse(reader, writer)
            except TimeoutError:
                self.silences += 1
            except (OSError, EOFError):
                pass
            finally:
                writer.transport.abort()
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_S):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reply_of(reader))[:3] != "220":
            return
        writer.write(b"EHLO source.crash.example\r\n")
        await reply_of(reader)
        following: Mail | None = None
        while True:
            mail = following
            if mail is None:
                if self._stop.is_set():
                    break
                mail = self._make(next(self.numbers))
                writer.write(mail.envelope)
            following = None
            if not await self._envelope_taken(reader, writer, mail):
                continue
            following = None if self._stop.is_set() else self._make(next(self.numbers))
            writer.write(mail.content + (following.envelope if following else b""))
            self.unknown += 1
            reply = await reply_of(reader)
            self.unknown -= 1
            if reply[:3] == "250":
                self.ledger.note(mail.recipients)
                self.accepted += 1
            else:
                self.replies[reply] += 1
                await self._pause()
        writer.write(b"QUIT\r\n")
        await reply_of(reader)

    async def _envelope_taken(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Mail
    ) -> bool:
        replies = [await reply_of(reader) for _ in range(len(mail.recipients) + 2)]
        wrong = [reply for reply in replies[:-1] if reply[:3] != "250"]
        if not wrong and replies[-1][:3] == "354":
            return True
        self.replies[(wrong or replies)[-1]] += 1
        if replies[-1][:3] == "354":
            raise EOFError("354 after a refusal: this connection is of no more use")
        writer.write(b"RSET\r\n")
        await reply_of(reader)
        await self._pause()
        return False


async def reply_of(reader: asyncio.StreamReader) -> str:
    """The last line of the next reply. EOFError if the connection ends first."""
    async with asyncio.timeout(SILENCE_S):
        while True:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            if line[3:4] != b"-":
                return line.decode().rstrip()
