"""Free-text bounces as a whole: who, why, whose server, and the original's header."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.feedback import Action
from relay.codec.report_parts import Fields, fields_of
from relay.codec.report_text import MAX_LINES, read_text

DAEMON = fields_of("From: MAILER-DAEMON@mx.example\nTo: sender@example.com\nSubject: failure notice")

QMAIL = """\
Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<anna@example.org>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

Return-Path: <sender@example.com>
Message-ID: <1@example.com>
Subject: hello

<berta@example.org>:
"""


def test_a_bounce_in_words() -> None:
    told = read_text(QMAIL, DAEMON)
    (anna,) = told.recipients
    assert (anna.address, anna.action, anna.status, anna.code, anna.command) == (
        "anna@example.org",
        Action.FAILED,
        "5.1.1",
        550,
        "RCPT",
    )
    assert anna.diagnostic.startswith("192.0.2.1 does not like recipient. Remote host said: 550 5.1.1")
    assert told.reporting_mta == "mx.example"
    assert told.returned is not None
    assert told.returned.first("message-id") == "<1@example.com>"


@pytest.mark.parametrize(
    "mark",
    [
        "------ This is a copy of the message, including all the headers. ------",
        "--- Below this line is a copy of the message.",
        "--- Enclosed is a copy of the message.",
        "   ----- Original message follows -----",
        "----- Unsent message follows -----",
        "|------------------------- Message text follows: ------------------------|",
        "Content-Type: message/rfc822",
        "The original message follows:",
    ],
)
def test_where_the_original_begins(mark: str) -> None:
    text = QMAIL.replace("--- Below this line is a copy of the message.", mark)
    told = read_text(text, DAEMON)
    assert [found.address for found in told.recipients] == ["anna@example.org"]
    assert told.returned is not None
    assert told.returned.first("return-path") == "<sender@example.com>"


def test_delays() -> None:
    text = "Your message to anna@example.org has not yet been delivered. We will keep trying to deliver it."
    assert [found.action for found in read_text(text, DAEMON).recipients] == [Action.DELAYED]
    ended = f"{text}\nNow we have given up."
    assert [found.action for found in read_text(ended, DAEMON).recipients] == [Action.FAILED]


def test_only_the_header_names_them() -> None:
    header = fields_of(
        "From: x@mx.example\nX-Failed-Recipients: anna@example.org,\n berta@example.org, broken"
    )
    told = read_text("It did not work: 550 5.2.2 full", header)
    assert [found.address for found in told.recipients] == ["anna@example.org", "berta@example.org"]
    assert {(found.code, found.status) for found in told.recipients} == {(550, "5.2.2")}


def test_nothing_to_find() -> None:
    assert read_text("", Fields()).recipients == []
    assert read_text("hello\n" * 10, DAEMON).returned is None


@given(st.text(max_size=1_000))
def test_any_text_is_read(text: str) -> None:
    for found in read_text(text, DAEMON).recipients:
        assert "@" in found.address


@pytest.mark.parametrize(
    "line",
    ["a@", "<a@b.example>:", "-" * 50, "  a@b.example", "... a@b.example", "x" * 900, "a." * 450, "@a" * 450],
)
def test_malice_takes_bounded_time(line: str) -> None:
    for start in ("The following address(es) failed:\n", "----- Transcript of session follows -----\n", ""):
        started = time.process_time()
        read_text(f"{start}{line}\n" + f"{line}\n" * (2 * MAX_LINES), DAEMON)
        assert time.process_time() - started < 1.0
