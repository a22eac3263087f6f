"""A receiver's mail server on loopback that keeps what it gets, in a thread of its own.

    with Receiver() as receiver:
        receiver.refuse["nobody@receiver.example"] = "550 5.1.1 No such user"     # at RCPT
        got = receiver.wait_for("a subject")          # the first message with it
        receiver.subjects()                           # of everything so far, duplicates included
        receiver.is_mute = True                       # takes content and says nothing to the dot

It is healthy and offers PIPELINING, 8BITMIME, SMTPUTF8 and SIZE. Misbehaviour is for smtp-sink.
"""

import asyncio
import threading
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import SMTPUTF8
from types import TracebackType
from typing import Any

from tests.fakes.prepared import Port, wait_until

_HELLO = b"250-receiver.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 99999999\r\n"


@dataclass(frozen=True)
class Received:
    """One message, as it arrived."""

    sender: str
    recipients: list[str]
    content: bytes
    mail_line: str

    @property
    def subject(self) -> str:
        return str(self.parsed["subject"] or "")

    @property
    def parsed(self) -> Any:
        return message_from_bytes(self.content, policy=SMTPUTF8)


class LoopThread:
    """An event loop that runs in a thread, for fakes that tests without a loop talk to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


class Receiver:
    """See above."""

    def __init__(self, port: Port | None = None, host: str = "127.0.0.1") -> None:
        self._port = port or Port(host)
        self._host = host
        self.port = self._port.number
        self.refuse: dict[str, str] = {}
        self.received: list[Received] = []
        self.is_mute = False
        self.muted = 0
        self._sessions: set[_Session] = set()

    def __enter__(self) -> "Receiver":
        self._thread = LoopThread()
        self._thread.run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._close())
        self._thread.end()
        self._port.free()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Session(self), self._host, self.port, reuse_address=True, reuse_port=True
        )

    async def _close(self) -> None:
        self._server.close()
        for session in list(self._sessions):
            session.transport.abort()
        while self._sessions:
            await asyncio.sleep(0)

    def subjects(self) -> list[str]:
        return [one.subject for one in list(self.received)]

    def wait_for(self, subject: str, timeout_s: float = 30.0) -> Received:
        """The first message with this subject."""

        def found() -> Received | None:
            return next((one for one in list(self.received) if one.subject == subject), None)

        got = wait_until(found, f"{subject!r} arrives", timeout_s)
        assert isinstance(got, Received)
        return got

    def wait_for_bounce(self, recipient: str, timeout_s: float = 30.0) -> Received:
        """The first delivery report that speaks of this recipient."""

        def found() -> Received | None:
            return next(
                (one for one in list(self.received) if not one.sender and recipient.encode() in one.content),
                None,
            )

        got = wait_until(found, f"a bounce for {recipient} arrives", timeout_s)
        assert isinstance(got, Received)
        return got


class _Session(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.buffer = bytearray()
        self.is_content = False
        self.sender, self.mail_line, self.recipients = "", "", list[str]()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.receiver._sessions.add(self)
        transport.write(b"220 receiver.example ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.receiver._sessions.discard(self)

    def data_received(self, chunk: bytes) -> None:
        self.buffer += chunk
        while True:
            end = b"\r\n.\r\n" if self.is_content else b"\r\n"
            at = self.buffer.find(end)
            if at < 0:
                return
            taken = bytes(self.buffer[:at])
            del self.buffer[: at + len(end)]
            self.transport.write(self._content(taken + b"\r\n") if self.is_content else self._line(taken))

    def _content(self, wire: bytes) -> bytes:
        self.is_content = False
        if self.receiver.is_mute:
            self.receiver.muted += 1
            return b""
        content = wire.replace(b"\r\n..", b"\r\n.")
        self.receiver.received.append(Received(self.sender, self.recipients, content, self.mail_line))
        return b"250 2.0.0 Kept\r\n"

    def _line(self, line: bytes) -> bytes:
        text = line.decode("utf-8", "replace")
        verb = text[:4].upper()
        if verb == "EHLO":
            return _HELLO
        if verb == "MAIL":
            self.sender, self.mail_line, self.recipients = _address(text), text, []
        elif verb == "RCPT":
            address = _address(text)
            if address in self.receiver.refuse:
                return self.receiver.refuse[address].encode() + b"\r\n"
            self.recipients.append(address)
        elif verb == "DATA":
            if not self.recipients:
                return b"554 5.5.1 No valid recipients\r\n"
            self.is_content = True
            return b"354 Go on\r\n"
        elif verb == "QUIT":
            self.transport.write(b"221 2.0.0 Bye\r\n")
            self.transport.close()
            return b""
        return b"250 2.0.0 Ok\r\n"


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
