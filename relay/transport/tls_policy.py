"""TLS towards the receivers: one SSL context per mode and client certificate, made when first needed, and the
TLS sessions that spare the next connection half of its handshake.

Contract: opportunistic, "encrypt" and DANE mean that OpenSSL checks no certificate: nothing vouches for an MX
name without DNSSEC or MTA-STS (RFC 7435), and TLSA records are compared after the handshake, by ``dane``. SNI
is sent all the same, for receivers that choose their certificate by it. Required and wrapper verify
certificate and host name against the system's CAs, or ``ca_file`` in their place. TLS 1.2 at least in all
modes: a peer with less is, where TLS is a choice, better served with a plain session than refused. ``forget``
makes the next connection read the CA file and the client certificates again (SIGHUP), and drops all sessions.

Resumption: ``keep`` remembers the session of a connection for the next one to the same name in the same
context, for ``_RESUME_S`` at most; so what a full handshake has proved is never older than that, and a
session that was not verified is never used where it must be. Not for DANE: a session that Python hands out
has lost the chain of its peer, and nothing would be left to compare with the records. TLS 1.3 sends its
tickets after the handshake, hence ``keep`` is called once the peer has answered something. asyncio and uvloop
have no way to pass a session to a handshake; both ask the context to make the connection (``wrap_bio``), and
that is where it is put in.

Bound: ``_MAX_SESSIONS`` per context; past it the oldest goes.

Cost: a context takes milliseconds to make (the CA bundle), hence one per mode and not per connection. A full
handshake costs us 1.05 ms of processor, a resumed one 0.77 ms (TLS 1.3, ECDSA, a chain of two; OpenSSL 3.0).

Not here: when to use TLS (``tls_decision``), and what its failure means (``opening``).
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import NoReturn

from relay.base.errors import ConfigError
from relay.base.route import TlsMode

_MAX_SESSIONS = 2000  # about 3 KB each, the peer's certificates included
_RESUME_S = 3600.0
_VERIFIED = (TlsMode.REQUIRED, TlsMode.WRAPPER)


class ResumingContext(ssl.SSLContext):
    """A client context that offers the last session of the same server name."""

    sessions: dict[str, tuple[ssl.SSLSession, float]]  # with the time of its full handshake

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the base class, with a session that was kept."""
        if session is None and isinstance(server_hostname, str):
            kept = self.sessions.get(server_hostname)
            if kept is not None and monotonic() < kept[1] + _RESUME_S:
                session = kept[0]
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def keep(self, connection: ssl.SSLObject) -> None:
        """Remember the session of a connection of this context that has proved what it had to.

        OpenSSL takes no session of another context: each handshake with that name would fail."""
        name, session = connection.server_hostname, connection.session
        if not isinstance(name, str) or session is None or not session.has_ticket:
            return
        known = self.sessions.pop(name, None)
        # a resumed session proves nothing anew: it is as old as the handshake that it goes back to
        began = known[1] if known is not None and connection.session_reused else monotonic()
        if len(self.sessions) >= _MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        self.sessions[name] = (session, began)


class TlsContexts:
    """The contexts of all outbound connections."""

    __slots__ = ("_by_use", "_ca_file")

    def __init__(self, ca_file: str = "") -> None:
        """``ca_file``: PEM with the CAs to trust; empty for the system's."""
        self._ca_file = ca_file
        self._by_use: dict[tuple[TlsMode, str, str], ResumingContext] = {}

    def context(self, mode: TlsMode, certificate: str = "", key: str = "") -> ResumingContext:
        """The context for a mode other than NONE, and the files of a client certificate. Raises ConfigError
        if a file cannot be used."""
        use = (mode, certificate, key)
        found = self._by_use.get(use)
        if found is None:
            found = self._make(mode)
            if certificate:
                _load_certificate(found, certificate, key)
            self._by_use[use] = found
        return found

    def forget(self) -> None:
        """Read the files again for connections to come."""
        self._by_use.clear()

    def _make(self, mode: TlsMode) -> ResumingContext:
        if mode is TlsMode.NONE:
            raise ValueError("no context where there is no TLS")
        context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sessions = {}
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if mode not in _VERIFIED:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if not self._ca_file:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            return context
        try:
            context.load_verify_locations(cafile=self._ca_file)
        except (OSError, ssl.SSLError) as fault:
            raise ConfigError(
                f"CA file {self._ca_file}: {fault}; give a PEM file with CA certificates"
            ) from fault
        return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    def no_password() -> NoReturn:
        raise ConfigError(f"client key {key or certificate} has a password; give one without (chmod 600)")

    try:
        context.load_cert_chain(certificate, key or None, password=no_password)
    except (OSError, ssl.SSLError) as fault:
        raise ConfigError(
            f"client certificate {certificate}, key {key or certificate}: {fault}; "
            "give PEM files that belong together and that the relay's user may read"
        ) from fault
