<<<<<<< HEAD
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
=======
"""The header of a message as notifications tell it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.headers import Header
from relay.codec.original_header import LIMIT_BYTES, original_header
from tests.fakes.guide import IS_HERE, examples


def told(header: str | bytes) -> dict[str, Any]:
    content = header if isinstance(header, bytes) else header.replace("\n", "\r\n").encode()
    return json.loads("{" + original_header(content + b"\r\n") + "}")


def value(header: str) -> str:
    return str(told(header)["headers"][0]["value"])


def test_every_field_as_it_came_and_in_its_order() -> None:
    found = told(
        "X-SES-MESSAGE-TAGS: a=b\n"
        "from: joe@example.org\n"
        'Content-Type: multipart/mixed;\n  boundary="x"\n'
        "Bcc: secret@example.org\n"
        "Empty:\n"
        "Spaced : yes\n"
    )
    assert found["headers"] == [
        {"name": "X-SES-MESSAGE-TAGS", "value": "a=b"},
        {"name": "from", "value": "joe@example.org"},
        {"name": "Content-Type", "value": 'multipart/mixed;  boundary="x"'},
        {"name": "Bcc", "value": "secret@example.org"},
        {"name": "Empty", "value": ""},
        {"name": "Spaced", "value": "yes"},
    ]
    assert found["headersTruncated"] is False
    assert found["commonHeaders"] == {"from": ["joe@example.org"], "bcc": ["secret@example.org"]}


def test_the_common_ones_under_their_names() -> None:
    found = told(
        "From: Joe <joe@example.org>\nSender: s@example.org\nReply-To: r@example.org\n"
        "To: a@example.com\nTo: b@example.com\nCc: c@example.com\nDate: Thu, 13 Nov 2025 02:13:20 +0000\n"
        "Message-ID: <1@example.org>\nSubject: one\nSubject: two\nReturn-Path: <rp@example.org>\n"
    )
    assert found["commonHeaders"] == {
        "from": ["Joe <joe@example.org>"],
        "sender": "s@example.org",
        "replyTo": ["r@example.org"],
        "to": ["a@example.com", "b@example.com"],
        "cc": ["c@example.com"],
        "date": "Thu, 13 Nov 2025 02:13:20 +0000",
        "messageId": "<1@example.org>",
        "subject": "one",
        "returnPath": "<rp@example.org>",
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"Jane Doe" <jane@example.com>, mary@example.com', "Jane Doe <jane@example.com>, mary@example.com"),
        ('"Doe, Jane" <jane@example.com>', '"Doe, Jane" <jane@example.com>'),
        (r'"a \"b\" \\c" <j@example.com>', r'"a \"b\" \\c" <j@example.com>'),
        ("=?utf-8?q?J=C3=BCrgen=2C_B=2E?= <j@example.com>", '"Jürgen, B." <j@example.com>'),
        ("Jürgen <jürgen@example.com>", "Jürgen <jürgen@example.com>"),
        ("undisclosed-recipients:;", "undisclosed-recipients:;"),
        ("", ""),
        ("(" * 1900, "(" * 1900),
        ("<" * 100, "<" * 100),
        ("a@b.example, " * 200, ("a@b.example, " * 200).strip()),  # more than are taken apart
    ],
)
def test_addresses_are_written_as_people_read_them(written: str, read: str) -> None:
    assert told(f"To: {written}\n")["commonHeaders"]["to"] == [read]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=?utf-8?b?SGVsbG8g4pyU?=", "Hello ✔"),
        ("=?utf-8?q?a?=\n =?iso-8859-1?q?=E9?=", "aé"),
        ("Grüße", "Grüße"),
        ("=?unheard-of?q?a?=", "=?unheard-of?q?a?="),
        ("=?utf-8?b?x?=", "=?utf-8?b?x?="),
        ("=?utf-8?q?" + "a" * 5000 + "?=", "=?utf-8?q?" + "a" * 5000 + "?="),
    ],
)
def test_encoded_words_are_read_where_they_can_be(written: str, read: str) -> None:
    assert value(f"Subject: {written}\n") == read
    assert told(f"Subject: {written}\n")["commonHeaders"]["subject"] == read


def test_bytes_that_are_no_text_are_marked() -> None:
    assert told(b"Subject: a\xff\xfeb\r\n")["headers"][0]["value"] == "a\ufffd\ufffdb"


def test_a_long_header_is_cut_behind_a_whole_field() -> None:
    field = "X-Field: " + "x" * 1013 + "\n"  # 1024 bytes with its CRLF
    whole = told(field * 9 + "X-Field: " + "x" * 1012 + "\n")
    assert (whole["headersTruncated"], len(whole["headers"])) == (False, 10)
    cut = told(field * 10)
    assert (cut["headersTruncated"], len(cut["headers"])) == (True, 9)
    late = told(field * 12 + "From: joe@example.org\n")
    assert len(late["headers"]) == 9
    assert late["commonHeaders"] == {"from": ["joe@example.org"]}  # in any case


def test_common_headers_have_a_bound_too() -> None:
    long = "To: " + "a@b.example, " * 2000 + "a@b.example\n"
    found = told(long + "Subject: kept\n" + "Cc: " + "c@d.example, " * 700 + "c@d.example\n" * 1)
    assert found["headers"] == []
    assert found["headersTruncated"] is True
    assert list(found["commonHeaders"]) == ["subject", "cc"]
    assert len(json.dumps(found)) < 2 * LIMIT_BYTES


_JUNK = st.text(
    alphabet=st.sampled_from('ab<>()"\\,;:@=?_ é\t[].') | st.characters(codec="utf-8"), max_size=80
)


@given(st.lists(st.tuples(st.sampled_from(["From", "To", "Subject", "Sender", "X-Any"]), _JUNK), max_size=6))
def test_no_header_stops_it(fields: list[tuple[str, str]]) -> None:
    clean = [(name, text.replace("\r", "").replace("\n", "")) for name, text in fields]
    content = "".join(f"{name}: {text}\r\n" for name, text in clean).encode() + b"\r\nbody"
    found = json.loads(f"{{{original_header(content)}}}")
    assert [one["name"] for one in found["headers"]] == [name for name, _ in clean]
    assert len(Header.parse(content).fields) == len(found["headers"])
    assert original_header(content).isascii()


@pytest.mark.skipif(not IS_HERE, reason="needs the SES developer guide beside the project")
def test_the_guides_headers_give_the_guides_common_headers() -> None:
    checked = 0
    for page in ("notification-examples.md", "event-publishing-retrieving-sns-examples.md"):
        for example in examples(page):
            mail = example["mail"]
            if "headers" not in mail or example.get("eventType") == "Click":
                continue
            header = "".join(f"{one['name']}: {one['value']}\n" for one in mail["headers"])
            found = told(header)
            assert found["headers"] == mail["headers"] or "  " in header
            common = dict(mail["commonHeaders"])
            if "messageId" not in found["commonHeaders"]:
                assert common.pop("messageId") == mail["messageId"]
            assert found["commonHeaders"] == common
            checked += 1
    assert checked >= 10
>>>>>>> 4b2d7ee (Notifications in SES's JSON, and the schema that they meet)
