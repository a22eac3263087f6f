"""One session of the scripted mail server: the server's half of an SMTP dialogue."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Protocol

from tests.fakes.script import Habits, Received, Step


class Ended(Exception):
    """The session is over."""


class Receiver(Protocol):
    """What a session needs of the sink it belongs to."""

    habits: Habits
    received: list[Received]
    refused: list[tuple[str, int]]
    commands: list[str]

    def step_at(self, stage: str, addresses: list[str]) -> Step | None:
        """The step that one of the addresses asks for at this stage."""
        ...

    def take(self, message: Received) -> None:
        """Record a content."""
        ...


class Dialogue:
    """One session's side of the conversation."""

    def __init__(
        self, sink: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.sink = sink
        self.habits = sink.habits
        self.reader = reader
        self.writer = writer
        self.number = number
        self.ehlo = self.login = ""
        self.is_tls = self.habits.is_tls_from_start
        self.messages = 0
        self._forget()

    def _forget(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.parameters: list[str] = []

    async def run(self) -> None:
        """Talk until the client leaves or a script ends it."""
        await self.reply(self.habits.banner)
        if self.habits.banner[0] != "2":
            return
        while True:
            line = (await self.reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "surrogateescape")
            self.sink.commands.append(line)
            verb, _, rest = line.partition(" ")
            command = getattr(self, f"on_{verb.lower()}", None)
            await (command(rest) if command else self.reply("502 5.5.1 Not here"))

    async def reply(self, text: str) -> None:
        """Write a reply; a 421 or a refused greeting ends the session in its caller."""
        if self.habits.delay_s:
            await asyncio.sleep(self.habits.delay_s)
        line = text.encode() + b"\r\n"
        for piece in (
            [line[at : at + 1] for at in range(len(line))] if self.habits.is_byte_by_byte else [line]
        ):
            self.writer.write(piece)
            await self.writer.drain()
            if self.habits.is_byte_by_byte:
                await asyncio.sleep(0)

    async def act(self, step: Step) -> None:
        """Do what a script asks for. Raises Ended unless it is a refusal."""
        if step.action == "refuse":
            await self.reply(f"{step.code} {step.code // 100}.7.0 as scripted")
            return
        if step.action == "421":
            await self.reply("421 4.3.2 as scripted")
        elif step.action == "hang":
            while await self.reader.read(65536):
                pass
        else:
            self.writer.transport.abort()
        raise Ended

    async def on_helo(self, rest: str) -> None:
        self.ehlo = rest
        await self.reply("250 sink.example")

    async def on_ehlo(self, rest: str) -> None:
        habits = self.habits
        if habits.ehlo:
            await self.reply(habits.ehlo)
            if habits.ehlo.startswith("421"):
                raise Ended
            return
        self.ehlo = rest
        lines = ["sink.example", *habits.offers]
        if habits.tls is not None and not self.is_tls:
            lines.append("STARTTLS")
        lines = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
        await self.reply("\r\n".join(lines))

    async def on_starttls(self, rest: str) -> None:
        if self.habits.tls is None or self.is_tls:
            await self.reply("502 5.5.1 Not here")
            return
        await self.reply("220 2.0.0 Go on")
        await self.writer.start_tls(self.habits.tls)
        self.is_tls = True
        self._forget()

    async def on_auth(self, rest: str) -> None:
        mechanism, _, token = rest.partition(" ")
        if mechanism.upper() == "PLAIN" and not token:
            await self.reply("334 ")
            token = (await self.reader.readuntil(b"\r\n"))[:-2].decode()
        shown = base64.b64decode(token).decode().partition("\0")[2].replace("\0", ":")
        if shown == self.habits.login:
            self.login = shown
        await self.reply("235 2.7.0 Welcome" if self.login else "535 5.7.8 Wrong")

    async def on_mail(self, rest: str) -> None:
        address, parameters = _path(rest)
        if self.habits.messages_per_session and self.messages >= self.habits.messages_per_session:
            await self.reply("421 4.7.0 Enough on this connection")
            raise Ended
        if step := self.sink.step_at("mail", [address]):
            self.sink.refused.append((address, step.code or 421))
            await self.act(step)
        elif self.habits.login and not self.login:
            await self.reply("530 5.7.0 Log in first")
        elif self.habits.size and _size(parameters) > self.habits.size:
            await self.reply("552 5.3.4 Too big")
        else:
            self.sender, self.parameters = address, [parameters]
            await self.reply("250 2.1.0 Ok")

    async def on_rcpt(self, rest: str) -> None:
        address, parameters = _path(rest)
        if self.sender is None:
            await self.reply("503 5.5.1 MAIL first")
        elif step := self.sink.step_at("rcpt", [self.sender, address]):
            self.sink.refused.append((address, step.code or 421))
            await self.act(step)
        else:
            self.recipients.append(address)
            self.parameters.append(parameters)
            await self.reply("250 2.1.5 Ok")

    async def on_data(self, rest: str) -> None:
        if not self.recipients or self.sender is None:
            await self.reply("503 5.5.1 RCPT first" if self.sender is None else "554 5.5.1 No recipients")
            return
        addresses = [self.sender, *self.recipients]
        if step := self.sink.step_at("data", addresses):
            self._forget()
            await self.act(step)
            return
        await self.reply("354 Go on")
        content = await self._content(self.sink.step_at("in-content", addresses))
        await self._settle(content, addresses)

    async def _content(self, step: Step | None) -> bytes:
        lines: list[bytes] = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            if step is not None:
                await self.act(step)
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def _settle(self, content: bytes, addresses: list[str]) -> None:
        message = Received(
            self.sender or "",
            self.recipients,
            content,
            self.ehlo,
            self.is_tls,
            self.number,
            self.parameters,
            self.login,
        )
        self._forget()
        self.messages += 1
        step = self.sink.step_at("dot", addresses)
        if step is not None and step.action != "hang":
            self.sink.refused.append((message.recipients[0], step.code or 421))
            await self.act(step)
            return
        last = step or self.sink.step_at("after-dot", addresses)
        message.reply = 0 if last else 250
        self.sink.take(message)
        if last is not None:
            await self.act(last)
        await self.reply(f"250 2.0.0 Ok {len(self.sink.received)}")

    async def on_rset(self, rest: str) -> None:
        self._forget()
        await self.reply("250 2.0.0 Ok")

    async def on_noop(self, rest: str) -> None:
        await self.reply("250 2.0.0 Ok")

    async def on_quit(self, rest: str) -> None:
        await self.reply("221 2.0.0 Bye")
        raise Ended


def _path(rest: str) -> tuple[str, str]:
    """``FROM:<a@b> SIZE=1`` into the address and its parameters."""
    address, _, parameters = rest.partition(":")[2].strip().partition(">")
    return address.lstrip("<"), parameters.strip()


def _size(parameters: str) -> int:
    match = re.search(r"\bSIZE=(\d+)", parameters)
    return int(match[1]) if match else 0
