"""A TLS report handed in by HTTPS (RFC 8460 5.4).

Contract: ``post`` returns "" if the server took the report (any 2xx), else why not, for people. One try: when
to try again is the duty's matter. No redirect is followed; the certificate must verify.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from relay.transport.https import Https, HttpsFailure

_MAX_ANSWER_BYTES = 64 * 1024


async def post(https: Https, uri: str, compressed: bytes) -> str:
    """Hand in a report that is compressed with gzip. Raises ValueError for what is no https URI."""
    parts = urlsplit(uri)
    if parts.scheme.lower() != "https" or not parts.hostname:
        raise ValueError(f"{uri} is no https URI")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/tlsrpt+gzip"}
    got = await https.ask(
        "POST", parts.hostname, parts.port or 443, path, _MAX_ANSWER_BYTES, compressed, headers
    )
    if isinstance(got, HttpsFailure):
        return got.detail
    return "" if 200 <= got.status < 300 else f"{parts.hostname}: HTTP status {got.status}"
