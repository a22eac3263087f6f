"""A receiver for as many sites as are wanted: one port on all addresses of 127.0.0.0/8, and the DNS for them.

A process of its own on uvloop. ``d17.sites.example`` has the mail exchanger ``mx.d17.sites.example`` with an
address of its own, so each such domain is a site. Every message is taken and counted; a message to an
address that begins with ``otp`` is told at once: ``{"otp": "otp-3@receiver.example", "at": SECONDS}``, in the
clock that all processes of a Linux machine share. The first line printed is ``{"port": ..., "dns": ...}``.

Standard input takes one command a line, answered by one JSON line: ``count`` (messages, open connections, the
most there were at once), ``forget`` (count from 0), ``slow MILLISECONDS`` (before each reply to a dot),
``most N`` (connections at once; above it 421; 0: no bound). It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.sink import END, GO_ON, GREETING, HELLO, OK, say

DOMAIN = "sites.example"
_A, _MX = 1, 15
_NAME = struct.pack(">H", 0xC00C)  # the question's name


@dataclass(slots=True)
class Books:
    """What has come, and how the receiver behaves."""

    received: int = 0
    open: int = 0
    most_open: int = 0
    slow_s: float = 0.0
    most: int = 0
    first_at: float = 0.0
    last_at: float = 0.0


class Session(asyncio.Protocol):
    """One connection."""

    __slots__ = ("books", "buffer", "is_content", "is_counted", "special", "transport")

    def __init__(self, books: Books) -> None:
        self.books = books
        self.buffer = bytearray()
        self.is_content = False
        self.is_counted = False
        self.special = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        books = self.books
        if books.most and books.open >= books.most:
            self.transport.write(b"421 4.7.0 Too many connections\r\n")
            self.transport.close()
            return
        self.is_counted = True
        books.open += 1
        books.most_open = max(books.most_open, books.open)
        self.transport.write(GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        self.books.open -= self.is_counted
        self.is_counted = False

    def data_received(self, chunk: bytes) -> None:
        buffer = self.buffer
        seen = len(buffer)
        buffer += chunk
        replies = []
        while True:
            if self.is_content:
                at = buffer.find(END, max(seen - 4, 0))
                if at < 0:
                    break
                del buffer[: at + 5]
                self.is_content = False
                if self.books.slow_s:
                    asyncio.get_running_loop().call_later(self.books.slow_s, self._take)
                else:
                    self._count()
                    replies.append(OK)
            else:
                at = buffer.find(b"\r\n")
                if at < 0:
                    break
                replies.append(self._command(bytes(buffer[:at])))
                del buffer[: at + 2]
            seen = 0
        self.transport.write(b"".join(replies))

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            if line[8:12] == b"<otp":
                self.special = line[9 : line.index(b">")].decode()
            return OK
        if verb in (b"MAIL", b"RSET", b"NOOP"):
            return OK
        if verb == b"DATA":
            self.is_content = True
            return GO_ON
        if verb == b"QUIT":
            self.transport.write(b"221 2.0.0 Bye\r\n")
            self.transport.close()
            return b""
        return HELLO if verb == b"EHLO" else b"502 5.5.1 Not here\r\n"

    def _take(self) -> None:
        self._count()
        if not self.transport.is_closing():
            self.transport.write(OK)

    def _count(self) -> None:
        books = self.books
        now = books.last_at = time.monotonic()
        if not books.received:
            books.first_at = now
        books.received += 1
        if self.special:
            say({"otp": self.special, "at": now})
            self.special = ""


class Names(asyncio.DatagramProtocol):
    """MX and A for the domains d0, d1, ... below ``DOMAIN``; nothing else exists."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, wire: bytes, address: tuple[str, int]) -> None:
        labels, at = [], 12
        while wire[at]:
            labels.append(wire[at + 1 : at + 1 + wire[at]].decode().lower())
            at += 1 + wire[at]
        (kind,) = struct.unpack_from(">H", wire, at + 1)
        rows = answers(labels, kind)
        status = 0x8180 | (0 if rows is not None else 3)
        head = wire[:2] + struct.pack(">HHHHH", status, 1, len(rows or ()), 0, 0)
        records = b"".join(_NAME + struct.pack(">HHIH", kind, 1, 300, len(row)) + row for row in rows or ())
        self.transport.sendto(head + wire[12 : at + 5] + records, address)


def answers(labels: list[str], kind: int) -> list[bytes] | None:
    """The data of the records of a name; None if there is no such name."""
    first, _, rest = ".".join(labels).partition(".")
    if first == "mx":
        number, _, rest = rest.partition(".")
    else:
        number = first
    if rest != DOMAIN or number[:1] != "d" or not number[1:].isdigit():
        return None
    n = int(number[1:])
    if kind == _A and first == "mx":
        return [bytes([127, 16 + (n >> 16), n >> 8 & 255, n & 255])]
    if kind == _MX and first != "mx":
        return [struct.pack(">H", 10) + b"\x02mx" + _NAME]
    return []


async def serve() -> None:
    """Serve until standard input ends."""
    books, loop = Books(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(books), "0.0.0.0", 0, backlog=4096)
    names, _ = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    dns = names.get_extra_info("sockname")[1]
    say({"port": server.sockets[0].getsockname()[1], "dns": dns})
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        match line.decode().split():
            case ["forget"]:
                books.received, books.most_open = 0, books.open
            case ["slow", milliseconds]:
                books.slow_s = float(milliseconds) / 1000
            case ["most", number]:
                books.most = int(number)
        fields = ("received", "open", "most_open", "first_at", "last_at")
        say({name: getattr(books, name) for name in fields})
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
