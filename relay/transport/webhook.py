"""Posting notifications to the web addresses that accounts have named.

Contract: ``post`` returns a ``Posted`` with the status, or with 0 and why there was no answer; it never
raises for what the other side does. Only 2xx is ``is_taken``. No redirect is followed: where the news goes is
the owner's word, not that of whoever answers. The certificate must verify. Names are looked up by the relay's
own resolver; addresses that are not of the Internet are not connected to unless that is allowed, since the
owner of an account is not the owner of this host. ``http:`` is for loopback alone, which the directory sees
to.

Connections are kept and used again. The only module that knows aiohttp: httpx, which the rest of the relay
uses, takes ten times as long for a post on an open connection (measured: 2.3 ms of CPU against 0.15 to 0.22
at sixteen connections), and there may be a post for each delivery. It is loaded, and the CAs of the system
are read, for the first post, in a thread: most relays have no topic.

It deliberately does not decide when to post, or again, or how much at once: a bound here would have posts
wait for those to a dead address, within the time that they are given to be answered. It does not sign.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from relay.base.errors import ConfigError
from relay.transport.answers import Answer, Status
from relay.transport.connect import is_public

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult
else:
    AbstractResolver = object

_ANSWER_LIMIT = 65_536  # what of an answer is read, so that its connection can be used again
_LONGEST_WAIT_S = 600.0
_TURNS = 8  # of our event loop that an answer has at least: TLS, and HTTP


class Addresses(Protocol):
    """What is asked of the DNS (``resolve.Resolver``)."""

    async def addresses(self, host: str) -> Answer:
        """Addresses of a host."""
        ...


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a post: the HTTP status, 0 for no answer, and a line for people. ``wait_s`` is what the
    other side asked us to wait before the next one; 0 if it did not."""

    status: int
    said: str
    wait_s: float = 0.0

    @property
    def is_taken(self) -> bool:
        """The other side has it."""
        return 200 <= self.status < 300


class Webhooks:
    """A client for all topics of one process."""

    def __init__(
        self,
        addresses: Addresses,
        ca_file: str = "",
        is_private_allowed: bool = False,
        timeout_s: float = 10.0,
    ) -> None:
        """``ca_file``: PEM with CAs to trust; "" for the system's."""
        self.timeout_s = timeout_s
        self._is_private_allowed = is_private_allowed
        self._ca_file = ca_file
        self._addresses = addresses
        self._is_started = False
        self._session: aiohttp.ClientSession | None = None

    async def start(self, stack: AsyncExitStack) -> None:
        """Be ready to post until the stack unwinds. Raises ConfigError if the CA file cannot be used."""
        if self._ca_file:
            await asyncio.to_thread(_context, self._ca_file)
        stack.push_async_callback(self._close)
        self._is_started = True

    async def _open(self) -> aiohttp.ClientSession:
        context = await asyncio.to_thread(_context, self._ca_file)
        import aiohttp  # `_context` has loaded it

        if self._session is None:  # nobody was faster
            resolver = _Resolver(self._addresses, self._is_private_allowed)
            connector = aiohttp.TCPConnector(resolver=resolver, ssl=context, limit=0, use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Post ``body``, and say what came of it."""
        assert self._is_started, "posted before start"
        if fault := self._refuse(url):
            return Posted(0, fault)
        try:
            session = self._session or await self._open()
        except (ConfigError, OSError) as no_ca:
            return Posted(0, str(no_ca))
        import aiohttp  # it is loaded

        try:
            async with (
                _patience(self.timeout_s),
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                said = (await answer.content.read(_ANSWER_LIMIT)).decode("utf-8", "replace")
                line = f"{answer.status} {answer.reason or ''} {said[:200]}"
                return Posted(answer.status, _line(line), _wait_s(answer.headers))
        except TimeoutError:
            return Posted(0, f"no answer within {self.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as fault_of_it:
            return Posted(0, _said(fault_of_it))

    def _refuse(self, url: str) -> str:
        """Why an address in the URL itself is not connected to; no resolver is asked about those."""
        host = (urlsplit(url).hostname or "").rstrip(".")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if not host.replace(".", "").isdigit():
                return ""
            return f"{host} is no name and no address"  # but to libraries that take 127.1 for 127.0.0.1
        return "" if self._is_private_allowed or is_public(host) else _NOT_PUBLIC.format(host)


_NOT_PUBLIC = (
    '{} is not an address of the Internet; if it is yours, set [notifications] private_addresses = "allow"'
)


class _Resolver(AbstractResolver):
    """Ours, as aiohttp asks it."""

    def __init__(self, addresses: Addresses, is_private_allowed: bool) -> None:
        self._addresses = addresses
        self._is_private_allowed = is_private_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a host. Raises OSError if there are none that may be used."""
        answer = await self._addresses.addresses(host)
        if answer.status is not Status.FOUND:
            raise OSError(0, f"{host}: {answer.detail or answer.status}")  # aiohttp shows strerror alone
        found = [one for one in answer.addresses if self._is_private_allowed or is_public(one)]
        if not found:
            raise OSError(0, _NOT_PUBLIC.format(f"{host} ({', '.join(answer.addresses[:3])})"))
        return [
            {
                "hostname": host,
                "host": one,
                "port": port,
                "family": socket.AF_INET6 if ":" in one else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for one in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def _patience(timeout_s: float) -> AsyncIterator[None]:
    """TimeoutError after so long, by a clock that stands still while our event loop does: who gets no
    processor does not hear an answer either, and that is no fault of the other side."""
    loop = asyncio.get_running_loop()

    timers: list[asyncio.TimerHandle] = []

    def turn(left: int) -> None:
        if left:
            timers[:] = [loop.call_later(timeout_s / _TURNS, turn, left - 1)]
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        turn(_TURNS)
        try:
            yield
        finally:
            timers[0].cancel()


def _context(ca_file: str) -> ssl.SSLContext:
    """What takes long before the first post: a tenth of a second that no event loop should stand still."""
    import aiohttp  # noqa: F401

    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as fault:
            raise ConfigError(
                f"[notifications] ca_file: {ca_file}: {fault}; give a PEM file with CA certificates"
            ) from fault
    return context


def _wait_s(headers: Mapping[str, str]) -> float:
    """Retry-After in seconds (RFC 9110 10.2.3); a date in it is not heeded."""
    text = headers.get("Retry-After", "").strip()
    return min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _said(fault: BaseException) -> str:
    """What went wrong, as one line; what OpenSSL said is found among its causes."""
    cause: BaseException | None = fault
    while cause is not None:
        # aiohttp's own error is one of these too, without the message
        message = getattr(cause, "verify_message", "")
        if message and isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate: {message}"
        cause = cause.__cause__ or cause.__context__
    return _line(f"{type(fault).__name__}: {fault}".rstrip(": "))[:300]


def _line(text: str) -> str:
    """Words of a stranger that a person reads, in a terminal too: one line, no control characters."""
    return " ".join("".join([char if char.isprintable() else " " for char in text]).split())
