"""Both directions of one client connection: what aiosmtplib's protocol class does not do.

Contract: replies are kept apart and counted. ``expect(n)`` says how many belong to what is written next;
``answered`` returns them, or fewer if the connection ends. Failure is a value: ``fault`` says why the
connection is of no more use, and nothing raises because of the peer. Anything that comes unasked is the end
of it: after STARTTLS it may be an injection (RFC 3207 4.2, CVE-2011-0411), elsewhere the stream is out of
step.

The only use of aiosmtplib in the relay. Its protocol class keeps one waiter for one reply and drops what
comes in between, so reading is replaced here; flow control, EHLO keywords and the AUTH encodings are its own.

Cost on the hot path: one future per wait, no task, and no timer of its own (``deadline``).

Not here: what to say and what replies mean (``session``, ``opening``, ``replies``).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from aiosmtplib.auth import auth_login_encode, auth_plain_encode
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.protocol import SMTPProtocol

from relay.base.errors import RemoteProtocolError
from relay.base.outcome import Reason
from relay.base.reply import Reply
from relay.base.trace import CLIENT, NOTE, SERVER, UNWATCHED, Traces, Trail
from relay.codec.trace_text import hidden, shown, shown_reply, without
from relay.transport.deadline import Deadline
from relay.transport.reply_parser import RawReply, ReplyParser, as_reply
from relay.transport.transcript import Exchange

_BUSY = 421


def read_extensions(text: str) -> tuple[dict[str, str], list[str]]:
    """EHLO keywords in lower case with their parameters, and AUTH mechanisms, from a reply's lines."""
    return parse_esmtp_extensions(text)


def auth_lines(mechanisms: list[str], username: str, password: str) -> list[str]:
    """What AUTH sends, line by line, by the best mechanism that both know; empty if there is none."""
    if "plain" in mechanisms:
        return [f"AUTH PLAIN {auth_plain_encode(username, password).decode()}\r\n"]
    if "login" in mechanisms:
        user, secret = auth_login_encode(username, password)
        return ["AUTH LOGIN\r\n", f"{user.decode()}\r\n", f"{secret.decode()}\r\n"]
    return []


class Wire(SMTPProtocol):
    """The two directions of one connection. ``fault`` says why it is of no more use; None while it is."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, traces: Traces = UNWATCHED, trail: Trail | None = None
    ) -> None:
        """``trail``: what is said on it, where somebody of ``traces`` watches."""
        super().__init__(loop=loop)
        self.traces = traces
        self.trail = trail
        self.fault: Reason | None = None
        self.fault_detail = ""
        self.replies: list[RawReply] = []
        self.opening: list[Exchange] = []  # what was said before the first MAIL, for transcripts
        self.secrets: tuple[
            str, ...
        ] = ()  # which must not come back: replies get into the log and to senders
        self._parser = ReplyParser()
        self._expected = 0
        self._missing = 0  # replies asked for and not yet here
        self._waiter: asyncio.Future[None] | None = None
        self._timeout_s = 0.0
        self._deadline = Deadline(loop, self._on_deadline)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The greeting may come before anyone waits for it."""
        super().connection_made(transport)
        self.expect(1)
        self.note("")

    def data_received(self, received: bytes) -> None:
        """Sort what came into replies."""
        if self.fault is not None:
            return
        try:
            replies = self._parser.feed(received)
        except RemoteProtocolError as fault:
            # an answer to the dot that came before the nonsense still counts: taken is taken
            if self._missing > 0:
                self.replies += self._parser.completed
            self.give_up(Reason.PROTOCOL, without(str(fault), self.secrets))
            return
        if self.secrets:
            replies = [(code, hidden(text, self.secrets)) for code, text in replies]
        if self.trail is not None:
            for code, text in replies:
                self.trail.lines(SERVER, shown_reply(code, text, self.trail.secrets))
        if self._missing <= 0 and self._waiter is None:
            is_goodbye = bool(replies) and replies[0][0] == _BUSY
            self.give_up(Reason.BUSY if is_goodbye else Reason.PROTOCOL, "the peer spoke unasked")
            return
        self.replies += replies
        self._missing -= len(replies)
        if self._missing > 0:
            for code, _ in replies:
                if code == _BUSY:  # nothing follows it (RFC 5321 3.8)
                    self._missing = 0
                    break
            else:
                if replies:
                    self._deadline.within(self._timeout_s)
                return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer or the network ended it."""
        super().connection_lost(exc)
        self._deadline.end()
        if self.fault is None:
            self.fault = Reason.CONNECTION_LOST
            self.fault_detail = str(exc) if exc else "closed by the peer"
        self._end_trail()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_deadline(self) -> None:
        self.give_up(Reason.TIMEOUT, f"no reply within {self._timeout_s:g} s")

    def give_up(self, reason: Reason, detail: str) -> None:
        """Close at once and let nobody wait any longer."""
        if self.fault is None:
            self.fault = reason
            self.fault_detail = detail
        self._end_trail()
        self._deadline.end()
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def is_in_step(self) -> bool:
        """Every command has its reply, and there is nothing else."""
        return self.fault is None and len(self.replies) == self._expected and self._parser.is_between_replies

    def expect(self, count: int) -> None:
        """The next ``count`` replies belong together; called before what they answer is written."""
        self.replies = []
        self._expected = self._missing = count

    def note(self, said: str) -> None:
        """Keep what is said now for a transcript; the replies expected join it as they come."""
        self.opening.append((said, self.replies))
        if said:
            self.say(said)

    def say(self, said: str) -> None:
        """For those who watch: what goes to the peer, without secrets."""
        if self.trail is not None:
            self.trail(CLIENT, shown(said))

    def remark(self, text: str) -> None:
        """For those who watch: what neither side said."""
        if self.trail is not None:
            self.trail(NOTE, shown(text))

    def _end_trail(self) -> None:
        trail, self.trail = self.trail, None
        if trail is not None:
            trail.end(shown(self.fault_detail))

    def send(self, wire: bytes) -> None:
        """Write without waiting; on a connection that is gone, nothing."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is not None and not transport.is_closing():
            transport.write(wire)
        elif self.fault is None:
            self.give_up(Reason.CONNECTION_LOST, "closed by the peer")

    async def answered(self, timeout_s: float) -> list[RawReply]:
        """The replies expected; fewer if the connection ends, or 421 ends it, before.

        ``timeout_s`` runs anew with each reply, not with each byte.
        """
        if self._missing > 0 and self.fault is None:
            self._timeout_s = timeout_s
            self._deadline.within(timeout_s)
            waiter = self._waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
                self._deadline.clear()
        return self.replies

    async def one_answer(self, timeout_s: float) -> Reply | None:
        """The one reply expected; None if there is none, or more, and ``fault`` says why."""
        replies = await self.answered(timeout_s)
        is_alone = self.fault is not Reason.PROTOCOL and self._parser.is_between_replies
        if len(replies) > 1 or (replies and not is_alone):
            self.give_up(Reason.PROTOCOL, "the peer spoke unasked")
            return None
        return as_reply(replies[0]) if replies else None

    def tls_text(self) -> str:
        """TLS version and cipher, e.g. ``TLSv1.3 TLS_AES_256_GCM_SHA384``; empty in clear."""
        cipher = self.transport.get_extra_info("cipher") if self.transport is not None else None
        return f"{cipher[1]} {cipher[0]}" if cipher else ""

    def tls_connection(self) -> ssl.SSLObject | None:
        """The TLS of the connection; None in clear."""
        found = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        return cast("ssl.SSLObject | None", found)

    def peer_chain(self) -> list[bytes]:
        """The certificates that the peer has shown, in DER, its own first; nobody has verified them."""
        connection = self.tls_connection()
        if connection is None:
            return []
        if hasattr(connection, "get_unverified_chain"):  # Python 3.13
            return list(connection.get_unverified_chain() or [])
        inner = connection._sslobj  # type: ignore[attr-defined]
        return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in inner.get_unverified_chain() or []]

    async def drained(self, timeout_s: float) -> None:
        """Wait until the transport takes more; a fault ends the wait."""
        if not self._paused or self.fault is not None:
            return
        self._timeout_s = timeout_s
        self._deadline.within(timeout_s)
        try:
            await self._drain_helper()
        except ConnectionError:
            return  # ``fault`` has it
        finally:
            self._deadline.clear()

    async def encrypt(self, context: ssl.SSLContext, server_name: str, timeout_s: float) -> None:
        """The TLS handshake, after a 220 to STARTTLS. Raises OSError (ssl.SSLError among them)."""
        transport = await self._loop.start_tls(
            cast(asyncio.WriteTransport, self.transport),
            self,
            context,
            server_hostname=server_name,
            ssl_handshake_timeout=timeout_s,
        )
        if transport is None:
            raise ConnectionResetError("closed during the TLS handshake")
        self.transport = transport
        self._over_ssl = True
        self.opening.append((f"# {self.tls_text()}", ()))
        self.remark(f"TLS: {self.tls_text()}")
