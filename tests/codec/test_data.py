"""Dot-stuffing, the end of the data, forbidden bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.data import (
    Fault,
    FaultKind,
    Stuffer,
    closing,
    find_end,
    find_fault,
    has_8bit,
    stuff,
    take,
    unstuff,
    wire,
)

# Bytes in which dots and line ends, whole or torn, are dense.
dotted = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"a", b"\r\n.\r\n", b"\0"])).map(
    b"".join
)
clean = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"a", b"b.c", b"\r\n."])).map(b"".join)


@pytest.mark.parametrize(
    ("content", "on_the_wire"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"..\r\n", b"...\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"\r\n.a\r\n..b.\r\n", b"\r\n..a\r\n...b.\r\n.\r\n"),
        (b"a.b\r\n", b"a.b\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
    ],
)
def test_wire_form(content, on_the_wire):
    assert wire(content) == on_the_wire
    assert stuff(content) + closing(content) == on_the_wire


@pytest.mark.parametrize(
    ("received", "content"),
    [
        (b"", b""),
        (b"..\r\n", b".\r\n"),
        (b".a\r\n", b"a\r\n"),  # a dot that need not be doubled is dropped all the same (RFC 5321 4.5.2)
        (b"a\r\n.b\r\n..c\r\n", b"a\r\nb\r\n.c\r\n"),
        (b"a.b\r\n", b"a.b\r\n"),
    ],
)
def test_unstuffing(received, content):
    assert unstuff(received) == content


@given(dotted)
def test_unstuff_undoes_stuff(content):
    assert unstuff(stuff(content)) == content


@given(clean)
def test_what_is_sent_is_what_is_taken(content):
    buffer = bytearray(wire(content) + b"QUIT\r\n")
    end = find_end(buffer)
    expected = content if closing(content) == b".\r\n" else content + b"\r\n"
    assert take(buffer, end) == expected
    assert buffer == b"QUIT\r\n"


@given(dotted, st.lists(st.integers(1, 4)))
def test_chunks_are_stuffed_as_the_whole(content, sizes):
    stuffer = Stuffer()
    out, at = [], 0
    for size in sizes:
        out.append(stuffer.feed(content[at : at + size]))
        at += size
    out.append(stuffer.feed(content[at:]))
    assert b"".join(out) == stuff(content)
    assert stuffer.finish() == closing(content)


@given(dotted)
def test_end_byte_at_a_time_equals_all_at_once(received):
    buffer = bytearray()
    for number, byte in enumerate(received):
        buffer.append(byte)
        end = find_end(buffer, number)
        if end >= 0:
            assert end == len(buffer)
            assert find_end(received) == end
            return
    assert find_end(received) == -1


@pytest.mark.parametrize(
    ("received", "end"),
    [
        (b".\r\n", 3),
        (b"a\r\n.\r\n", 6),
        (b"\r\n.\r\n", 5),
        (b"a\r\n.\r\nRSET\r\n", 6),
        (b"a\n.\n", -1),
        (b"a\r\n.\n", -1),
        (b"a\n.\r\n", -1),
        (b"a\r.\r", -1),
        (b"a\r\n.\r", -1),
        (b"a\r\n..\r\n", -1),
        (b".\n", -1),
        (b"", -1),
    ],
)
def test_only_crlf_dot_crlf_ends(received, end):
    assert find_end(received) == end


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", None),
        (b"no line end", None),
        (b"a\r\n\r\nb\r\n", None),
        (b"a\nb\r\n", Fault(FaultKind.BARE_LF, 1)),
        (b"\n", Fault(FaultKind.BARE_LF, 0)),
        (b"a\r\n.\n", Fault(FaultKind.BARE_LF, 4)),
        (b"a\r", Fault(FaultKind.BARE_CR, 1)),
        (b"a\r\r\n", Fault(FaultKind.BARE_CR, 1)),
        (b"\n\r", Fault(FaultKind.BARE_LF, 0)),
        (b"a\0\r\n", Fault(FaultKind.NUL, 1)),
        (b"a\0\n", Fault(FaultKind.NUL, 1)),
        (b"\xff\xc3\xa4\r\n", None),
        (b"\x85\xe2\x80\xa8\x0b\x0c\r\n", None),  # line ends elsewhere, not in mail
    ],
)
def test_fault(content, fault):
    assert find_fault(content) == fault


@given(dotted)
def test_fault_is_what_the_definition_says(content):
    rest = content.replace(b"\r\n", b"")
    assert (find_fault(content) is not None) == any(byte in rest for byte in b"\r\n\0")


def test_8bit():
    assert not has_8bit(b"abc\r\n")
    assert has_8bit("ä".encode())
