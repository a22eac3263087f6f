"""The header of a message as notifications tell it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.headers import Header
from relay.codec.sent_header import LIMIT_BYTES, sent_header
from tests.fakes.guide import IS_HERE, examples


def told(header: str | bytes) -> dict[str, Any]:
    content = header if isinstance(header, bytes) else header.replace("\n", "\r\n").encode()
    return json.loads("{" + sent_header(content + b"\r\n") + "}")


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
        ("=?utf-7?q?+2AA-?=", "?"),  # half a surrogate pair: no text that could be stored or posted
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
    found = json.loads(f"{{{sent_header(content)}}}")
    assert [one["name"] for one in found["headers"]] == [name for name, _ in clean]
    assert len(Header.parse(content).fields) == len(found["headers"])
    assert sent_header(content).isascii()


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
