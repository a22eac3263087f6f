"""That both sides do what is measured: each signs, once, with RSA-2048, and its signature verifies.

A benchmark of signing with the milter switched off would be a fine number of nothing; so one message of each
side is taken from the sink and verified with dkimpy before the first load. No DNS: the key is handed in.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_SIGNATURE = re.compile(rb"(?im)^dkim-signature:")


def write_key(path: Path) -> rsa.RSAPrivateKey:
    """A new RSA-2048 key, also written to ``path`` as PEM with mode 0600."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def key_record(key: rsa.RSAPrivateKey) -> bytes:
    """The TXT record of the public half (RFC 6376 3.6.1)."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def check(content: bytes, record: bytes) -> str:
    """What is wrong with the signature of a message, or empty."""
    header = content.partition(b"\r\n\r\n")[0]
    count = len(_SIGNATURE.findall(header))
    if count != 1:
        return f"{count} signatures where there should be one"
    bits = len(re.sub(rb"(?s).*\bp=|;.*", b"", record)) * 6
    if not 2048 < bits < 2500:
        return "the key is not RSA-2048"
    if b"rsa-sha256" not in header:
        return "the signature is not rsa-sha256"
    is_good = dkim.verify(content, dnsfunc=lambda _name, timeout=5: record)
    return "" if is_good else "the signature does not verify"
