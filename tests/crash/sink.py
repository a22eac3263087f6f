"""The scripted sink as a process that records what it takes before it says so, and misbehaves by chance.

It records the recipients of a message in a ledger with one write, then answers the dot; so what the ledger
lacks was not delivered. In *wild* mood a few messages in a hundred meet something else:

slow      recorded, answered after 20 to 400 ms
lost      recorded, and the connection dropped without an answer
dropped   not recorded, and the connection dropped after the dot
cut       the connection dropped in the middle of the content
later     451 to the dot
busy      450 to one recipient

Standard input takes ``calm`` or ``wild``; it ends when its standard input does. Its first line of output is
``{"port": PORT}``. A message that is not whole is recorded in ``LEDGER.faults`` as well. What is reported to
the sender of it all as given up is recorded in ``LEDGER.bounced`` instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import uvloop

from bench.content import RECEIVER, read_marker
from tests.crash import mail
from tests.crash.ledger import Ledger
from tests.fakes.sink import DROP, Answer, Received, Sink

_AT_DOT = {"slow": 0.02, "lost": 0.004, "dropped": 0.004, "later": 0.01}
_CUT = 0.002
_BUSY = 0.01

FaultOf: TypeAlias = Callable[[list[str], bytes], str]


class RecordingSink(Sink):
    """The table is chance."""

    def __init__(self, record: Path, seed: int, fault_of: FaultOf, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600"), tls=tls)
        self.ledger = Ledger(record)
        self.bounced = Ledger(record.with_suffix(".bounced"))
        self.fault_of = fault_of
        self.faults = record.with_suffix(".faults")
        self.chance = random.Random(seed)
        self.is_wild = False

    def behave(self, mood: str) -> None:
        """``calm`` or ``wild``."""
        self.is_wild = mood == "wild"

    def answer(self, key: str, ordinary: Answer) -> Answer:
        if self.is_wild:
            if key == "RCPT" and self.chance.random() < _BUSY:
                return "450 4.2.1 Busy"
            if key == "IN CONTENT" and self.chance.random() < _CUT:
                return DROP
        return ordinary

    async def at_dot(self, message: Received) -> Answer:
        self.commands.clear()  # nobody asks, and there is no end of them
        mood = self._mood()
        if mood in ("take", "slow", "lost"):
            self._take(message)
        if mood == "slow":
            await asyncio.sleep(self.chance.uniform(0.02, 0.4))
        elif mood in ("lost", "dropped"):
            return DROP
        return "451 4.3.0 Later" if mood == "later" else "250 2.0.0 Ok"

    def _mood(self) -> str:
        if self.is_wild:
            dice = self.chance.random()
            for name, share in _AT_DOT.items():
                dice -= share
                if dice < 0:
                    return name
        return "take"

    def _take(self, message: Received) -> None:
        if mail.is_for_us(message.recipients):
            if addresses := mail.given_up(message.wire):
                self.bounced.note(addresses)
            return
        if fault := self.fault_of(message.recipients, message.wire):
            with self.faults.open("a") as stream:
                stream.write(f"{' '.join(message.recipients)}: {fault}\n")
        self.ledger.note(message.recipients)


def bench_fault_of(recipients: list[str], received: bytes) -> str:
    """As ``mail.fault_of`` for the messages of ``bench.source``: is it the one of this recipient?"""
    marker = read_marker(received)
    return "" if marker and recipients == [f"user{marker[1]}@{RECEIVER}"] else f"marker {marker}"


async def serve(sink: RecordingSink, port: int) -> None:
    """Serve until standard input ends."""
    await sink.start(port=port, backlog=512, reuse_port=True)
    print(json.dumps({"port": sink.port}), flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        sink.behave(line.decode().strip())
    await sink.stop()


def main() -> None:
    """``python -m tests.crash.sink --record FILE``"""
    options = argparse.ArgumentParser(description="A mail server that records, and misbehaves when told.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--record", type=Path, required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--bench", action="store_true", help="the messages are those of bench.source")
    given = options.parse_args()
    fault_of = bench_fault_of if given.bench else mail.fault_of
    uvloop.run(serve(RecordingSink(given.record, given.seed, fault_of), given.port))


if __name__ == "__main__":
    main()
