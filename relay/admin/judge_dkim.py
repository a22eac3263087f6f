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
from relay.directory.keys import zone_record
from relay.transport.answers import Status

_WEAK_BITS, _FINE_BITS = 1024, 2048  # RFC 8301 3.2: less than 1024 is not verified


def judge_dkim(facts: Facts) -> Iterator[Finding]:
    """What is to say of DKIM."""
    if not facts.is_dkim_on:
        hint = f"switch it on: relay identity dkim on {facts.domain}"
        yield Finding(Level.WARNING, "DKIM", f"is switched off for {facts.domain}", hint)
    elif not any(not key.is_service for key in facts.keys):
        hint = f"see `relay identity records {facts.domain}` and `relay identity check {facts.domain}`"
        yield Finding(Level.PROBLEM, "DKIM", f"no key signs for {facts.domain} now", hint)
    for key in facts.keys:
        yield _of_key(key)


def good_domains(facts: Facts) -> list[str]:
    """Domains whose signatures verify now."""
    return [key.domain for key in facts.keys if _of_key(key).level is not Level.PROBLEM]


def _of_key(key: KeySeen) -> Finding:
    if key.answer.status is Status.TEMPORARY:
        return unknown("DKIM", key.answer)
    wanted = zone_record(key.name, key.expected)
    fault = _fault(key)
    if fault:
        return Finding(Level.PROBLEM, "DKIM", f"{key.name} {fault}", wanted)
    tags = parse_tags(key.answer.texts[0])
    bits = _rsa_bits(tags["p"])
    kind = f"RSA {bits}" if bits else "Ed25519"
    if "y" in _words(tags.get("t", "")):
        seen = f"{key.name} is right, but says t=y: receivers treat its mail as unsigned (RFC 6376 3.6.1)"
        return Finding(Level.WARNING, "DKIM", seen, wanted)
    if bits and bits < _FINE_BITS:
        hint = f"{_FINE_BITS} bits are usual: make a new key"
        return Finding(Level.WARNING, "DKIM", f"{key.name} is right, {kind}", hint)
    return Finding(Level.OK, "DKIM", f"{key.name} is right, {kind}")


def _fault(key: KeySeen) -> str:
    """What is wrong with the records at the name of a key; "" for nothing."""
    texts = key.answer.texts
    if not texts:
        return "has no TXT record"
    if len(texts) > 1:
        return f"has {len(texts)} TXT records; one must be there (RFC 6376 3.6.2.2)"
    try:
        tags = parse_tags(texts[0])
    except ValueError as error:
        return f"cannot be read: {error}"
    wanted = parse_tags(key.expected)
    if tags.get("v", "DKIM1") != "DKIM1":
        return f"says v={tags['v']}, not v=DKIM1"
    if not tags.get("p"):
        return "has no key (p= is empty or missing), which means revoked"
    if tags.get("k", "rsa") != wanted.get("k", "rsa"):
        return f"says k={tags.get('k', 'rsa')}, not k={wanted['k']}"
    found = "".join(tags["p"].split())
    if found != wanted["p"]:
        return "holds a part of the key" if wanted["p"].startswith(found) else "holds another key"
    if "h" in tags and "sha256" not in _words(tags["h"]):
        return f"allows only h={tags['h']}, not sha256"
    if "s" in tags and not {"*", "email"} & set(_words(tags["s"])):
        return f"is not for mail: s={tags['s']}"
    if _rsa_bits(tags["p"]) and _rsa_bits(tags["p"]) < _WEAK_BITS:
        return f"has a key of {_rsa_bits(tags['p'])} bits, which receivers do not verify"
    return ""


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(":")]


def _rsa_bits(text: str) -> int:
    """The size of an RSA key; 0 if it is none."""
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split())))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return 0
    return key.key_size if isinstance(key, RSAPublicKey) else 0
