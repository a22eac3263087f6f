"""TLS towards the receivers: one SSL context per mode, made when first needed.

Contract: opportunistic means encrypted but not verified, since nothing vouches for an MX name without DNSSEC
or MTA-STS (RFC 7435); SNI is sent all the same, for receivers that choose their certificate by it. Required
and wrapper verify certificate and host name against the system's CAs, or ``ca_file`` in their place. TLS 1.2
at least in all modes: a peer with less is, where TLS is a choice, better served with a plain session than
refused. ``forget`` makes the next connection read the CA file again (SIGHUP).

Cost: a context takes milliseconds to make (the CA bundle), hence one per mode and not per connection.

Not here: when to use TLS and what its failure means (session), MTA-STS and DANE.
"""

from __future__ import annotations

import ssl

from relay.base.errors import ConfigError
from relay.base.route import TlsMode


class TlsContexts:
    """The contexts of all outbound connections."""

    __slots__ = ("_by_mode", "_ca_file")

    def __init__(self, ca_file: str = "") -> None:
        """``ca_file``: PEM with the CAs to trust; empty for the system's."""
        self._ca_file = ca_file
        self._by_mode: dict[TlsMode, ssl.SSLContext] = {}

    def context(self, mode: TlsMode) -> ssl.SSLContext:
        """The context for a mode other than NONE. Raises ConfigError if the CA file cannot be used."""
        found = self._by_mode.get(mode)
        if found is None:
            found = self._by_mode[mode] = self._make(mode)
        return found

    def forget(self) -> None:
        """Read the CAs again for connections to come."""
        self._by_mode.clear()

    def _make(self, mode: TlsMode) -> ssl.SSLContext:
        if mode is TlsMode.NONE:
            raise ValueError("no context where there is no TLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if mode is TlsMode.OPPORTUNISTIC:
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
