"""A listener: bound sockets, and the sessions behind them.

Contract: the sockets come bound and listening (from the supervisor or systemd), and other processes may
accept from the same ones; ``start`` serves them until the stack unwinds. Then, in this order: no new
connection is taken; idle sessions are told 421 4.3.2, and so are those whose handshake was under way; those
whose message is being read or committed may finish it, for at most ``drain_s`` seconds; what is left is
aborted. Who was accepted hears of the end; who was not, waits in the socket for whoever accepts from it next.

On a listener with ``proxy_protocol`` the PROXY header is read first, from the bare socket and not a byte
more, since a TLS handshake may follow it. A connection that does not come from ``proxy_networks``, or does
not begin with such a header in time, is closed without a word.

On a listener with ``tls = "wrapper"`` a session begins behind its handshake. Until then the connection counts
against the limits of connections as a session does, and only so many handshakes run at once; a client that is
over a limit is closed without a word, since none can be said in clear.

It binds no port and reads no configuration. ``Surroundings.tasks`` must be started before, hence end after
it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from relay.base.errors import ConfigError
from relay.base.tasks import Tasks
from relay.codec.trace_text import shown
from relay.ingress.connection import Connection
from relay.ingress.inbound import InboundSession
from relay.ingress.proxy import MAX_HEADER_BYTES, parse
from relay.ingress.session import Session
from relay.ingress.settings import ListenerSettings, is_within
from relay.ingress.surroundings import Surroundings

log = logging.getLogger(__name__)

_BACKLOG = 4096
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_MAX_ADMITTED = 512  # connections whose PROXY header or TLS handshake is still to come
_LAST_HANDSHAKES_S = 2.0  # so long a drain waits for clients that have not begun to speak
_BREATH_S = 0.1  # between accepts while the process is out of descriptors


class Listener:
    """One ``[[listener]]`` of the configuration. State: the open sessions."""

    def __init__(
        self,
        settings: ListenerSettings,
        around: Surroundings,
        sockets: Sequence[socket.socket],
        drain_s: float = 30.0,
    ) -> None:
        """Raises ConfigError if TLS is asked for and there is no certificate."""
        if settings.tls != "none" and around.certificate is None:
            raise ConfigError(f'listener: tls = "{settings.tls}" needs [tls] certificate and private_key')
        self.settings = settings
        self.sessions = Sessions()
        self._around = around
        self._sockets = sockets
        self._drain_s = drain_s
        self._servers: list[asyncio.Server] = []
        self._accepting = Tasks("listener")
        self._tasks = Tasks("listener")
        self._is_closed = False
        self._places = asyncio.Semaphore(_MAX_ADMITTED)
        self._kind = InboundSession if settings.role == "inbound" else Session

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve until the stack unwinds."""
        await start_all([self], stack)

    async def serve(self) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            sock.setblocking(False)
            if self.settings.proxy_protocol or self.settings.tls == "wrapper":
                self._accepting.spawn(self._accept(sock), "accept")
                continue
            server = await loop.create_server(self._session, sock=sock, backlog=_BACKLOG)
            self._servers.append(server)

    def _session(self) -> Session:
        return self._kind(self.settings, self._around, self.sessions)

    async def close(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close()
        await self._accepting.end()
        await asyncio.sleep(0)  # what was accepted a moment ago becomes a session
        self._is_closed = True
        for sock in self._sockets:
            sock.close()

    async def drain(self) -> None:
        """Let the sessions end, within the bound; abort those that do not."""
        for session in list(self.sessions):
            session.stop()
        try:
            async with asyncio.timeout(self._drain_s):
                await self._end_handshakes()
                await self.sessions.wait_empty()
        except TimeoutError:
            log.warning("sessions aborted at shutdown", extra={"count": len(self.sessions)})
            for session in list(self.sessions):
                session.abort()
            await self.sessions.wait_empty()

    async def _end_handshakes(self) -> None:
        """Those that are under way end, unless their clients take their time: many never speak at all."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_HANDSHAKES_S):
                await self._tasks.wait()
        await self._tasks.end()

    async def _accept(self, sock: socket.socket) -> None:
        while True:
            await self._places.acquire()  # the place first, then the connection
            try:
                await _readable(sock)
                connection, peer = sock.accept()  # not awaited: a cancellation would lose who was accepted
                connection.setblocking(False)
            except BlockingIOError:  # another worker was faster
                self._places.release()
                continue
            except OSError as error:
                self._places.release()
                log.warning("accept failed", extra={"reason": str(error)})
                if error.errno in _NO_DESCRIPTORS:
                    await asyncio.sleep(_BREATH_S)
                continue
            except BaseException:
                self._places.release()
                raise
            self._tasks.spawn(self._admit(connection, str(peer[0]), int(peer[1])), "admit")

    async def _admit(self, connection: socket.socket, address: str, port: int) -> None:
        """Read the PROXY header, if there is one, and turn the connection into a session of its client."""
        loop = asyncio.get_running_loop()
        settings = self.settings
        client: tuple[str, int] | None = None
        try:
            if settings.proxy_protocol:
                if not is_within(address, settings.proxy_networks):
                    raise ValueError("not from proxy_networks")
                async with asyncio.timeout(settings.handshake_timeout_s):
                    client = await _read_header(connection) or (address, port)
            if settings.tls == "wrapper":
                await self._shake_hands(connection, client, client[0] if client else address)
                return
            _, session = await loop.connect_accepted_socket(
                lambda: self._kind(settings, self._around, self.sessions, client), connection
            )
            self._stop_late(session)
        except (ValueError, OSError, EOFError) as error:  # TimeoutError is an OSError
            self._around.counters.connections_refused += 1
            log.info("connection refused", extra={"client": address, "reason": str(error)})
            self._remark(connection, address, f"connection refused: {error}")
            connection.close()
        except BaseException:
            connection.close()
            raise
        finally:
            self._places.release()

    async def _shake_hands(
        self, connection: socket.socket, client: tuple[str, int] | None, address: str
    ) -> None:
        """TLS from the first byte, as one of the connections that ``address`` may have."""
        around = self._around
        session = self._kind(self.settings, around, self.sessions, client)
        if not session.take_place(address):
            raise ValueError("too many connections")
        is_done = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: session,
                connection,
                ssl=around.certificate.context if around.certificate else None,
                ssl_handshake_timeout=self.settings.handshake_timeout_s,
            )
            is_done = True
            self._stop_late(session)
        except (OSError, EOFError) as error:
            around.counters.tls_failures += 1
            log.info("TLS handshake failed", extra={"client": address, "reason": str(error)})
            self._remark(connection, address, f"TLS handshake failed: {error}")
            connection.close()
        finally:
            if not is_done:
                session.leave_place()  # the loop tells only those whose handshake was done

    def _stop_late(self, session: Connection) -> None:
        """A session that began behind its handshake when the service was ending already."""
        if self._is_closed:
            session.stop()

    def _remark(self, connection: socket.socket, address: str, text: str) -> None:
        """For those who watch: something about a client that never came as far as a session."""
        if not self._around.traces.active:
            return
        try:
            own = connection.getsockname()[:2]
        except OSError:
            own = ("", 0)
        self._around.traces.remark_client(address, own, shown(text))

    def retrace(self) -> None:
        """Traces have begun or ended."""
        for session in list(self.sessions):
            session.retrace()


async def start_all(listeners: Sequence[Listener], stack: AsyncExitStack) -> None:
    """Serve all until the stack unwinds: then first all close, then all drain at once."""

    async def drain() -> None:
        await asyncio.gather(*[one.drain() for one in listeners])

    async def close() -> None:
        for one in listeners:
            await one.close()

    stack.push_async_callback(drain)
    stack.push_async_callback(close)
    for one in listeners:
        await one.serve()


async def _read_header(connection: socket.socket) -> tuple[str, int] | None:
    """The client that the PROXY header names, None if the proxy speaks for itself; reads not a byte more."""
    start = b""
    while True:
        await _readable(connection)
        seen = connection.recv(MAX_HEADER_BYTES, socket.MSG_PEEK)
        if not seen:
            raise EOFError("closed before the PROXY header was complete")
        header = parse(start + seen)
        if header is not None:
            connection.recv(header.size_bytes - len(start))
            return (header.address, header.port) if header.address else None
        start += connection.recv(len(seen))


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _note, came)
    try:
        await came
    finally:
        loop.remove_reader(connection)


def _note(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)


class Sessions(set[Connection]):
    """The open sessions of a listener, and when the last one has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.ever = 0  # sessions that were opened
        self._is_empty = asyncio.Event()

    def add(self, session: Connection) -> None:
        """One more session."""
        super().add(session)
        self.ever += 1

    def discard(self, session: object) -> None:
        """One session is over."""
        super().discard(session)
        if not self:
            self._is_empty.set()

    async def wait_empty(self) -> None:
        """Return once no session is left."""
        while self:
            self._is_empty.clear()
            await self._is_empty.wait()
