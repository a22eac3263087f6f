"""A webhook: an HTTPS server that takes every notification, checks its signature, and counts.

A process of its own on uvloop, nicer than all others. Standard input takes one command a line and standard
output gives one JSON line each:

``secret TEXT``  what signs; ``{"secret": true}``
``count``        posts, different notifications, bad signatures, and its own CPU seconds

It ends when its standard input does. ``Hook`` is the same from the outside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.sink import own_cpu_s, say
from relay.codec import webhook

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_STALL_S = 60.0


class Counts:
    """What has come."""

    def __init__(self) -> None:
        self.secret = b""
        self.posts = 0
        self.bad = 0
        self.ids: set[bytes] = set()

    def take(self, head: bytes, body: bytes) -> None:
        """One post."""
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        named = {name.lower(): value for name, value in fields.items()}
        self.posts += 1
        self.ids.add(named[webhook.ID.lower().encode()])
        timestamp = named[webhook.TIMESTAMP.lower().encode()].decode()
        signature = named[webhook.SIGNATURE.lower().encode()].decode()
        self.bad += not webhook.verifies(self.secret, timestamp, signature, body, time.time())


class Requests(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            at = head.lower().index(b"content-length:") + 15
            size = int(head[at:].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + size:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + size], self._buffer[end + 4 + size :]
            self._counts.take(head, body)
            self._transport.write(_ANSWER)


class Hook:
    """The process, from the outside. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        """``folder`` gets a certificate, ``ca.pem``."""
        self.ca_file = folder / "ca.pem"
        key = folder / "hook.key"
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        words += ["-nodes", "-keyout", str(key), "-out", str(self.ca_file), "-days", "2"]
        words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(words, check=True, capture_output=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.hook", str(self.ca_file), str(key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.url = f"https://127.0.0.1:{self._answer()['port']}/hook"

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    def tell(self, command: str) -> dict[str, Any]:
        """A command, and its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self, count: int) -> dict[str, Any]:
        """Until so many different notifications have come, or none for a minute."""
        seen, since = -1, time.monotonic()
        while True:
            told = self.tell("count")
            if told["ids"] >= count:
                return told
            if told["ids"] != seen:
                seen, since = told["ids"], time.monotonic()
            if time.monotonic() - since > _STALL_S:
                return told
            time.sleep(0.05)

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


async def serve(certificate: str, key: str) -> None:
    """Serve until standard input ends; the first line printed is ``{"port": PORT}``."""
    counts = Counts()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Requests(counts), "127.0.0.1", 0, ssl=context, backlog=512)
    say({"port": server.sockets[0].getsockname()[1]})
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        match line.decode().split():
            case ["secret", secret]:
                counts.secret = secret.encode()
                say({"secret": True})
            case ["count"]:
                counted = {"posts": counts.posts, "ids": len(counts.ids), "bad": counts.bad}
                say({**counted, "cpu_s": own_cpu_s()})
            case words:
                say({"error": f"no such command: {words}"})
    server.close()


def _stand_aside() -> None:
    """A webhook is another machine's: what it costs here is not to be the relay's."""
    os.nice(19)
    with suppress(OSError), open("/proc/self/autogroup", "w") as stream:
        stream.write("19")


def main() -> None:
    """``python -m bench.hook CERTIFICATE KEY``"""
    options = argparse.ArgumentParser(description="A webhook that counts.")
    options.add_argument("certificate")
    options.add_argument("key")
    given = options.parse_args()
    _stand_aside()
    uvloop.run(serve(given.certificate, given.key))


if __name__ == "__main__":
    main()
