"""The message of ``relay send``: what becomes of what is piped in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.daemon.commands import send_message


@pytest.mark.parametrize(
    ("raw", "ignore_dots", "message"),
    [
        (b"A: b\n\nx\n", True, b"A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx\r\n", True, b"A: b\r\n\r\nx\r\n"),
        (b"A: b\n\nno end", True, b"A: b\r\n\r\nno end\r\n"),
        (b"A: b\n\nx\n.\ny\n", True, b"A: b\r\n\r\nx\r\n.\r\ny\r\n"),
        (b"A: b\n\nx\n.\ny\n", False, b"A: b\r\n\r\nx\r\n"),
        (b"A: b\n\n..\n. \n", False, b"A: b\r\n\r\n..\r\n. \r\n"),
        (b"", True, b""),
        (b"\xff\n", True, b"\xff\r\n"),
        (b"a\rb\n", True, b"a\rb\r\n"),  # a bare CR is for the relay to refuse, not for us to repair
    ],
)
def test_lines(raw: bytes, ignore_dots: bool, message: bytes) -> None:
    assert send_message.read_message(raw, ignore_dots=ignore_dots) == message


@pytest.mark.parametrize(
    ("message", "name", "complete"),
    [
        (b"From: x@y.example\r\n\r\nhi\r\n", "", b"From: x@y.example\r\n\r\nhi\r\n"),
        (b"Subject: s\r\nFROM : x@y.example\r\n\r\n", "", b"Subject: s\r\nFROM : x@y.example\r\n\r\n"),
        (b"Subject: s\r\n\r\nFrom: me\r\n", "", b"From: a@b.example\r\nSubject: s\r\n\r\nFrom: me\r\n"),
        (b"hello there\r\n", "", b"From: a@b.example\r\n\r\nhello there\r\n"),
        (b"\r\nhello: there\r\n", "", b"From: a@b.example\r\n\r\nhello: there\r\n"),
        (b"", "", b"From: a@b.example\r\n\r\n"),
        (b"S: s\r\n\r\n", "A, B", b'From: "A, B" <a@b.example>\r\nS: s\r\n\r\n'),
        (b"S: s\r\n\r\n", "Jürgen", b"From: =?utf-8?q?J=C3=BCrgen?= <a@b.example>\r\nS: s\r\n\r\n"),
    ],
)
def test_what_others_leave_to_sendmail_is_added(message: bytes, name: str, complete: bytes) -> None:
    assert send_message.complete(message, "a@b.example", name) == complete


@pytest.mark.parametrize("name", ["a\r\nBcc: x@y.example", "a\nb"])
def test_a_name_adds_no_field(name: str) -> None:
    completed = send_message.complete(b"S: s\r\n\r\n", "a@b.example", name)
    assert b"\r\nBcc" not in completed
    assert b"\nb" not in completed


@pytest.mark.parametrize("sender", ["me", "@", "a b@c", "x@y\r\nBcc: z@y.example"])
def test_a_sender_that_is_none_is_left_for_the_relay_to_refuse(sender: str) -> None:
    assert b"Bcc" not in send_message.complete(b"S: s\r\n\r\n", sender, "")


def test_recipients_from_the_header() -> None:
    message = b"To: A <a@x.example>, b@x.example\r\nCc: g: c@x.example;\r\n"
    message += b"Bcc: d@x.example\r\nReply-To: e@x.example\r\n\r\n"
    assert send_message.header_recipients(message) == [f"{one}@x.example" for one in "abcd"]


def test_recipients_of_a_field_that_cannot_be_read_are_not_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="in Cc cannot be read"):
        send_message.header_recipients(b"To: a@x.example\r\nCc: broken <b\r\n\r\n")
    assert send_message.header_recipients(
        b"To: undisclosed-recipients:;\r\nCc:\r\nBcc: a@x.example\r\n\r\n"
    ) == ["a@x.example"]


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        (b"From: root (Cron Daemon)", b"From: root@h.example (Cron Daemon)"),
        (b"From: Cron Daemon <root>", b"From: Cron Daemon <root@h.example>"),
        (b'from: "Cron Daemon" <root>', b'from: "Cron Daemon" <root@h.example>'),
        (b"To: root", b"To: root@h.example"),
        (b"To:root,ops@b.example,\r\n web", b"To:root@h.example,ops@b.example,\r\n web@h.example"),
        (b"Cc: a.b", b"Cc: a.b@h.example"),
        (b"To: ops@b.example", b"To: ops@b.example"),
        (b"To: undisclosed-recipients:;", b"To: undisclosed-recipients:;"),
        (b"To: a b", b"To: a b"),
        (b"To: <a", b"To: <a"),
        (b"To: a>", b"To: a>"),
        (b'To: "x, y" <ops@b.example>, "z" <root>', b'To: "x, y" <ops@b.example>, "z" <root@h.example>'),
        (b"To: friends: a, b;", b"To: friends: a, b;"),
        (b"To:", b"To:"),
        (b"Subject: root", b"Subject: root"),
        (b"X-To: root", b"X-To: root"),
    ],
)
def test_names_get_the_domain_of_the_host(given: bytes, becomes: bytes) -> None:
    rest = b"\r\nSubject: To: x\r\n\r\nTo: root\r\n"
    assert send_message.qualified(given + rest, "h.example") == becomes + rest


def test_a_message_without_a_header_has_no_names() -> None:
    assert send_message.qualified(b"\r\nTo: root\r\n", "h.example") == b"\r\nTo: root\r\n"


@pytest.mark.parametrize(
    ("address", "becomes"),
    [
        ("root", "root@h.example"),
        ("a.b", "a.b@h.example"),
        ("", ""),
        ("a@b.example", "a@b.example"),
        ("not an address", "not an address"),
        ("a\r\nDATA", "a\r\nDATA"),
        ("a.", "a."),
    ],
)
def test_a_name_as_an_address(address: str, becomes: str) -> None:
    assert send_message.qualified_address(address, "h.example") == becomes


@given(st.text('ab@<>(),;: \\"\t.\r\n').map(str.encode))
def test_nothing_is_taken_away_and_no_line_is_added(value: bytes) -> None:
    message = b"To: " + value + b"\r\n\r\nx\r\n"
    becomes = send_message.qualified(message, "h.example")
    assert becomes.replace(b"@h.example", b"") == message.replace(b"@h.example", b"")
    assert send_message.qualified(becomes, "h.example") == becomes
