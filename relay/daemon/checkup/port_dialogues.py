"""Clients of our own: what each listener says, and whether a receiver's server can be reached.

Contract: blocking, over within about twice ``TIMEOUT_S`` whatever the other side does, and never raises for
that. No mail is sent and nobody logs in. Certificates are not verified: what they are worth is judged
elsewhere.
"""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from collections.abc import Iterator

from cryptography import x509

from relay.admin.host_facts import Outbound, PortSeen
from relay.base.clock import SystemClock
from relay.base.endpoint import format_endpoint
from relay.daemon.settings.config import Config
from relay.daemon.settings.sections import ListenerSection

TIMEOUT_S = 4.0
_CLOCK = SystemClock()
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what is bound so answers there


def listeners(config: Config) -> Iterator[tuple[ListenerSection, str, int]]:
    """Each listener with each of its addresses."""
    for one in config.listener:
        for host, port in one.address:
            yield one, host, port


def look(
    listener: ListenerSection, host: str, port: int, hello: str, timeout_s: float = TIMEOUT_S
) -> PortSeen:
    """A dialogue with one address up to EHLO in TLS; ``hello`` is what we call ourselves."""
    at = _ANYWHERE.get(host, host)
    seen = PortSeen(
        format_endpoint(host, port),
        listener.tls,
        listener.auth,
        listener.role,
        is_for_proxies=listener.proxy_protocol,
        is_trusting=_trusts(listener, at),
    )
    if listener.proxy_protocol:
        return seen
    found: dict[str, object] = {}
    try:
        _talk(listener, at, port, hello, timeout_s, found)
    except (smtplib.SMTPException, OSError) as error:
        if isinstance(error, smtplib.SMTPConnectError):
            found["greeting"] = _line(error.smtp_code, error.smtp_error)
        else:
            found["fault"] = _words(error)
    return PortSeen(**{**_members(seen), **found})  # type: ignore[arg-type]


def _members(seen: PortSeen) -> dict[str, object]:
    return {name: getattr(seen, name) for name in PortSeen.__slots__}


def _trusts(listener: ListenerSection, at: str) -> bool:
    if not listener.trusted_networks:
        return True
    try:
        address = ipaddress.ip_address(at)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(str(one), strict=False) for one in listener.trusted_networks)


def _talk(
    listener: ListenerSection, at: str, port: int, hello: str, timeout_s: float, found: dict[str, object]
) -> None:
    context, until = _context(), _CLOCK.monotonic() + 2 * timeout_s
    if listener.tls == "wrapper":
        client: smtplib.SMTP = smtplib.SMTP_SSL(timeout=timeout_s, local_hostname=hello, context=context)
        client._host = at  # type: ignore[attr-defined]  # what SNI says
    else:
        client = smtplib.SMTP(timeout=timeout_s, local_hostname=hello)
    try:
        code, text = client.connect(at, port)
        found["greeting"] = _line(code, text)
        if code != 220:
            return
        _step(client, until)
        client.ehlo()
        found["before"] = _keywords(client)
        _step(client, until)
        if listener.tls == "starttls" and "STARTTLS" in _keywords(client):
            client._host = at  # type: ignore[attr-defined]
            client.starttls(context=context)
            _step(client, until)
            client.ehlo()
        if isinstance(client.sock, ssl.SSLSocket):
            found["after"] = _keywords(client)
            found["tls_version"] = client.sock.version() or ""
            found["ends_at"] = _ends_at(client.sock.getpeercert(binary_form=True))
        _step(client, until)
        client.quit()
    finally:
        client.close()


def _step(client: smtplib.SMTP, until: float) -> None:
    """One more question, if there is time left."""
    left_s = until - _CLOCK.monotonic()
    if left_s <= 0:
        raise TimeoutError
    if client.sock is not None:
        client.sock.settimeout(min(left_s, TIMEOUT_S))


def reach(host: str, port: int, hello: str, timeout_s: float = TIMEOUT_S) -> Outbound:
    """A receiver's server, as far as EHLO."""
    start, name = _CLOCK.monotonic(), format_endpoint(host, port)
    client = smtplib.SMTP(timeout=timeout_s, local_hostname=hello)
    try:
        code, text = client.connect(host, port)
        took_s = _CLOCK.monotonic() - start
        if code == 220:
            client.ehlo()
        has_starttls = client.has_extn("starttls")
        client.quit()
    except (smtplib.SMTPException, OSError) as error:
        return Outbound(name, fault=_words(error))
    finally:
        client.close()
    return Outbound(name, _line(code, text), has_starttls, took_s)


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _keywords(client: smtplib.SMTP) -> frozenset[str]:
    return frozenset(name.upper() for name in client.esmtp_features)


def _ends_at(der: bytes | None) -> float:
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp() if der else 0.0
    except ValueError:
        return 0.0


def _line(code: int, text: bytes | str) -> str:
    said = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    return f"{code} {said.partition(chr(10))[0]}"[:200]


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError) or "timed out" in str(error):  # smtplib has a word of its own for it
        return "no answer in time"
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException | ssl.SSLError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__
