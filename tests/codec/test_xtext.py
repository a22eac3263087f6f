"""Text in parameters, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.xtext import address_text, decode_address, decode_xtext, in_seven_bits, xtext

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
LETTERS = st.text(st.characters(exclude_categories=["Cs", "C", "Z"]), min_size=1)


def test_xtext():
    assert xtext("a+b=c d\u017e") == "a+2Bb+3Dc+20d+C5+BE"


@given(PRINTABLE)
def test_xtext_decodes_to_what_was_encoded(text):
    encoded = xtext(text)
    assert not set(encoded) & set(" =")
    assert decode_xtext(encoded) == text


@given(LETTERS, st.booleans())
def test_an_address_beyond_ascii_decodes_to_what_was_encoded(text, is_utf8):
    encoded = address_text(f"utf-8;{text}", is_utf8)
    assert not set(encoded) & set(" =+")
    assert is_utf8 or encoded.isascii()
    assert decode_address(encoded) == f"utf-8;{text}"


@pytest.mark.parametrize(
    ("orcpt", "plain"),
    [
        ("rfc822;a b@example.org", "rfc822;a b@example.org"),
        ("utf-8;rené@example.org", "utf-8;ren\\x{E9}@example.org"),
        ("UTF-8;a@example.org", "utf-8;a@example.org"),
    ],
)
def test_in_seven_bits(orcpt, plain):
    assert in_seven_bits(orcpt) == plain


@given(st.text())
def test_junk_is_refused_or_read(text):
    for read in (decode_xtext, decode_address):
        try:
            assert read(text).isprintable()
        except ValueError:
            continue


def test_what_was_decoded_is_not_decoded_again() -> None:
    assert decode_address("utf-8;a\\x{2B}41@example.org") == "utf-8;a+41@example.org"


@pytest.mark.parametrize("encoded", ["gr+C3+BC+C3+9Fe@example.org", "gr\xfc\xdfe@example.org"])
def test_postfix_calls_utf_8_rfc822(encoded):
    assert decode_address(f"rfc822;{encoded}") == "utf-8;gr\xfc\xdfe@example.org"


@pytest.mark.parametrize(
    "encoded", ["a+C3@example.org", "a+C2+85@example.org", "\xfc+0A@example.org", "\xfc+"]
)
def test_what_is_not_utf_8_is_no_address(encoded):
    with pytest.raises(ValueError, match=r"."):
        decode_address(f"rfc822;{encoded}")
