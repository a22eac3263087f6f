"""DKIM keys: made, read, and published.

A key is generated as PKCS #8 PEM (what the directory stores, encrypted), read back as a ``SigningKey`` (what
signing uses), and published as a TXT record (what the owner of the domain puts in DNS). Every public record
is computed from the private key, so that the two cannot differ.

Contract: ``load`` accepts exactly the algorithms of RFC 6376 (RSA with SHA-256, 1024 to 4096 bits) and of
RFC 8463 (Ed25519), and refuses a key whose type is not the one its algorithm names.

Cost: not on the hot path, but in its way: making an RSA-2048 key takes about 50 ms, reading one 36 ms, nearly
all of it the test that its numbers are consistent primes. A key that passed once and was sealed since need
not pass again (``is_proven``): 0.02 ms, which the event loop can spend when a key is first used.

It does not sign, and it knows nothing of the database.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from relay.base.errors import DirectoryError

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

RSA = "rsa-sha256"
ED25519 = "ed25519-sha256"
ALGORITHMS = (RSA, ED25519)

_RSA_BITS = range(1024, 4097)
_STRING_LIMIT_BYTES = 255  # one character-string of a TXT record (RFC 1035 3.3)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and where its public half is published: ``<selector>._domainkey.<domain>``."""

    domain: str
    selector: str
    algorithm: str  # "rsa-sha256" or "ed25519-sha256"
    private: PrivateKey = field(repr=False)

    @property
    def record_name(self) -> str:
        """The DNS name of the public record, without the final dot (RFC 6376 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


def generate(algorithm: str, bits: int = 2048) -> bytes:
    """A new private key as unencrypted PKCS #8 PEM; ``bits`` counts for RSA only.

    Raises DirectoryError for an unknown algorithm or an RSA size outside 1024 to 4096 bits.
    """
    private: PrivateKey
    if algorithm == RSA:
        _check_bits(bits)
        private = generate_private_key(public_exponent=65537, key_size=bits)
    elif algorithm == ED25519:
        private = Ed25519PrivateKey.generate()
    else:
        raise _unknown(algorithm)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(pem: bytes, domain: str, selector: str, algorithm: str, *, is_proven: bool = False) -> SigningKey:
    """Read a private key: PKCS #8 or traditional PEM, without a passphrase.

    ``is_proven`` skips the test of an RSA key's numbers; only for keys that an authenticated store gave back,
    since a signature with inconsistent numbers can reveal the key.

    Raises DirectoryError if the text is no such key, or not one that fits ``algorithm``.
    """
    if algorithm not in ALGORITHMS:
        raise _unknown(algorithm)
    try:
        private = serialization.load_pem_private_key(
            pem, password=None, unsafe_skip_rsa_key_validation=is_proven
        )
    except (ValueError, TypeError) as error:  # TypeError: a passphrase is needed
        raise DirectoryError(
            f"the key {selector}._domainkey.{domain} cannot be read: use an unencrypted PEM private key"
        ) from error
    if algorithm == RSA and isinstance(private, RSAPrivateKey):
        _check_bits(private.key_size)
        return SigningKey(domain, selector, algorithm, private)
    if algorithm == ED25519 and isinstance(private, Ed25519PrivateKey):
        return SigningKey(domain, selector, algorithm, private)
    raise DirectoryError(
        f"the key {selector}._domainkey.{domain} is a {type(private).__name__}, not one for {algorithm}: "
        f"name the other algorithm, or give another key"
    )


def public_record(key: SigningKey) -> str:
    """The TXT record that publishes the key, as one string (RFC 6376 3.6.1; RFC 8463 4 for Ed25519)."""
    public = key.private.public_key()
    if key.algorithm == ED25519:
        kind = "ed25519"
        octets = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        kind = "rsa"
        octets = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode('ascii')}"


def zone_record(name: str, text: str) -> str:
    """A TXT record as a line of a zone file, ``text`` cut into strings of at most 255 bytes.

    ``name`` gets its final dot, so that the line means the same below any ``$ORIGIN``. The value is put in
    parentheses when it takes more than one string.
    """
    pieces = [text[at : at + _STRING_LIMIT_BYTES] for at in range(0, len(text), _STRING_LIMIT_BYTES)] or [""]
    quoted = ['"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces]
    value = quoted[0] if len(quoted) == 1 else f"( {' '.join(quoted)} )"
    return f"{name.rstrip('.')}. IN TXT {value}"


def _check_bits(bits: int) -> None:
    if bits not in _RSA_BITS:
        raise DirectoryError(
            f"an RSA key of {bits} bits does not serve for DKIM: use 2048 (1024 to 4096 are possible)"
        )


def _unknown(algorithm: str) -> DirectoryError:
    return DirectoryError(f"no signature algorithm {algorithm!r}: use {' or '.join(ALGORITHMS)}")
