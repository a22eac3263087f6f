"""TLSA records against certificates; the key as it stands in the certificate."""

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.tlsa import Tlsa, public_key_of
from tests.fakes.chains import make

MADE = make("mx.example", names=("mx.example",))
OTHER = make("mx.example", names=("mx.example",))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("usage", [2, 3])
def test_a_record_matches_its_own_certificate_and_no_other(usage: int, selector: int, matching: int) -> None:
    record = MADE.tlsa(usage, selector, matching)
    assert record.is_usable
    assert record.matches(MADE.der)
    assert not record.matches(OTHER.der)


def test_the_key_is_what_cryptography_reads() -> None:
    written = MADE.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert public_key_of(MADE.der) == written


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(0, 0, 1, bytes(32)),  # PKIX-TA
        Tlsa(1, 1, 1, bytes(32)),  # PKIX-EE
        Tlsa(4, 1, 1, bytes(32)),
        Tlsa(3, 2, 1, bytes(32)),
        Tlsa(3, 1, 3, bytes(32)),
        Tlsa(3, 1, 1, bytes(31)),
        Tlsa(3, 1, 2, bytes(32)),
        Tlsa(3, 1, 0, b""),
    ],
    ids=str,
)
def test_what_a_mail_client_cannot_use(record: Tlsa) -> None:
    assert not record.is_usable
    assert not record.matches(MADE.der)


def test_usages_of_the_web_match_nothing_even_with_the_right_digest() -> None:
    for usage in (0, 1):
        right = MADE.tlsa(3, 1, 1)
        assert not Tlsa(usage, 1, 1, right.association).matches(MADE.der)


def test_its_text_is_that_of_a_zone_file() -> None:
    assert str(Tlsa(3, 1, 1, b"\x01\xab")) == "3 1 1 01ab"


@given(st.integers(0, len(MADE.der) - 1), st.binary(min_size=1, max_size=3))
def test_damaged_certificates_raise_nothing_but_value_errors(at: int, put: bytes) -> None:
    damaged = MADE.der[:at] + put + MADE.der[at + len(put) :]
    for text in (damaged, MADE.der[:at], put):
        try:
            key = public_key_of(text)
        except ValueError:
            continue
        assert key in text
