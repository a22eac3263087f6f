"""The sink: a receiver's mail server that takes everything and remembers when. The same for both sides.

A process of its own on uvloop; one ``asyncio.Protocol`` per connection, about 10 microseconds of CPU for a
4 KB message. It offers PIPELINING, 8BITMIME, SMTPUTF8 and SIZE. Standard input takes one command a line and
standard output gives one JSON line each:

``expect RUN COUNT``  forget what was, count messages of run RUN; ``{"run": RUN}``
``report FILE``       the counts so far; FILE gets COUNT doubles, when each number arrived (0: not yet)
``sample FILE``       the next message is written to FILE; ``{"sample": FILE}`` once it is armed

Once COUNT different messages have arrived it prints ``{"done": RUN}`` of its own accord. It ends when its
standard input does. It does not check that the dialogue is correct, and keeps nothing else on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from array import array
from pathlib import Path
from typing import cast

import uvloop

from bench.content import read_marker

GREETING = b"220 sink.bench.example ESMTP\r\n"
HELLO = b"250-sink.bench.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 104857600\r\n"
OK = b"250 2.0.0 Ok\r\n"
GO_ON = b"354 Go on\r\n"
END = b"\r\n.\r\n"


class Ledger:
    """What has arrived in the current run. ``arrived_at`` is indexed by the message's number."""

    def __init__(self) -> None:
        self.sample: Path | None = None
        self.connections = 0
        self.expect(-1, 0)

    def expect(self, run: int, count: int) -> None:
        """Begin run ``run`` of ``count`` messages; what arrives late from other runs counts as foreign."""
        self.run = run
        self.count = count
        self.arrived_at = array("d", bytes(8 * count))
        self.received = self.duplicates = self.foreign = self.bytes = 0
        self.first_at = self.last_at = 0.0
        self.cpu_s = own_cpu_s()

    def take(self, received: bytearray, size_bytes: int) -> None:
        """Count the message in the first ``size_bytes`` of ``received``."""
        now = time.monotonic()
        marker = read_marker(received)
        if self.sample is not None:
            self.sample.write_bytes(received[:size_bytes])
            self.sample = None
        if marker is None or marker[0] != self.run or marker[1] >= self.count:
            self.foreign += 1
            return
        number = marker[1]
        self.bytes += size_bytes
        if self.arrived_at[number]:
            self.duplicates += 1
            return
        self.arrived_at[number] = self.last_at = now
        if not self.received:
            self.first_at = now
        self.received += 1
        if self.received == self.count:
            say({"done": self.run})

    def report(self) -> dict[str, object]:
        """The figures of the current run."""
        return {
            "run": self.run,
            "received": self.received,
            "duplicates": self.duplicates,
            "foreign": self.foreign,
            "bytes": self.bytes,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "connections": self.connections,
            "cpu_s": own_cpu_s() - self.cpu_s,
        }


class Session(asyncio.Protocol):
    """One connection."""

    __slots__ = ("buffer", "is_content", "ledger", "transport")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.buffer = bytearray()
        self.is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.ledger.connections += 1
        self.transport.write(GREETING)

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
                self.ledger.take(buffer, at + 2)
                del buffer[: at + 5]
                self.is_content = False
                replies.append(OK)
            else:
                at = buffer.find(b"\r\n")
                if at < 0:
                    break
                verb = bytes(buffer[:4]).upper()
                del buffer[: at + 2]
                if verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP"):
                    replies.append(OK)
                elif verb == b"DATA":
                    replies.append(GO_ON)
                    self.is_content = True
                elif verb == b"EHLO":
                    replies.append(HELLO)
                elif verb == b"QUIT":
                    self.transport.write(b"".join(replies) + b"221 2.0.0 Bye\r\n")
                    self.transport.close()
                    return
                else:
                    replies.append(b"250 Hello\r\n" if verb == b"HELO" else b"502 5.5.1 Not here\r\n")
            seen = 0
        if replies:
            self.transport.write(b"".join(replies))

    def connection_lost(self, exc: Exception | None) -> None:
        self.buffer.clear()


def say(words: dict[str, object]) -> None:
    """One JSON line on standard output."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def own_cpu_s() -> float:
    """CPU seconds of this process so far."""
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


async def serve(port: int) -> None:
    """Serve until standard input ends; the first line printed is ``{"port": PORT}``."""
    ledger = Ledger()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(ledger), "127.0.0.1", port, backlog=512)
    say({"port": server.sockets[0].getsockname()[1]})
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        match line.decode().split():
            case ["expect", run, count]:
                ledger.expect(int(run), int(count))
                say({"run": ledger.run})
            case ["report", path]:
                Path(path).write_bytes(ledger.arrived_at.tobytes())
                say(ledger.report())
            case ["sample", path]:
                ledger.sample = Path(path)
                say({"sample": path})
            case words:
                say({"error": f"no such command: {words}"})
    server.close()


def main() -> None:
    """``python -m bench.sink --port 0``"""
    options = argparse.ArgumentParser(description="A mail server that counts and throws away.")
    options.add_argument("--port", type=int, default=0)
    uvloop.run(serve(options.parse_args().port))


if __name__ == "__main__":
    main()
