"""Replies, to the wire and back."""

import pytest

from relay.base.reply import Reply, parse_enhanced, parse_reply


@pytest.mark.parametrize(
    ("reply", "wire", "shown"),
    [
        (Reply(250, "Ok"), b"250 Ok\r\n", "250 Ok"),
        (Reply(550, "no such user", "5.1.1"), b"550 5.1.1 no such user\r\n", "550 5.1.1 no such user"),
        (Reply(250, "one\ntwo"), b"250-one\r\n250 two\r\n", "250 one\ntwo"),
        (
            Reply(452, "a\nb\nc", "4.3.1"),
            b"452-4.3.1 a\r\n452-4.3.1 b\r\n452 4.3.1 c\r\n",
            "452 4.3.1 a\nb\nc",
        ),
        (Reply(250, ""), b"250 \r\n", "250 "),
        (Reply(550, "grün"), "550 grün\r\n".encode(), "550 grün"),
        (Reply(550, "a\r\n250 forged"), b"550-a\r\n550 250 forged\r\n", "550 a\r\n250 forged"),
    ],
)
def test_wire_form(reply, wire, shown):
    assert reply.line() == wire
    assert str(reply) == shown


@pytest.mark.parametrize(
    ("code", "is_positive", "is_transient", "is_permanent"),
    [
        (250, True, False, False),
        (354, False, False, False),
        (421, False, True, False),
        (499, False, True, False),
        (550, False, False, True),
        (600, False, False, False),
    ],
)
def test_class(code, is_positive, is_transient, is_permanent):
    reply = Reply(code, "")
    assert (reply.is_positive, reply.is_transient, reply.is_permanent) == (
        is_positive,
        is_transient,
        is_permanent,
    )


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("5.1.1 no such user", ("5.1.1", "no such user")),
        ("5.1.1  two spaces", ("5.1.1", "two spaces")),
        ("4.7.0", ("4.7.0", "")),
        ("2.1.5\tOk", ("2.1.5", "Ok")),
        ("no code", ("", "no code")),
        ("3.1.1 no such class", ("", "3.1.1 no such class")),
        ("5.1.1.1 an address", ("", "5.1.1.1 an address")),
        ("5.1.1000 too long", ("", "5.1.1000 too long")),
        ("", ("", "")),
    ],
)
def test_enhanced_code(text, parsed):
    assert parse_enhanced(text) == parsed


@pytest.mark.parametrize(
    ("code", "text", "reply"),
    [
        (550, "5.1.1 no\n5.1.1 such\n5.1.1 user", Reply(550, "no\nsuch\nuser", "5.1.1")),
        (250, "mx.example.org\nPIPELINING\nSIZE 1", Reply(250, "mx.example.org\nPIPELINING\nSIZE 1")),
        (550, "5.1.1 no\nsuch", Reply(550, "no\nsuch", "5.1.1")),
    ],
)
def test_reply_of_several_lines(code, text, reply):
    assert parse_reply(code, text) == reply
    assert parse_reply(reply.code, reply.text) in (reply, Reply(reply.code, reply.text))
