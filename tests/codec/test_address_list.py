"""Which lists of addresses are one, as a table."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.address_list import NO_DOMAIN, NO_LOCAL_PART, QUOTES, WHITE_SPACE, find_fault


@pytest.mark.parametrize(
    "value",
    [
        b"a@example.org",
        b"A B <a@example.org>",
        b'"B, A" <a@example.org>, c@example.org',
        b"undisclosed-recipients:;",
        b"Friends: a@example.org, B <b@example.org>;",
        b"Friends: a@example.org;, c@example.org",
        b"",
        b" \r\n\t",
        b"a@example.org,",
        b"a@example.org,, b@example.org",
        b"a@example.org (Mr (A) B)",
        b'a@example.org (5" long)',
        b"(c) a . b @ example . org",
        b"<@relay.example:a@example.org>",
        b"a@[192.0.2.1], b@[IPv6:2001:db8::1]",
        b'"a b"@example.org',
        b'"quoted \\" quote" <a@example.org>',
        "Jürgen <jürgen@bücher.example>".encode(),
        b"=?utf-8?q?J=C3=BCrgen?= <a@example.org>",
        b"J. R. Tolkien <a@example.org>,\r\n\tb@example.org",
        b"a..b@example.org",  # no dot-atom, but in use and without another meaning
        b"me@localhost",
    ],
)
def test_a_list(value: bytes) -> None:
    assert find_fault(value) == ""


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (b"root", NO_DOMAIN),
        (b"undisclosed recipients", NO_DOMAIN),
        (b"Name <>", NO_DOMAIN),
        (b"Name <root>", NO_DOMAIN),
        (b"a@example.org, root", NO_DOMAIN),
        (b"a@", NO_DOMAIN),
        (b"=?utf-8?b?YUBleGFtcGxlLm9yZw==?=", NO_DOMAIN),
        (b"Group: a@example.org, root;", NO_DOMAIN),
        (b"@example.org", NO_LOCAL_PART),
        (b"Name <@example.org>", NO_LOCAL_PART),
        (b'"A <a@example.org>', QUOTES),
        (b"A <a@example.org", QUOTES),
        (b"A a@example.org>", QUOTES),
        (b"A <a@example.org> B", QUOTES),
        (b"John Smith john@example.org", WHITE_SPACE),
        (b"a@example.org b@example.org", WHITE_SPACE),
    ],
)
def test_no_list(value: bytes, fault: str) -> None:
    assert find_fault(value) == fault


@given(st.binary(max_size=200) | st.text(alphabet='ab@<>,;:()"\\ .[]').map(str.encode))
def test_it_has_an_answer_for_everything(value: bytes) -> None:
    assert isinstance(find_fault(value), str)


@pytest.mark.parametrize(
    "piece",
    [
        b"(\\",
        b"(",
        b"a b",
        b". ",
        b"a  @",
        b'"',
        b"\\",
        b"<",
        b"a:",
        b"<@",
        b'"\\',
        b"[",
        b" ",
        b"a ,",
        b"(a",
        b",@.",
        b"a@b (",
    ],
)
def test_hostile_input_costs_time_in_its_length_only(piece: bytes) -> None:
    began = time.process_time()
    many = piece * (256 * 1024 // len(piece))
    for value in (
        many,
        b"a" + many,
        many + b"a",
        b"<" + many + b">",
        b"a" + many.replace(b" ", b"  " * 9) + b"b",
    ):
        find_fault(value)
    find_fault(b"a" + b" " * 256 * 1024 + b"b")
    assert time.process_time() - began < 2.0
