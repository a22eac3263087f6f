"""DKIM, as receivers judge it: can what we sign be verified, and does it speak for From? Pure.

Contract: one finding for each key that signs. ``good_domains`` are the signing domains of which a receiver
finds a usable key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from relay.admin.finding import Facts, Finding, KeySeen, Level, unknown
from relay.codec.tag_list import parse_tags
from relay.directory.dkim_records import fault
from relay.transport.answers import Status

_FINE_BITS = 2048  # RFC 8301 3.2


def judge_dkim(facts: Facts) -> Iterator[Finding]:
    """What is to say of DKIM."""
    if not facts.is_dkim_on:
        hint = f"switch it on: relay identity dkim {facts.domain} on"
        yield Finding(Level.WARNING, "DKIM", f"is switched off for {facts.domain}", hint)
    elif not any(key.is_signing and not key.is_service for key in facts.keys):
        state = f": its records are {facts.dkim_state}" if facts.dkim_state else ""
        hint = f"see `relay identity check {facts.domain}`"
        yield Finding(Level.PROBLEM, "DKIM", f"no key signs for {facts.domain} now{state}", hint)
    for key in facts.keys:
        yield _of_key(key)


def good_domains(facts: Facts) -> list[str]:
    """Domains that sign, and whose signatures verify now."""
    return [key.domain for key in facts.keys if key.is_signing and _of_key(key).level is not Level.PROBLEM]


def _of_key(key: KeySeen) -> Finding:
    if key.answer.status is Status.TEMPORARY:
        return unknown("DKIM", key.answer)
    wrong = fault(key.answer.texts, key.expected)
    if wrong:
        return Finding(Level.PROBLEM, "DKIM", f"{key.name}: {wrong}", key.publish)
    tags = parse_tags(key.answer.texts[0])
    bits = _rsa_bits(tags["p"])
    kind = f"RSA {bits}" if bits else "Ed25519"
    if "y" in [word.strip() for word in tags.get("t", "").split(":")]:
        seen = f"{key.name} is right, but says t=y: receivers treat its mail as unsigned (RFC 6376 3.6.1)"
        return Finding(Level.WARNING, "DKIM", seen, key.publish)
    if bits and bits < _FINE_BITS:
        hint = f"{_FINE_BITS} bits are usual: make a new key"
        return Finding(Level.WARNING, "DKIM", f"{key.name} is right, {kind}", hint)
    return Finding(Level.OK, "DKIM", f"{key.name} is right, {kind}")


def _rsa_bits(text: str) -> int:
    """The size of an RSA key; 0 if it is none."""
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split())))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return 0
    return key.key_size if isinstance(key, RSAPublicKey) else 0
