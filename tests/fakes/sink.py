"""A receiver's mail server for tests; the envelope address says how it misbehaves.

``tests.fakes.script`` lists what it may ask for. What does not depend on a message is in ``Habits``.
In process::

    async with Sink() as sink:
        ...send to 127.0.0.1, sink.port...
        await sink.wait_for(1)
        assert sink.received[0].recipients == ["user@example.org"]

or as a process, for the crash suite: ``python -m tests.fakes.sink --port 0 --record FILE`` prints its port;
FILE gets one JSON line per content received, written at once and before the reply, so that it survives a
kill of either side. SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import ssl
from collections import Counter
from dataclasses import asdict
from email.parser import BytesHeaderParser

from tests.fakes.dialogue import Dialogue, Ended
from tests.fakes.script import Habits, Received, Step, script_of


class Sink:
    """The server. ``received`` holds all contents, ``refused`` the addresses that were not taken and the
    codes they got, ``commands`` all command lines; ``sessions`` counts connections, ``open`` those there are.
    """

    def __init__(self, habits: Habits | None = None, record: str = "") -> None:
        self.habits = habits or Habits()
        self.received: list[Received] = []
        self.refused: list[tuple[str, int]] = []
        self.commands: list[str] = []
        self.sessions = self.open = self.most_open = 0
        self.port = 0
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if record else -1
        self._done: Counter[tuple[str, str]] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._change = asyncio.Event()

    async def __aenter__(self) -> Sink:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen on the loopback; the port is in ``port``."""
        context = self.habits.tls if self.habits.is_tls_from_start else None
        self._server = await asyncio.start_server(
            self._session, "127.0.0.1", port, ssl=context, limit=1 << 26
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on and cut those there are; ``start(port)`` begins again."""
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        while self._writers:
            self._change.clear()
            await self._change.wait()

    async def wait_for(self, count: int, patience_s: float = 10.0) -> list[Received]:
        """The messages received once there are ``count`` of them. TimeoutError says how many there were."""
        try:
            async with asyncio.timeout(patience_s):
                while len(self.received) < count:
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.received)} of {count} messages after {patience_s} s") from None
        return self.received

    def step_at(self, stage: str, addresses: list[str]) -> Step | None:
        """The first step that one of the addresses asks for at this stage and has not had often enough."""
        for address in addresses:
            step = script_of(address)
            if step is None or step.stage != stage:
                continue
            self._done[address, stage] += 1
            if not step.times or self._done[address, stage] <= step.times:
                return step
        return None

    def take(self, message: Received) -> None:
        """Record a content, before its reply is written."""
        self.received.append(message)
        self._change.set()
        if self._record >= 0:
            headers = BytesHeaderParser().parsebytes(message.content.partition(b"\r\n\r\n")[0])
            words = asdict(message) | {
                "content": len(message.content),
                "message_id": str(headers.get("Message-ID", "")).strip("<> \t\r\n"),
                "subject": str(headers.get("Subject", "")),
            }
            os.write(self._record, json.dumps(words).encode() + b"\n")

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self._writers.add(writer)
        try:
            await Dialogue(self, reader, writer, self.sessions).run()
        except (Ended, OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            self._change.set()
            writer.transport.abort() if writer.transport.is_closing() else writer.close()


async def serve(port: int, record: str) -> None:
    """Serve until SIGTERM; prints the port."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    sink = Sink(record=record)
    await sink.start(port)
    print(sink.port, flush=True)
    await end.wait()
    await sink.stop()


def main() -> None:
    """``python -m tests.fakes.sink --port 0 --record FILE``"""
    options = argparse.ArgumentParser(description="A mail server for tests.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--record", default="")
    given = options.parse_args()
    asyncio.run(serve(given.port, given.record))


if __name__ == "__main__":
    main()
