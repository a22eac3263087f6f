"""The key and certificate that sign SNS envelopes: ``sns.key`` and ``sns.crt`` in the spool.

Made by the first notifier that needs them (RSA 2048, self-signed, ten years), the key with mode 0600. The
certificate is public: the relay serves it below [verification] url, at ``/sns/<fingerprint>.pem``, which is
where SigningCertURL points. Whoever removes both files gets new ones with the next restart, at another
address, so that receivers that have kept the old one fetch the new one.

Blocking.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from relay.base.errors import SpoolError

KEY, CERTIFICATE = "sns.key", "sns.crt"
_YEARS = 10


@dataclass(frozen=True, slots=True)
class SnsCertificate:
    """The pair, opened."""

    key: rsa.RSAPrivateKey
    name: str  # of the file behind the public page

    def sign(self, text: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256."""
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())

    def url(self, public_url: str) -> str:
        """Where receivers find the certificate."""
        return f"{public_url.rstrip('/')}/sns/{self.name}"


def load(spool: Path, hostname: str, now: float) -> SnsCertificate:
    """The pair of this spool, made if there is none. Raises SpoolError."""
    key_file, certificate_file = spool / KEY, spool / CERTIFICATE
    try:
        if not (key_file.exists() and certificate_file.exists()):
            _make(key_file, certificate_file, hostname, now)
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("not an RSA key")
        return SnsCertificate(key, name_of(certificate_file.read_bytes()))
    except (OSError, ValueError) as error:
        raise SpoolError(f"{key_file}: {error}; remove it and {CERTIFICATE}, then restart") from error


def name_of(pem: bytes) -> str:
    """The name under which a certificate is served."""
    digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
    return f"{digest.hex()[:32]}.pem"


def published(spool: Path, name: str) -> bytes | None:
    """The certificate that is served under this name; None if it is not ours."""
    try:
        pem = (spool / CERTIFICATE).read_bytes()
        return pem if name_of(pem) == name else None
    except (OSError, ValueError):
        return None


def _make(key_file: Path, certificate_file: Path, hostname: str, now: float) -> None:
    key = rsa.generate_private_key(65537, 2048)
    start = datetime.datetime.fromtimestamp(now, datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=1))
        .not_valid_after(start + datetime.timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.unlink(missing_ok=True)
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(pem)
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
