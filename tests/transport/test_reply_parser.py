"""Replies from bytes: all at once, byte by byte, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import RemoteProtocolError
from relay.base.reply import Reply
from relay.transport.reply_parser import MAX_LINE_BYTES, ReplyParser, as_reply


@pytest.mark.parametrize(
    ("wire", "replies"),
    [
        (b"250 ok\r\n", [(250, b"ok")]),
        (b"250\r\n", [(250, b"")]),
        (b"250\n", [(250, b"")]),
        (b"250 ok\n354 go\r\n", [(250, b"ok"), (354, b"go")]),
        (b"250-a\r\n250-b\r\n250 c\r\n550 no\r\n", [(250, b"a\nb\nc"), (550, b"no")]),
        (b"250-a\r\n250\r\n", [(250, b"a\n")]),
        (b"450-a\r\n550 b\r\n", [(550, b"a\nb")]),
        (b"250 ok\r\n25", [(250, b"ok")]),
        (b"", []),
    ],
)
def test_replies(wire, replies):
    assert ReplyParser().feed(wire) == replies


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n",
        b"\r\n",
        b"25\r\n",
        b"250ok\r\n",
        b"199 low\r\n",
        b"600 high\r\n",
        b" 250 ok\r\n",
        b"x" * (MAX_LINE_BYTES + 1),
        b"250 " + b"x" * MAX_LINE_BYTES + b"\r\n",
        b"250-" + b"\r\n250-".join([b"x" * 1000] * 40) + b"\r\n250 x\r\n",
    ],
    ids=lambda wire: repr(wire[:12]),
)
def test_what_is_no_reply(wire):
    with pytest.raises(RemoteProtocolError):
        ReplyParser().feed(wire)


def test_what_came_before_nonsense_is_kept():
    parser = ReplyParser()
    with pytest.raises(RemoteProtocolError):
        parser.feed(b"250 taken\r\nwhat?\r\n250 no more\r\n")
    assert parser.completed == [(250, b"taken")]


LINE = st.binary(max_size=40).filter(lambda text: b"\n" not in text)
REPLY = st.tuples(st.integers(200, 599), st.lists(LINE, min_size=1, max_size=4))


@given(st.lists(REPLY, max_size=5), st.booleans())
def test_a_byte_at_a_time_equals_all_at_once(replies, is_crlf):
    end = b"\r\n" if is_crlf else b"\n"
    wire = b"".join(
        b"%d%s%s%s" % (code, b"-" if n + 1 < len(lines) else b" ", line, end)
        for code, lines in replies
        for n, line in enumerate(lines)
    )
    whole = ReplyParser()
    expected = whole.feed(wire)
    assert [code for code, _ in expected] == [code for code, _ in replies]
    assert whole.is_between_replies
    parser = ReplyParser()
    assert [r for byte in wire for r in parser.feed(bytes([byte]))] == expected


@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_mean_the_same_in_any_pieces(wire, size):
    def outcome(pieces):
        parser = ReplyParser()
        found = []
        try:
            for piece in pieces:
                found += parser.feed(piece)
        except RemoteProtocolError:
            return "error"
        return found

    pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
    assert outcome(pieces) == outcome([wire])


def test_the_words_of_a_reply():
    raw = (550, b"5.1.1 no such user\n5.1.1 see \xff")
    assert as_reply(raw) == Reply(550, "no such user\nsee \ufffd", "5.1.1")


def test_what_a_peer_writes_commands_no_terminal_and_fills_no_disk():
    assert as_reply((550, b"5.1.1 \x1b[2Jno\0 such\xc2\x9b user\nX-Evil: \ryes")) == Reply(
        550, "[2Jno  such  user\nX-Evil:  yes", "5.1.1"
    )
    assert len(as_reply((250, b"x" * 30_000)).text) == 4096
