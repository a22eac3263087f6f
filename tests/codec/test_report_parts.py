"""Mails taken apart: what real servers get wrong, and what hostile ones try."""

import time

from hypothesis import given
from hypothesis import strategies as st

from relay.codec.report_parts import MAX_BYTES, MAX_PARTS, as_text, fields_of, take_apart

REPORT = """\
From: MAILER-DAEMON@mx.example
Subject: failure
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="b/1"

preface
--b/1
Content-Type: text/plain

for people
--b/1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

--b/1
Content-Type: message/rfc822

Return-Path: <a@example.org>
Message-ID: <1@example.org>
Content-Type: multipart/mixed; boundary=inner

--inner
Content-Type: message/delivery-status

Final-Recipient: rfc822; not@ours.example
--inner--
--b/1--
"""


def test_a_report_in_three_parts() -> None:
    parts = take_apart(REPORT.encode())
    assert parts.media_type == "multipart/report"
    assert parts.header.first("subject") == "failure"
    assert parts.texts == ["for people"]
    assert parts.reports == [("message/delivery-status", "Reporting-MTA: dns; mx.example\n")]
    assert parts.returned is not None
    assert parts.returned.first("message-id") == "<1@example.org>"


def test_all_line_ends_are_the_same() -> None:
    parts = take_apart(REPORT.encode())
    for line_end in ("\r\n", "\r"):
        assert take_apart(REPORT.replace("\n", line_end).encode()) == parts


def test_encoded_parts_are_decoded() -> None:
    def part(encoding: str, body: str) -> str:
        return f"--b\nContent-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n{body}\n"

    content = (
        "Content-Type: multipart/mixed; boundary=b\n\n"
        + part("quoted-printable", "caf=C3=A9 =\nau lait")
        + part("BASE64", "aGVsbG8NCndvcmxk")
        + part("base64", "!")
        + part("x-unknown", "as it is")
    )
    assert take_apart(content.encode()).texts == ["café au lait", "hello\nworld", "", "as it is\n"]


def test_what_servers_get_wrong() -> None:
    content = (
        b"From MAILER-DAEMON Mon Jan 1 00:00:00 2015\nSubject: a\n  b\njunk\nTo : x@example.org\n"
        b'Content-Type: MULTIPART/Mixed; boundary = "b"\n\n'
        b"--b\nno header here, only text\nmore\n"
        b"--b \nContent-Type: text/plain; charset=nonsense\n\n\xe9t\xe9\n"
        b"--b\nContent-Type: message/delivery-status\n\nAction: failed\n"  # and no last boundary
    )
    parts = take_apart(content)
    assert parts.header.pairs[:2] == [("subject", "a b"), ("to", "x@example.org")]
    assert parts.texts == ["no header here, only text\nmore", "été"]
    assert parts.report("message/delivery-status") == "Action: failed\n"


def test_html_counts_where_there_is_no_text() -> None:
    head = "Content-Type: multipart/alternative; boundary=b\n\n"
    html = "--b\nContent-Type: text/html\n\n<P CLASS=x>hi\n <b>you</b><br>a&lt;b@c.example&gt;&nbsp;d</P>\n"
    assert take_apart(f"{head}{html}--b--\n".encode()).texts == ["\nhi you\na<b@c.example> d\n"]
    words = "--b\nContent-Type: text/html\n\nnot marked up: <a@b.example>\n 1 < 2\n"
    assert take_apart(f"{head}{words}--b--\n".encode()).texts == ["not marked up: <a@b.example>\n 1 < 2"]
    text = "--b\nContent-Type: text/plain\n\nhi\n"
    assert take_apart(f"{head}{text}{html}--b--\n".encode()).texts == ["hi"]


def test_a_multipart_without_its_boundary_is_text() -> None:
    for boundary in ("", "; boundary=gone"):
        content = f"Content-Type: multipart/report{boundary}\n\nAction: failed\n"
        assert take_apart(content.encode()).texts == ["Action: failed\n"]


def test_no_header_and_nothing_at_all() -> None:
    assert take_apart(b"").texts == [""]
    assert take_apart(b"\r\n\r\nSubject: after blank lines\r\n\r\nbody").header.first("subject") != ""


def test_fields_keep_their_order_and_repeat() -> None:
    fields = fields_of("A: 1\nB: 2\n\t3\na: 4\n: 5\nno field")
    assert fields.pairs == [("a", "1"), ("b", "2 3"), ("a", "4")]
    assert fields.all("a") == ["1", "4"]
    assert fields.first("c") == ""


def test_text_of_any_bytes() -> None:
    assert as_text("é".encode()) == "é"
    assert as_text(b"\xe9\x00") == "é"


@given(st.binary(max_size=2_000))
def test_any_bytes_come_apart(content: bytes) -> None:
    parts = take_apart(content)
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert take_apart(lines.replace(b"\n", b"\r\n")) == parts
    assert take_apart(lines.replace(b"\n", b"\r")) == parts


def _hostile() -> list[bytes]:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (depth, depth) for depth in range(10_000)
    )
    many = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 2_000_000
    alike = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--bb\n" * 2_000_000
    fields = b"A: 1\n" * 2_000_000
    folded = b"A: 1\n" + b" 2\n" * 3_000_000
    boundary = b"Content-Type: multipart/mixed; " + b"boundary = " * 900_000
    equals = b'Content-Type: multipart/mixed; boundary="' + b"\\" * 10_000_000
    tags = b"Content-Type: text/html\n\n<a>" + b"<br " * 1_000_000 + b"<a" * 1_000_000
    return [
        tags,
        nested,
        many,
        alike,
        fields,
        folded,
        boundary,
        equals,
        b"\r\n" * 5_000_000,
        b"\r" * 10_000_000,
    ]


def test_ten_megabytes_of_malice_take_bounded_time() -> None:
    for content in _hostile():
        started = time.process_time()
        parts = take_apart(content)
        assert time.process_time() - started < 1.0, content[:60]
        assert len(parts.texts) <= MAX_PARTS
        assert sum(len(text) for text in parts.texts) <= MAX_BYTES
