"""A receiver that records what it takes before it says so, and that misbehaves as often as it is told.

A process of its own. It records the recipients of a message in a ledger with one write, then answers the dot;
so what the ledger lacks was not delivered. In *wild* mood a few messages in a hundred meet something else:

slow      recorded, answered after 20 to 400 ms
lost      recorded, and the connection dropped without an answer
dropped   not recorded, and the connection dropped after the dot
cut       the connection dropped in the middle of the content
later     451 to the dot
busy      450 to one recipient

Standard input takes ``calm`` or ``wild``; it ends when its standard input does. Its first line of output is
``{"port": PORT}``. A message that is not whole is recorded in ``LEDGER.faults`` as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, cast

import uvloop

from bench.content import RECEIVER, read_marker
from tests.crash import mail
from tests.crash.ledger import Ledger

OK = b"250 2.0.0 Ok\r\n"
HELLO = b"250-sink.crash.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 104857600\r\n"
END = b"\r\n.\r\n"
_WILD = {"slow": 0.02, "lost": 0.004, "dropped": 0.004, "cut": 0.002, "later": 0.01}
_BUSY = 0.01

FaultOf: TypeAlias = Callable[[list[str], bytes], str]


class Sink:
    """What all connections share."""

    def __init__(self, record: Path, seed: int, fault_of: FaultOf) -> None:
        self.ledger = Ledger(record)
        self.fault_of = fault_of
        self.faults = record.with_suffix(".faults")
        self.chance = random.Random(seed)
        self.is_wild = False

    def mood(self) -> str:
        """What the next message meets."""
        if self.is_wild:
            dice = self.chance.random()
            for name, share in _WILD.items():
                dice -= share
                if dice < 0:
                    return name
        return "take"

    def take(self, recipients: list[str], received: bytes) -> None:
        """Record a message."""
        if fault := self.fault_of(recipients, received):
            with self.faults.open("a") as stream:
                stream.write(f"{' '.join(recipients)}: {fault}\n")
        self.ledger.note(recipients)


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.buffer = bytearray()
        self.recipients: list[str] = []
        self.mood = "take"
        self.is_content = False
        self.is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.transport.write(b"220 sink.crash.example ESMTP\r\n")

    def data_received(self, chunk: bytes) -> None:
        self.buffer += chunk
        self.work()

    def work(self) -> None:
        """Answer what is in the buffer, as far as it goes."""
        buffer = self.buffer
        while not self.is_held and not self.transport.is_closing():
            at = buffer.find(END if self.is_content else b"\r\n")
            if self.is_content:
                if self.mood == "cut" and len(buffer) > 200:
                    self.transport.abort()
                elif at < 0:
                    return
                else:
                    received = bytes(buffer[: at + 2])
                    del buffer[: at + 5]
                    self.is_content = False
                    self.dot(received)
            elif at < 0:
                return
            else:
                line = bytes(buffer[:at])
                del buffer[: at + 2]
                self.command(line)

    def command(self, line: bytes) -> None:
        """Answer one command."""
        verb = line[:4].upper()
        reply = OK
        if verb == b"MAIL":
            self.recipients = []
        elif verb == b"RCPT":
            if self.sink.is_wild and self.sink.chance.random() < _BUSY:
                reply = b"450 4.2.1 Busy\r\n"
            else:
                self.recipients.append(line[line.index(b"<") + 1 : line.index(b">")].decode())
        elif verb == b"DATA":
            self.is_content = bool(self.recipients)
            self.mood = self.sink.mood()
            reply = b"354 Go on\r\n" if self.is_content else b"554 5.5.1 No recipients\r\n"
        elif verb == b"EHLO":
            reply = HELLO
        elif verb == b"QUIT":
            self.transport.write(b"221 2.0.0 Bye\r\n")
            self.transport.close()
            return
        self.transport.write(reply)

    def dot(self, received: bytes) -> None:
        """Answer the end of a message."""
        mood = self.mood
        if mood in ("take", "slow", "lost"):
            self.sink.take(self.recipients, received)
        if mood in ("lost", "dropped"):
            self.transport.abort()
        elif mood == "slow":
            self.is_held = True
            pause_s = self.sink.chance.uniform(0.02, 0.4)
            asyncio.get_running_loop().call_later(pause_s, self.answer_late)
        else:
            self.transport.write(b"451 4.3.0 Later\r\n" if mood == "later" else OK)

    def answer_late(self) -> None:
        """The answer to a slow message."""
        self.is_held = False
        if not self.transport.is_closing():
            self.transport.write(OK)
            self.work()


def bench_fault_of(recipients: list[str], received: bytes) -> str:
    """As ``mail.fault_of`` for the messages of ``bench.source``: is it the one of this recipient?"""
    marker = read_marker(received)
    return "" if marker and recipients == [f"user{marker[1]}@{RECEIVER}"] else f"marker {marker}"


async def serve(port: int, record: Path, seed: int, fault_of: FaultOf) -> None:
    """Serve until standard input ends."""
    sink = Sink(record, seed, fault_of)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(sink), "127.0.0.1", port, backlog=512)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        sink.is_wild = line.strip() == b"wild"
    server.close()


def main() -> None:
    """``python -m tests.crash.sink --record FILE``"""
    options = argparse.ArgumentParser(description="A mail server that records, and misbehaves when told.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--record", type=Path, required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--bench", action="store_true", help="the messages are those of bench.source")
    given = options.parse_args()
    fault_of = bench_fault_of if given.bench else mail.fault_of
    uvloop.run(serve(given.port, given.record, given.seed, fault_of))


if __name__ == "__main__":
    main()
