"""A topic's address as a process that records what it takes before it says so, and misbehaves by chance.

It records a notification in a ledger with one write, then answers 200; what the ledger lacks was not taken.
A line is a JSON array: the notification's id, message, kind and recipients. In *wild* mood a few in a hundred
meet something else:

lost      recorded, and the connection dropped without an answer
dropped   not recorded, and the connection dropped
refused   503
silent    no answer before the sender loses patience

Standard input takes ``calm`` or ``wild``; it ends when its standard input does. Its first line of output is
``{"port": PORT}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import ssl
import sys
from pathlib import Path
from typing import Any, cast

import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_SHARES = {"lost": 0.004, "dropped": 0.004, "refused": 0.01, "silent": 0.002}


def recipients_of(told: dict[str, Any]) -> list[str]:
    """The recipients that a notification is about."""
    if "bounce" in told:
        return [one["emailAddress"] for one in told["bounce"]["bouncedRecipients"]]
    return list(told["delivery"]["recipients"] if "delivery" in told else told["mail"]["destination"])


def entry(head: bytes, body: bytes) -> list[Any]:
    """The line of a post: id, message, kind, recipients."""
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    told = json.loads(body)
    kind = told.get("notificationType") or told["eventType"]
    uid = fields[b"x-relay-notification-id"].decode()
    return [uid, told["mail"]["messageId"], kind, recipients_of(told)]


class Hook:
    """What all connections share."""

    def __init__(self, record: Path, seed: int) -> None:
        self._descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._chance = random.Random(seed)
        self.is_wild = False

    def answer(self, head: bytes, body: bytes) -> bytes | None:
        """What to answer; None to say nothing, empty to drop the connection."""
        mood = self._mood()
        if mood in ("taken", "lost"):
            os.write(self._descriptor, json.dumps(entry(head, body)).encode() + b"\n")
        return {"taken": _OK, "refused": _REFUSED, "silent": None}.get(mood, b"")

    def _mood(self) -> str:
        if self.is_wild:
            dice = self._chance.random()
            for name, share in _SHARES.items():
                dice -= share
                if dice < 0:
                    return name
        return "taken"


class Requests(asyncio.Protocol):
    """One connection."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            at = head.lower().index(b"content-length:") + 15
            end += 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self._buffer) < end:
                return
            body, self._buffer = self._buffer[len(head) + 4 : end], self._buffer[end:]
            answer = self._hook.answer(head, body)
            if answer:
                self._transport.write(answer)
            elif answer is not None:
                self._transport.abort()
                return


async def serve(given: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    hook = Hook(given.record, given.seed)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.chain, given.key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Requests(hook), "127.0.0.1", given.port, ssl=context, backlog=512, reuse_port=True
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        hook.is_wild = line.strip() == b"wild"
    server.close()


def main() -> None:
    """``python -m tests.crash.hook --record FILE --chain FILE --key FILE``"""
    options = argparse.ArgumentParser(description="A topic's address that records, and misbehaves when told.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--record", type=Path, required=True)
    options.add_argument("--chain", required=True)
    options.add_argument("--key", required=True)
    options.add_argument("--seed", type=int, default=1)
    uvloop.run(serve(options.parse_args()))


if __name__ == "__main__":
    main()
