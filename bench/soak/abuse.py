"""Those who do worse: slow, rude, broken and hostile clients, none of which may cost anything for long.

Each act has an address of its own in 127.0.1.0/24, so that what the relay holds against it does not hit those
who behave. An act ends by itself within seconds; nothing that is sent is a message that could be promised.
``wrong`` has the answers that should not have been: a promise, or a login.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.crash.source import reply_of

_MOST_S = 20.0
_FLOOD = 60
_ENVELOPE = b"MAIL FROM:<app@crash.example>\r\nRCPT TO:<abuse@receiver.example>\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Abuse:
    """Some of them at a time, one act after the other, until it is closed."""

    def __init__(
        self, ports: tuple[int, int, int], tls: ssl.SSLContext, seed: int, at_once: int, pause_s: float
    ) -> None:
        """``ports``: those of the plain, the STARTTLS and the wrapper listener."""
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._plain, self._starttls, self._wrapper = ports
        self._tls, self._at_once, self._pause_s = tls, at_once, pause_s
        self._chance = random.Random(seed)
        self._running: asyncio.Task[None] | None = None
        self._acts: tuple[Callable[[], Awaitable[None]], ...] = (
            self.slow_loris, self.garbage, self.half_a_command, self.broken_handshake, self.dropped_in_data,
            self.wrong_password, self.too_large, self.too_large_unannounced, self.before_starttls,
            self.bare_line_feeds, self.endless_line, self.many_noops, self.flood, self.silence_in_tls,
        )  # fmt: skip

    async def __aenter__(self) -> Abuse:
        self._running = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._one_after_the_other())

    async def _one_after_the_other(self) -> None:
        while True:
            act = self._chance.choice(self._acts)
            with suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_MOST_S):
                    await act()
            self.done[act.__name__] += 1
            await asyncio.sleep(self._chance.uniform(0.0, 2 * self._pause_s))

    async def _open(self, port: int, tls: ssl.SSLContext | None = None) -> Stream:
        """Connected and greeted."""
        source = (f"127.0.1.{self._chance.randrange(1, 255)}", 0)
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, local_addr=source, ssl=tls, server_hostname=name
        )
        await reply_of(reader)
        return reader, writer

    async def _say(self, stream: Stream, *lines: bytes) -> str:
        """Each of them, and the last answer."""
        reply = ""
        for line in lines:
            stream[1].write(line + b"\r\n")
            reply = await reply_of(stream[0])
        return reply

    def _never(self, act: str, reply: str, *codes: str) -> None:
        if reply[:3] in codes:
            self.wrong.append(f"{act}: {reply}")

    # -- the acts -----------------------------------------------------------------------------------------

    async def slow_loris(self) -> None:
        """A command, a byte now and then, and never all of it."""
        _, writer = await self._open(self._plain)
        for byte in b"EHLO a.very.slow.client":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.3)
        writer.transport.abort()

    async def garbage(self) -> None:
        """Random bytes, in clear or where TLS begins."""
        port = self._chance.choice((self._plain, self._starttls, self._wrapper))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(os.urandom(self._chance.randrange(1, 5000)))
        await asyncio.sleep(0.2)
        writer.close()

    async def half_a_command(self) -> None:
        stream = await self._open(self._starttls)
        await self._say(stream, b"EHLO half.example")
        stream[1].write(b"MAIL FRO")
        stream[1].write_eof()
        await asyncio.sleep(0.1)
        stream[1].close()

    async def broken_handshake(self) -> None:
        """A client's first flight of TLS, cut."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        machine = self._tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with suppress(ssl.SSLWantReadError):
            machine.do_handshake()
        hello = outgoing.read()
        if self._chance.random() < 0.5:
            _, writer = await asyncio.open_connection("127.0.0.1", self._wrapper)
        else:
            stream = await self._open(self._starttls)
            await self._say(stream, b"EHLO cut.example", b"STARTTLS")
            writer = stream[1]
        writer.write(hello[: self._chance.randrange(1, len(hello) + 1)])
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async def dropped_in_data(self) -> None:
        stream = await self._open(self._plain)
        await self._say(stream, b"EHLO drop.example", *_ENVELOPE.splitlines(), b"DATA")
        stream[1].write(b"Subject: cut\r\n\r\n" + b"x" * 70 * self._chance.randrange(1, 9000))
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        stream[1].transport.abort()

    async def wrong_password(self) -> None:
        stream = await self._open(self._wrapper, self._tls)
        await self._say(stream, b"EHLO guess.example")
        for word in (b"AGFkbWluAGFkbWlu", b"!!!", b"AGFkbWluAA=="):
            self._never("wrong_password", await self._say(stream, b"AUTH PLAIN " + word), "235")
        stream[1].transport.abort()

    async def too_large(self) -> None:
        stream = await self._open(self._plain)
        line = b"MAIL FROM:<app@crash.example> SIZE=99999999"
        self._never("too_large", await self._say(stream, b"EHLO large.example", line), "250")
        stream[1].close()

    async def too_large_unannounced(self) -> None:
        stream = await self._open(self._plain)
        await self._say(stream, b"EHLO large.example", *_ENVELOPE.splitlines(), b"DATA")
        stream[1].write(b"Subject: large\r\n\r\n")
        line = b"x" * 70 + b"\r\n"
        for _ in range(12):
            stream[1].write(line * 14_000)
            await stream[1].drain()
        self._never("too_large_unannounced", await self._say(stream, b"."), "250")
        stream[1].close()

    async def before_starttls(self) -> None:
        """Commands in the same packet as STARTTLS: nothing of them may survive it (CVE-2011-0411)."""
        stream = await self._open(self._starttls)
        await self._say(stream, b"EHLO inject.example")
        stream[1].write(b"STARTTLS\r\n" + _ENVELOPE + b"DATA\r\n")
        reply = await reply_of(stream[0])
        self._never("before_starttls", reply, "354")
        await asyncio.sleep(0.1)
        stream[1].transport.abort()

    async def bare_line_feeds(self) -> None:
        """A message within a message, if the end of data were read loosely."""
        stream = await self._open(self._plain)
        await self._say(stream, b"EHLO smuggle.example", *_ENVELOPE.splitlines(), b"DATA")
        inner = b"Subject: outer\r\n\r\nouter\n.\n" + _ENVELOPE + b"DATA\r\nSubject: inner\r\n\r\ninner\r\n"
        self._never("bare_line_feeds", await self._say(stream, inner + b"."), "250")
        stream[1].close()

    async def endless_line(self) -> None:
        stream = await self._open(self._starttls)
        for _ in range(50):
            stream[1].write(b"EHLO " + b"x" * 20_000)
            await stream[1].drain()
        await reply_of(stream[0])
        stream[1].close()

    async def many_noops(self) -> None:
        """A thousand commands in one write, and no reading until then."""
        stream = await self._open(self._plain)
        stream[1].write(b"NOOP\r\n" * 1000 + b"QUIT\r\n")
        await stream[0].read()
        stream[1].close()

    async def flood(self) -> None:
        """Many connections from one address at once."""
        source = (f"127.0.2.{self._chance.randrange(1, 255)}", 0)
        opened = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", self._plain, local_addr=source) for _ in range(_FLOOD)),
            return_exceptions=True,
        )
        await asyncio.sleep(0.3)
        for one in opened:
            if not isinstance(one, BaseException):
                one[1].transport.abort()

    async def silence_in_tls(self) -> None:
        """Secured, and then nothing, until it leaves without a word."""
        _, writer = await self._open(self._wrapper, self._tls)
        await asyncio.sleep(self._chance.uniform(0.5, 5.0))
        writer.transport.abort()
