"""A receiver's mail server for tests: it answers from a table, keeps what it gets, and misbehaves as told.

    async with Sink({"RCPT bob@example.net": "550 5.1.1 who", ".": [DROP]}) as sink:
        ...send to 127.0.0.1, sink.port...
        assert sink.received[0].recipients == ["user@example.org"]

``replies`` maps what is answered to the answer; what is not in it gets the ordinary one:

================  ===========================================================================
``GREETING``      before the client says anything
``EHLO`` ...      a command, also one that the sink does not know; in AUTH, the client's line
``RCPT a@b``      this recipient; stands before ``RCPT``
``IN CONTENT``    the first line of the content has come; the ordinary answer is SILENT
``.``             the content has come, and is kept already
================  ===========================================================================

An answer is text, bytes as they are, DROP (close without a word), SILENT (say nothing and go on), or a list
of these, one for each time; a 421 closes. Tests with needs of their own override ``answer`` and ``at_dot``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.policy import SMTPUTF8
from typing import Any, cast

from relay.codec.data import unstuff

DROP = "drop"
SILENT = "silent"
EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 10000000")

Answer = str | bytes


@dataclass(frozen=True)
class Received:
    """One message, as it arrived. ``wire`` is its content, still dot-stuffed, without the final dot."""

    mail_line: str
    recipients: list[str]
    wire: bytes = b""

    @property
    def sender(self) -> str:
        return _address(self.mail_line)

    @property
    def content(self) -> bytes:
        return unstuff(self.wire)

    @property
    def parsed(self) -> Any:
        return message_from_bytes(self.content, policy=SMTPUTF8)

    @property
    def subject(self) -> str:
        return str(self.parsed["subject"] or "")


class Sink:
    """The server. ``connections`` counts all, ``live`` those there are; ``commands`` are what it said."""

    def __init__(
        self,
        replies: Mapping[str, Answer | list[Answer]] | None = None,
        extensions: Iterable[str] = EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        wrapper: bool = False,
    ) -> None:
        """``wrapper``: TLS from the start, else ``tls`` is for STARTTLS."""
        self.replies = dict(replies or {})
        self.extensions = list(extensions)
        self.tls = tls
        self.wrapper = wrapper
        self.bytewise = False  # each byte of a reply in a write of its own
        self.port = 0
        self.commands: list[str] = []
        self.received: list[Received] = []
        self.connections = self.live = self.tls_sessions = 0
        self.server_names: list[str | None] = []
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}

    @property
    def messages(self) -> list[bytes]:
        """The contents received, with the dots of the wire."""
        return [one.wire for one in self.received]

    async def __aenter__(self) -> Sink:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        """Listen; the port is in ``port``. ``options`` are those of ``create_server``."""
        if self.tls is not None:
            self.tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        self._server = await asyncio.start_server(
            self._serve, host, port, limit=2**26, ssl=self.tls if self.wrapper else None, **options
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and cut those there are."""
        self._server.close()
        for writer, task in list(self._writers.items()):
            writer.transport.abort()
            if task is not None:
                task.cancel()
        while self.live:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    # -- what tests may override --------------------------------------------------------------------------

    def answer(self, key: str, ordinary: Answer) -> Answer:
        """What the table says to this, or the ordinary answer."""
        reply = self.replies.get(key, ordinary)
        if isinstance(reply, list):
            return reply.pop(0) if reply else ordinary
        return reply

    async def at_dot(self, message: Received) -> Answer:
        """Keep a message, then answer its dot."""
        self.received.append(message)
        return self.answer(".", "250 2.0.0 Ok: queued as 1")

    # -- the dialogue -------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.live += 1
        self._writers[writer] = asyncio.current_task()
        self.tls_sessions += self.wrapper
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.pop(writer, None)
            writer.close()
            self.live -= 1

    async def _say(self, writer: asyncio.StreamWriter, reply: Answer) -> bool:
        """False if the connection is to be closed."""
        if reply == DROP:
            return False
        if reply == SILENT:
            return True
        wire = _wire(reply)
        if self.bytewise:
            for byte in wire:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
        else:
            writer.write(wire)
        return not wire.startswith(b"421")

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say(writer, self.answer("GREETING", "220 peer.example ESMTP")):
            return
        mail_line, recipients = "", list[str]()
        while line := (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            ordinary = "250 2.1.0 Ok"
            if verb == "EHLO":
                ordinary = self._hello(is_clear=writer.get_extra_info("sslcontext") is None)
            elif verb == "STARTTLS":
                ordinary = "220 go ahead"
            elif verb == "MAIL":
                mail_line, recipients = line, []
            elif verb == "RCPT":
                ordinary = self.answer(f"RCPT {_address(line)}", self.answer("RCPT", "250 2.1.5 Ok"))
                if _wire(ordinary).startswith(b"25"):
                    recipients.append(_address(line))
            elif verb == "DATA":
                ordinary = "354 go on" if recipients else "554 5.5.1 No recipients"
            elif verb == "QUIT":
                ordinary = "221 bye"
            reply = ordinary if verb == "RCPT" else self.answer(verb, ordinary)
            if not await self._say(writer, reply) or verb == "QUIT":
                return
            goes_on = True
            if verb == "STARTTLS" and _wire(reply).startswith(b"220"):
                goes_on = await self._encrypt(writer)
            elif verb == "DATA" and _wire(reply).startswith(b"354"):
                goes_on = await self._content(reader, writer, Received(mail_line, recipients))
            if not goes_on:
                return

    def _hello(self, is_clear: bool) -> str:
        offers = ["peer.example", *self.extensions]
        if self.tls is not None and is_clear:
            offers.append("STARTTLS")
        return "\r\n".join([*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}"])

    async def _encrypt(self, writer: asyncio.StreamWriter) -> bool:
        """False if the client went away in between."""
        clear = writer.transport
        await writer.start_tls(cast(ssl.SSLContext, self.tls))
        if writer.transport is None:
            writer._transport = clear  # type: ignore[unreachable]
            return False
        self.tls_sessions += 1
        return True

    async def _content(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: Received
    ) -> bool:
        """False if the connection is to be closed."""
        first = b""
        if (inside := self.answer("IN CONTENT", SILENT)) != SILENT:
            first = await reader.readuntil(b"\r\n")
            if not await self._say(writer, inside):
                return False
        wire = first + await reader.readuntil(b"\r\n.\r\n")
        return await self._say(writer, await self.at_dot(replace(message, wire=wire[:-3])))


def _wire(reply: Answer) -> bytes:
    return reply if isinstance(reply, bytes) else reply.encode() + b"\r\n"


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
