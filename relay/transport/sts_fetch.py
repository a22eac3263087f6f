"""The policy file of a domain, over HTTPS as RFC 8461 3.3 wants it.

Contract: ``fetch`` returns the bytes of ``https://mta-sts.<domain>/.well-known/mta-sts.txt`` or a
``FetchFailure`` that says why there are none, as a value. The certificate must verify for
``mta-sts.<domain>``; no redirect is followed, nothing but status 200 and text/plain counts, 64 KB at most, a
minute in all. Addresses come from the relay's own resolver, so that web and mail see the same DNS; they are
tried in turn until one answers. As with MX hosts, addresses that are not of the Internet are not connected to
unless that is allowed: the owner of a domain chooses where the name leads.

No proxy and nothing else of the environment is used. The CA file is read with the first fetch.

Not here: when to fetch, and what a failure means (``mta_sts``).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Protocol

import httpx

from relay.base.endpoint import format_endpoint
from relay.base.errors import ConfigError
from relay.base.tls_session import TlsFailure
from relay.codec.mta_sts import MAX_POLICY_BYTES
from relay.transport.answers import Answer, Status
from relay.transport.connect import is_public

PATH = "/.well-known/mta-sts.txt"
TIMEOUT_S = 60.0
_STEP_S = 20.0  # to connect, and between two pieces: leaves time for a second address
_ADDRESSES = 4


class Addresses(Protocol):
    """What fetching asks of the DNS (``resolve.Resolver``)."""

    async def addresses(self, host: str) -> Answer:
        """Addresses of a host."""
        ...


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """No policy came: the kind to report, and why."""

    kind: TlsFailure
    detail: str


class PolicyFetcher:
    """Gets policy files; one for all domains."""

    __slots__ = ("_addresses", "_ca_file", "_context", "_is_private_allowed", "_port", "_timeout_s")

    def __init__(
        self,
        addresses: Addresses,
        ca_file: str = "",
        is_private_allowed: bool = False,
        port: int = 443,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """``ca_file``: PEM with the CAs to trust; empty for the system's."""
        self._addresses = addresses
        self._ca_file = ca_file
        self._is_private_allowed = is_private_allowed
        self._port = port
        self._timeout_s = timeout_s
        self._context: ssl.SSLContext | None = None

    def forget(self) -> None:
        """Read the CAs again for fetches to come."""
        self._context = None

    async def fetch(self, domain: str) -> bytes | FetchFailure:
        """The policy file of a domain given in A-labels."""
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._from_any(host)
        except TimeoutError:
            return _failure(f"{host}: not complete within {self._timeout_s:g} s")

    async def _from_any(self, host: str) -> bytes | FetchFailure:
        answer = await self._addresses.addresses(host)
        if answer.status is not Status.FOUND:
            return _failure(f"{host}: {answer.detail}")
        addresses = [one for one in answer.addresses if self._is_private_allowed or is_public(one)]
        got: bytes | FetchFailure = _failure(f"{host} has only addresses that are not of the Internet")
        try:
            context = self._context = self._context or _context(self._ca_file)
        except ConfigError as fault:
            return _failure(str(fault))
        async with httpx.AsyncClient(
            verify=context, trust_env=False, follow_redirects=False, timeout=_STEP_S
        ) as client:
            for address in addresses[:_ADDRESSES]:
                try:
                    return await self._from(client, host, address)
                except httpx.HTTPError as fault:
                    got = _failure_of(host, address, fault)
        return got

    async def _from(self, client: httpx.AsyncClient, host: str, address: str) -> bytes | FetchFailure:
        request = client.build_request(
            "GET",
            f"https://{format_endpoint(address, self._port)}{PATH}",
            headers={"Host": host, "User-Agent": "relay (MTA-STS)", "Accept-Encoding": "identity"},
            extensions={"sni_hostname": host},
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code != 200:
                return _failure(f"{host}: HTTP status {response.status_code}; only 200 counts")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != "text/plain":
                return _failure(f"{host}: Content-Type {kind!r}; a policy is text/plain")
            body = b""
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_POLICY_BYTES:
                    return _failure(f"{host}: longer than {MAX_POLICY_BYTES} bytes")
            return body
        finally:
            await response.aclose()


def _context(ca_file: str) -> ssl.SSLContext:
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


def _failure(detail: str) -> FetchFailure:
    return FetchFailure(TlsFailure.STS_POLICY_FETCH_ERROR, detail)


def _failure_of(host: str, address: str, fault: BaseException) -> FetchFailure:
    """What an error of httpx was; what OpenSSL said is found among its causes."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            detail = f"{host} [{address}]: {cause.verify_message}"
            return FetchFailure(TlsFailure.STS_WEBPKI_INVALID, detail)
        cause = cause.__cause__ or cause.__context__
    return _failure(f"{host} [{address}]: {type(fault).__name__}: {fault}".rstrip(": "))
