"""What is quoted of the message that a report is about."""

import pytest

from relay.codec.headers import MAX_FIELDS
from relay.codec.original_header import (
    as_seven_bits,
    excerpt,
    header_of,
    message_id_of,
    references_of,
    text_of,
)


def test_a_header() -> None:
    content = b"Subject: one\r\n two\r\nMessage-ID: <1@example.com>\r\n\r\nbody\r\n"
    header = header_of(content)
    assert excerpt(header) == content[: content.index(b"\r\n\r\n") + 2]
    assert text_of(header, b"subject") == "one two"
    assert message_id_of(header) == "<1@example.com>"
    assert references_of(header) == ["<1@example.com>"]


@pytest.mark.parametrize("content", [b"no field at all\r\n\r\n", b"a: b\r\n" * (MAX_FIELDS + 1)])
def test_what_is_no_header(content: bytes) -> None:
    header = header_of(content)
    assert header is None
    assert excerpt(header) == b""
    assert (message_id_of(header), text_of(header, b"subject"), references_of(header)) == ("", "", [])


def test_whole_fields_up_to_a_limit() -> None:
    fields = [b"X-%03d: %s\r\n" % (number, b"x" * 900) for number in range(60)]
    kept = excerpt(header_of(b"".join(fields) + b"\r\n"))
    assert b"".join(fields).startswith(kept)
    assert 31 * 1024 < len(kept) <= 32 * 1024
    assert kept.endswith(b"x\r\n")


@pytest.mark.parametrize(
    "value", [b"1@example.com", b"<1@example.com", b"<" + b"x" * 600 + b">", b"<\xff@x>", b""]
)
def test_ids_that_cannot_be_quoted(value: bytes) -> None:
    assert message_id_of(header_of(b"Message-ID: " + value + b"\r\n\r\n")) == ""


def test_references_are_those_of_the_message_and_its_own() -> None:
    listed = b"".join([b"\r\n <%d@example.org>" % number for number in range(50)])
    header = header_of(b"References:" + listed + b" junk\r\nMessage-ID: <own@example.com>\r\n\r\n")
    found = references_of(header)
    assert found == [*(f"<{number}@example.org>" for number in range(30, 50)), "<own@example.com>"]


def test_seven_bits() -> None:
    assert as_seven_bits("Grüße".encode()).isascii()
    assert as_seven_bits(b"plain") == b"plain"
