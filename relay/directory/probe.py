"""A new key proves itself: it signs a probe, and its published record must verify the signature.

RSA goes through dkimpy from end to end, an implementation that shares nothing with ours; it is given the
record only if it asks for the name where receivers will look. dkimpy has Ed25519 only where PyNaCl is
installed, so for that the signature is checked against the bytes in the record.

Done once per key, when it is made: 10 ms.
"""

from __future__ import annotations

import base64

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from relay.base.errors import DirectoryError
from relay.directory.keys import SigningKey, public_record


def prove(key: SigningKey) -> None:
    """Raise DirectoryError unless ``key`` and its public record belong together."""
    record = public_record(key)
    if isinstance(key.private, Ed25519PrivateKey):
        is_proven = _verifies_raw(key.private, record)
    else:
        is_proven = _verifies_with_dkimpy(key, record)
    if not is_proven:
        raise DirectoryError(
            f"the key {key.record_name} fails its own test: remove the identity and add it again, "
            f"and tell the authors of the relay if it fails again"
        )


def _verifies_with_dkimpy(key: SigningKey, record: str) -> bool:
    probe = f"From: postmaster@{key.domain}\r\nSubject: probe\r\n\r\nprobe\r\n".encode()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    asked_for = f"{key.record_name}.".encode()
    signature = dkim.sign(probe, key.selector.encode(), key.domain.encode(), pem)

    def published(name: bytes, timeout: float = 5) -> bytes | None:
        return record.encode() if name == asked_for else None

    return bool(dkim.verify(signature + probe, dnsfunc=published, minkey=1024))


def _verifies_raw(private: Ed25519PrivateKey, record: str) -> bool:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(record.rpartition("p=")[2]))
    try:
        public.verify(private.sign(b"probe"), b"probe")
    except InvalidSignature:
        return False
    return True
