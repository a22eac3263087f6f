"""Keys: what is published matches what signs, for dkimpy as for dnspython."""

import base64

import dkim
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import DirectoryError
from relay.directory import keys

PROBE = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: probe\r\n\r\nprobe\r\n"
PEM = {algorithm: keys.generate(algorithm) for algorithm in keys.ALGORITHMS}


def key_of(algorithm: str) -> keys.SigningKey:
    return keys.load(PEM[algorithm], "example.org", "s1", algorithm)


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_generated_key_is_read_back(algorithm: str) -> None:
    key = key_of(algorithm)
    assert (key.domain, key.selector, key.algorithm) == ("example.org", "s1", algorithm)
    assert key.record_name == "s1._domainkey.example.org"


def test_dkimpy_verifies_a_signature_with_the_published_record() -> None:
    record = keys.public_record(key_of(keys.RSA)).encode()
    signature = dkim.sign(PROBE, b"s1", b"example.org", PEM[keys.RSA])
    assert dkim.verify(signature + PROBE, dnsfunc=lambda name, timeout=5: record)


def test_the_ed25519_record_is_that_of_rfc_8463_appendix_a() -> None:
    seed = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    key = keys.SigningKey("football.example.com", "brisbane", keys.ED25519, private)
    assert keys.public_record(key) == "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def test_a_private_key_is_not_in_the_repr() -> None:
    assert "private" not in repr(key_of(keys.RSA))


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_zone_line_reads_as_the_record(algorithm: str) -> None:
    key = key_of(algorithm)
    line = keys.zone_record(key.record_name, keys.public_record(key))
    name, _, _, value = line.split(" ", 3)
    assert name == "s1._domainkey.example.org."
    parsed = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, value.strip("() "))
    assert all(len(piece) <= 255 for piece in parsed.strings)
    assert b"".join(parsed.strings).decode() == keys.public_record(key)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=700))
def test_any_text_survives_the_zone_line(text: str) -> None:
    value = keys.zone_record("x.example.org", text).split(" ", 3)[3]
    if value.startswith("("):
        value = value[2:-2]
    parsed = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, value)
    assert b"".join(parsed.strings).decode() == text


def test_what_cannot_be_a_key_is_refused_with_the_remedy() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cases = [
        (lambda: keys.generate("rsa-sha1"), "use rsa-sha256 or ed25519-sha256"),
        (lambda: keys.generate(keys.RSA, 512), "use 2048"),
        (lambda: keys.load(b"no pem", "d", "s", keys.RSA), "unencrypted PEM"),
        (lambda: keys.load(PEM[keys.RSA], "d", "s", keys.ED25519), "name the other algorithm"),
        (lambda: keys.load(curve, "d", "s", keys.RSA), "give another key"),
        (lambda: keys.load(PEM[keys.RSA], "d", "s", "md5"), "use rsa-sha256"),
    ]
    for call, remedy in cases:
        with pytest.raises(DirectoryError, match=remedy):
            call()
