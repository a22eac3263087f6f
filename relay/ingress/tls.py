"""Our certificate, for clients: TLS 1.2 and 1.3 only.

Contract: ``Certificate.context`` is one object for life, so that servers can hold it. ``reload`` reads both
files again: they are tried on a fresh context first, and only a pair that loads there goes into the one in
use; new connections get it, sessions that are open go on with what they have. On failure the old pair stays,
and the ConfigError says which file is wrong and how.

It does not ask clients for certificates.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from relay.base.errors import ConfigError


class Certificate:
    """A certificate chain and its private key, both PEM files. Raises ConfigError if they cannot be used."""

    __slots__ = ("_chain", "_key", "context")

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self.context = _fresh()
        self._load(self.context)

    def reload(self) -> None:
        """Take up what the files hold now. Raises ConfigError, and keeps the old pair, if they are unfit."""
        self._load(_fresh())
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        for what, file in (("certificate", self._chain), ("private_key", self._key)):
            try:
                with file.open("rb"):
                    pass
            except OSError as error:
                raise ConfigError(f"[tls] {what}: {file}: {error.strerror}") from error
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except ssl.SSLError as error:
            raise ConfigError(self._explain(error)) from error
        except ValueError as error:
            raise ConfigError(
                f"[tls] private_key: {self._key} is encrypted; the daemon cannot ask for a password: "
                "store it without one, mode 0600"
            ) from error

    def _explain(self, error: ssl.SSLError) -> str:
        if error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):  # another key; of another kind
            return f"[tls] {self._key} is not the key of the certificate {self._chain}"
        reason = error.reason or error.__class__.__name__
        return f"[tls] {self._chain} and {self._key} cannot be loaded as PEM certificate and key: {reason}"


def _fresh() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _no_password() -> str:
    raise ValueError("an encrypted key")


def describe(ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> str:
    """Version and cipher, e.g. ``TLSv1.3 TLS_AES_256_GCM_SHA384``."""
    if ssl_object is None:
        return ""
    cipher = ssl_object.cipher()
    return f"{ssl_object.version()} {cipher[0]}" if cipher else str(ssl_object.version())
