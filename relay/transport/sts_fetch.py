"""The policy file of a domain, over HTTPS as RFC 8461 3.3 wants it.

Contract: ``fetch`` returns the bytes of ``https://mta-sts.<domain>/.well-known/mta-sts.txt`` or a
``FetchFailure`` that says why there are none, as a value. The certificate must verify for
``mta-sts.<domain>``; no redirect is followed, nothing but status 200 and text/plain counts, 64 KB at most, a
minute in all.

Not here: the request (``https``); when to fetch, and what a failure means (``mta_sts``).
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.base.tls_session import TlsFailure
from relay.codec.mta_sts import MAX_POLICY_BYTES
from relay.transport.https import Https, HttpsFailure

PATH = "/.well-known/mta-sts.txt"


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """No policy came: the kind to report, and why."""

    kind: TlsFailure
    detail: str


class PolicyFetcher:
    """Gets policy files; one for all domains."""

    __slots__ = ("_https", "_port")

    def __init__(self, https: Https, port: int = 443) -> None:
        self._https = https
        self._port = port

    async def fetch(self, domain: str) -> bytes | FetchFailure:
        """The policy file of a domain given in A-labels."""
        host = f"mta-sts.{domain}"
        headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}
        got = await self._https.ask("GET", host, self._port, PATH, MAX_POLICY_BYTES, headers=headers)
        if isinstance(got, HttpsFailure):
            kind = TlsFailure.STS_WEBPKI_INVALID if got.is_distrust else TlsFailure.STS_POLICY_FETCH_ERROR
            return FetchFailure(kind, got.detail)
        if got.status != 200:
            return _failure(f"{host}: HTTP status {got.status}; only 200 counts")
        if got.kind != "text/plain":
            return _failure(f"{host}: Content-Type {got.kind!r}; a policy is text/plain")
        return got.body


def _failure(detail: str) -> FetchFailure:
    return FetchFailure(TlsFailure.STS_POLICY_FETCH_ERROR, detail)
