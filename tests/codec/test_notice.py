"""A notice, read back by the parser of the standard library."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.data import find_fault
from relay.codec.headers import Header
from relay.codec.notice import compose

SENDER, TO = "postmaster@relay.example", "owner@shop.example"


def read(content: bytes) -> email.message.EmailMessage:
    assert find_fault(content) is None
    Header.parse(content)  # as the intake does
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, email.message.EmailMessage)
    return parsed


def test_a_notice_says_what_and_from_whom() -> None:
    content = compose(
        SENDER, TO, "example.org is verified", "One line.\n\nhttps://relay.example/verify?x=1\n"
    )
    notice = read(content)
    assert [notice[name] for name in ("From", "To", "Subject", "Auto-Submitted")] == [
        f"Relay <{SENDER}>",
        TO,
        "example.org is verified",
        "auto-generated",
    ]
    assert notice.get_content().splitlines() == ["One line.", "", "https://relay.example/verify?x=1"]
    assert content.isascii()


def test_a_long_link_is_not_folded() -> None:
    link = "https://relay.example/verify?token=" + "x" * 300
    assert link in read(compose(SENDER, TO, "Verify", f"Open:\n\n{link}\n")).get_content().split()


def test_an_address_that_is_not_ascii_needs_smtputf8() -> None:
    content = compose(SENDER, "grüße@shop.example", "hello", "text")
    assert "\r\nTo: grüße@shop.example\r\n".encode() in content
    read(content)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        compose(SENDER, "a@b\r\nBcc: c@d", "hello", "text")


@given(subject=st.text(max_size=80), text=st.text(max_size=400))
def test_nothing_adds_a_field(subject: str, text: str) -> None:
    subject, text = (one.encode("utf-8", "replace").decode() for one in (subject, text))
    notice = read(compose(SENDER, TO, f"re {subject} end", f"a {text} z"))
    assert set(notice.keys()) <= {
        "From",
        "To",
        "Subject",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }
    assert len(notice.keys()) == 7
