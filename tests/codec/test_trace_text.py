"""What may be shown of a dialogue: no password in any of the ways clients send one, nothing for terminals."""

import string
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.trace_text import (
    MAX_LINE,
    shown,
    shown_command,
    shown_content,
    shown_lines,
    shown_reply,
)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (b"EHLO client.example", "EHLO client.example"),
        (b"mail FROM:<a@x.example> SIZE=79", "mail FROM:<a@x.example> SIZE=79"),
        (b"RCPT TO:<b@y.example>", "RCPT TO:<b@y.example>"),
        (b"BDAT 120 LAST", "BDAT 120 LAST"),
        (b"DATA", "DATA"),
        (b"NOOP", "NOOP"),
        (b"NOOP AHVzZXIAc2VjcmV0", "NOOP <16 characters>"),
        (b"AUTH PLAIN AHVzZXIAc2VjcmV0", "AUTH PLAIN ***"),
        (b"auth plain AHVzZXIAc2VjcmV0 more", "auth PLAIN ***"),
        (b"AUTH LOGIN", "AUTH LOGIN"),
        (b"AUTH LOGIN dXNlcg==", "AUTH LOGIN ***"),
        (b"AUTH  PLAIN  AHVzZXIAc2VjcmV0", "AUTH PLAIN ***"),
        (b"AUTH AHVzZXIAc2VjcmV0", "AUTH ***"),
        (b"AUTH", "AUTH"),
        (b"PASS secret", "PASS ***"),
        (b"GET /?password=secret HTTP/1.1", "GET ***"),
        (b"AHVzZXIAc2VjcmV0", "<16 octets that are no command>"),
        (b" AUTH PLAIN AHVzZXIAc2VjcmV0", "<28 octets that are no command>"),
        (b"AUTH\tPLAIN AHVzZXIAc2VjcmV0", "<27 octets that are no command>"),
        (b"", "<0 octets that are no command>"),
        (b"HELO \x1b]0;x\x07\xff\xc3\xbc", "HELO \\x1b]0;x\\x07\\xff\u00fc"),
    ],
)
def test_a_command_is_shown_without_what_must_not_be_seen(line: bytes, seen: str) -> None:
    assert shown_command(line) == seen


SECRETS = st.text(string.ascii_letters + string.digits + "+/=!", min_size=8, max_size=40)


@given(
    SECRETS, SECRETS, st.sampled_from(["PLAIN", "LOGIN", "plain", "CRAM-MD5", "XYZ", ""]), st.integers(0, 4)
)
def test_no_secret_ever_passes(secret: str, user: str, mechanism: str, form: int) -> None:
    """Whatever the client's form of it: with the command or after it, raw or in base64."""
    plain = b64encode(f"\0{user}\0{secret}".encode()).decode()
    word = [plain, b64encode(secret.encode()).decode(), secret, f"{user} {secret}", f"= {plain}"][form]
    for before in (f"AUTH {mechanism} ", "AUTH ", "", "NOOP ", "PASS "):
        line = before + word
        seen = shown_command(line.encode())
        assert secret not in seen
        assert plain not in seen
        assert word not in seen


@given(st.text())
def test_what_is_shown_commands_no_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) < 8 * MAX_LINE + 100


@given(st.binary(max_size=2000))
def test_any_octets_can_be_shown(octets: bytes) -> None:
    assert shown_command(octets).isprintable()
    assert all(line.isprintable() for line in shown_lines(octets))
    assert all(line.isprintable() for line in shown_reply(250, octets))


def test_replies_are_shown_line_by_line_and_without_words_that_are_secret() -> None:
    assert shown_reply(250, b"one\ntwo\n") == ["250-one", "250-two", "250"]
    said = b"5.7.8 no such password: hunter22 (aHVudGVyMjI=)"
    assert shown_reply(535, said, ("hunter22", "aHVudGVyMjI=", "")) == [
        "535 5.7.8 no such password: *** (***)"
    ]
    assert shown_lines(b"250-a\r\n250 b\r\n") == ["250-a", "250 b"]


def test_content_is_a_number() -> None:
    assert shown_content(1234) == "<1234 octets of content>"
    assert shown_content(12, is_complete=False) == "<12 octets of content, and no end>"
    assert shown("x" * 5000).endswith("... (5000 characters)")
