"""TLSA records as words (RFC 6698, RFC 7671), and the parts of a certificate that they are compared with.

Contract, pure. ``Tlsa.matches`` compares a certificate in DER with one record; a record of an unknown
selector or matching type matches nothing. ``public_key_of`` gives the SubjectPublicKeyInfo exactly as it
stands in the certificate: to parse and write it anew could change its bytes (compressed points, RSASSA-PSS
parameters), and with them the digest. It raises ValueError for what is not a certificate.

Usages 0 and 1 are not usable for SMTP (RFC 7672 3.1.3).

Not here: the asking (``transport.tlsa_lookup``), chains and names (``transport.dane``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DANE_TA = 2
DANE_EE = 3
_DIGEST_BYTES = {1: 32, 2: 64}
_CERTIFICATE, _PUBLIC_KEY = 0, 1
_SEQUENCE, _VERSION = 0x30, 0xA0
_BEFORE_PUBLIC_KEY = 5  # serial number, signature, issuer, validity, subject


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record."""

    usage: int
    selector: int
    matching: int
    association: bytes

    @property
    def is_usable(self) -> bool:
        """Whether it can vouch for a mail server's certificate."""
        if self.usage not in (DANE_TA, DANE_EE) or self.selector not in (_CERTIFICATE, _PUBLIC_KEY):
            return False
        if self.matching == 0:
            return bool(self.association)
        return len(self.association) == _DIGEST_BYTES.get(self.matching)

    def matches(self, certificate: bytes) -> bool:
        """Whether it speaks of this certificate. Raises ValueError."""
        chosen = certificate if self.selector == _CERTIFICATE else public_key_of(certificate)
        if self.matching == 1:
            chosen = hashlib.sha256(chosen).digest()
        elif self.matching == 2:
            chosen = hashlib.sha512(chosen).digest()
        return self.is_usable and chosen == self.association

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.association.hex()}"


def public_key_of(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate (RFC 5280 4.1), as it stands there. Raises ValueError."""
    outer, _ = _element(certificate, 0, _SEQUENCE)
    signed, _ = _element(certificate, outer, _SEQUENCE)
    at = signed
    if certificate[at : at + 1] == bytes([_VERSION]):
        at = _end(certificate, at)
    for _ in range(_BEFORE_PUBLIC_KEY):
        at = _end(certificate, at)
    _, end = _element(certificate, at, _SEQUENCE)
    return certificate[at:end]


def _element(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of an element of this kind begins, and where it ends."""
    if der[at : at + 1] != bytes([tag]):
        raise ValueError("not a certificate")
    return _content(der, at)


def _end(der: bytes, at: int) -> int:
    return _content(der, at)[1]


def _content(der: bytes, at: int) -> tuple[int, int]:
    head = der[at : at + 2]
    if len(head) < 2:
        raise ValueError("a certificate that ends too soon")
    begin, size = at + 2, head[1]
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or begin + count > len(der):
            raise ValueError("not a certificate: a length that cannot be")
        size = int.from_bytes(der[begin : begin + count])
        begin += count
    if begin + size > len(der):
        raise ValueError("a certificate that ends too soon")
    return begin, begin + size
