"""Automatic replies, read back by the standard library and by our own reader."""

from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.feedback import ReportKind
from relay.codec.auto_reply import compose, may_answer
from relay.codec.data import find_fault
from relay.codec.report import read

OOTO, SENDER = "ooto+batch=7@simulator.example.net", "0000-abc@bounces.example.net"


def made(original: bytes, responder: str = OOTO):
    content = compose(responder, SENDER, original)
    assert find_fault(content) is None
    assert max(map(len, content.split(b"\r\n"))) <= 998
    return content, message_from_bytes(content, policy=default)


def test_a_reply() -> None:
    content, parsed = made(
        b"From: shop@example.com\r\nSubject: Your order\r\nMessage-ID: <2@example.com>\r\n"
        b"References: <1@example.com>\r\n\r\nHello\r\n"
    )
    assert content.isascii()
    assert not parsed.defects
    assert {name: parsed[name] for name in ("To", "Subject", "Auto-Submitted", "In-Reply-To")} == {
        "To": SENDER,
        "Subject": "Auto: Your order",
        "Auto-Submitted": "auto-replied (vacation)",
        "In-Reply-To": "<2@example.com>",
    }
    assert parsed["From"].addresses[0].addr_spec == OOTO
    assert parsed["References"].split() == ["<1@example.com>", "<2@example.com>"]
    assert parsed.get_content_type() == "text/plain"
    assert OOTO in parsed.get_content()
    report = read(content)
    assert (report.kind, report.sender) == (ReportKind.AUTO_REPLY, OOTO)
    assert report.message_id == "<2@example.com>"


def test_a_subject_beyond_ascii_is_encoded() -> None:
    content, parsed = made("Subject: Grüße aus Köln\r\n\r\n".encode())
    assert content.isascii()
    assert parsed["Subject"] == "Auto: Grüße aus Köln"


def test_an_address_beyond_ascii() -> None:
    content, parsed = made(b"Subject: hi\r\n\r\n", "ooto+jörg@simulator.example.net")
    assert "<ooto+jörg@simulator.example.net>" in content.decode()
    assert parsed.get_content_charset() == "utf-8"


@pytest.mark.parametrize("original", [b"", b"this is no header\r\n\r\n", b"Message-ID: none\r\n\r\n"])
def test_a_message_without_a_header_is_answered_too(original: bytes) -> None:
    _, parsed = made(original)
    assert parsed["Auto-Submitted"]
    assert parsed["In-Reply-To"] is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_nothing_in_the_message_adds_a_field(subject: bytes, message_id: bytes) -> None:
    original = b"Subject: " + subject + b"\r\nMessage-ID: <" + message_id + b">\r\n\r\n"
    content = compose(OOTO, SENDER, original)
    head = content.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert set(names) <= {
        b"From", b"To", b"Subject", b"In-Reply-To", b"References", b"Auto-Submitted", b"MIME-Version",
        b"Content-Type", b"Content-Transfer-Encoding",
    }  # fmt: skip
    assert len(names) == len(set(names))
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("field", "answers"),
    [
        (b"", True),
        (b"Auto-Submitted: no\r\n", True),
        (b"Auto-Submitted: NO (really)\r\n", False),
        (b"Auto-Submitted: No; x=y\r\n", True),
        (b"Auto-Submitted: auto-generated\r\n", False),
        (b"Auto-Submitted: auto-replied (vacation)\r\n", False),
        (b"Precedence: bulk\r\n", True),
    ],
)
def test_what_a_program_sent_gets_no_answer(field: bytes, answers: bool) -> None:
    assert may_answer(b"Subject: hi\r\n" + field + b"\r\nbody\r\n") is answers
