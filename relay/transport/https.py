"""Requests over HTTPS to hosts that strangers name in the DNS: policy files, and where reports go.

Contract: ``ask`` returns an ``HttpsAnswer`` (any status; no redirect is followed) or an ``HttpsFailure`` that
says why there is none, as a value. The certificate must verify for the host. Addresses come from the relay's
own resolver, so that web and mail see the same DNS; they are tried in turn until one answers. As with MX
hosts, addresses that are not of the Internet are not connected to unless that is allowed: the owner of a
domain chooses where a name leads.

No proxy and nothing else of the environment is used. The CA file is read with the first request, and the
library is loaded then, in a thread: most relays never ask, and each of their processes would carry it. The
only module that knows httpx.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relay.base.endpoint import format_endpoint
from relay.base.errors import ConfigError
from relay.transport.answers import Answer, Status
from relay.transport.connect import is_public

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 60.0
_PORT = 443
_STEP_S = 20.0  # to connect, and between two pieces: leaves time for a second address
_ADDRESSES = 4


class Addresses(Protocol):
    """What is asked of the DNS (``resolve.Resolver``)."""

    async def addresses(self, host: str) -> Answer:
        """Addresses of a host."""
        ...


@dataclass(frozen=True, slots=True)
class HttpsAnswer:
    """What a server said. ``kind`` is the media type in lower case, without parameters."""

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpsFailure:
    """No answer, and why; ``is_distrust``: the certificate did not verify."""

    detail: str
    is_distrust: bool = False


class Https:
    """A client for all hosts; each request has a connection of its own."""

    __slots__ = ("_addresses", "_ca_file", "_context", "_is_private_allowed", "timeout_s")

    def __init__(
        self,
        addresses: Addresses,
        ca_file: str = "",
        is_private_allowed: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """``ca_file``: PEM with the CAs to trust; empty for the system's. ``timeout_s`` is for a request in
        all."""
        self._addresses = addresses
        self._ca_file = ca_file
        self._is_private_allowed = is_private_allowed
        self.timeout_s = timeout_s
        self._context: ssl.SSLContext | None = None

    def forget(self) -> None:
        """Read the CAs again for requests to come."""
        self._context = None

    async def ask(
        self,
        method: str,
        host: str,
        port: int,
        path: str,
        limit: int,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpsAnswer | HttpsFailure:
        """One request; an answer whose body is longer than ``limit`` is a failure."""
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self._addresses.addresses(host)
                if answer.status is not Status.FOUND:
                    return HttpsFailure(f"{host}: {answer.detail}")
                got = HttpsFailure(f"{host} has only addresses that are not of the Internet")
                context = self._context
                if context is None:
                    try:
                        context = await asyncio.to_thread(_context, self._ca_file)
                    except ConfigError as fault:
                        return HttpsFailure(str(fault))
                    self._context = context
                import httpx  # `_context` has loaded it

                allowed = [one for one in answer.addresses if self._is_private_allowed or is_public(one)]
                name = host if port == _PORT else f"{host}:{port}"
                async with httpx.AsyncClient(verify=context, trust_env=False, timeout=_STEP_S) as client:
                    for address in allowed[:_ADDRESSES]:
                        request = client.build_request(
                            method,
                            f"https://{format_endpoint(address, port)}{path}",
                            headers={"Host": name, "User-Agent": "relay", **(headers or {})},
                            content=content,
                            extensions={"sni_hostname": host},
                        )
                        try:
                            return await _answer(client, request, host, limit)
                        except httpx.HTTPError as fault:
                            got = _failure(host, address, fault)
                return got
        except TimeoutError:
            return HttpsFailure(f"{host}: not complete within {self.timeout_s:g} s")


async def _answer(
    client: httpx.AsyncClient, request: httpx.Request, host: str, limit: int
) -> HttpsAnswer | HttpsFailure:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        body = b""
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > limit:
                return HttpsFailure(f"{host}: longer than {limit} bytes")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return HttpsAnswer(response.status_code, kind, body)
    finally:
        await response.aclose()


def _context(ca_file: str) -> ssl.SSLContext:
    """What takes long before the first request: a tenth of a second that no event loop should stand still."""
    import httpx  # noqa: F401

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not ca_file:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as fault:
        raise ConfigError(f"CA file {ca_file}: {fault}; give a PEM file with CA certificates") from fault
    return context


def _failure(host: str, address: str, fault: BaseException) -> HttpsFailure:
    """What an error of httpx was; what OpenSSL said is found among its causes."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return HttpsFailure(f"{host} [{address}]: {cause.verify_message}", is_distrust=True)
        cause = cause.__cause__ or cause.__context__
    return HttpsFailure(f"{host} [{address}]: {type(fault).__name__}: {fault}".rstrip(": "))
