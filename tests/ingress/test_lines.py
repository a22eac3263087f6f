import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.ingress.lines import LineFault, Lines

LIMIT = 20
PIECES = st.sampled_from([b"NOOP", b"\r\n", b"\r", b"\n", b"\0", b"x" * 25, b".", b" "])


def all_of(*chunks: bytes, limit: int = LIMIT) -> list[bytes | LineFault]:
    lines = Lines()
    found = []
    for chunk in chunks:
        lines.feed(chunk)
        while (line := lines.next(limit)) is not None:
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"NOOP\r\n", [b"NOOP"]),
        (b"\r\n", [b""]),
        (b"A\r\nB\r\nC", [b"A", b"B"]),
        (b"A\nB\r\nC\r\n", [LineFault.BARE_LF, b"C"]),
        (b"A\n", [LineFault.BARE_LF]),
        (b"\nA\r\nB\r\n", [LineFault.BARE_LF, b"B"]),
        (b"A\rB\r\nC\r\n", [LineFault.BARE_CR, b"C"]),
        (b"A\r\r\nC\r\n", [LineFault.BARE_CR, b"C"]),
        (b"A\0B\r\nC\r\n", [LineFault.NUL, b"C"]),
        (b"x" * 18 + b"\r\n", [b"x" * 18]),
        (b"x" * 19 + b"\r\nC\r\n", [LineFault.TOO_LONG, b"C"]),
        (b"x" * 500 + b"\nMAIL\n" + b"y" * 500 + b"\r\nC\r\n", [LineFault.BARE_LF, b"C"]),
    ],
)
def test_lines_and_faults(said, heard):
    assert all_of(said) == heard


@given(st.lists(PIECES, max_size=30).map(b"".join))
def test_no_command_is_made_of_a_bad_line(said):
    """What is taken for a line stood between two CRLF, alone."""
    lines = [one for one in all_of(said) if not isinstance(one, LineFault)]
    for line in lines:
        assert b"\r\n" + line + b"\r\n" in b"\r\n" + said
        assert not {b"\r", b"\n", b"\0"} & {bytes([octet]) for octet in line}


@given(
    st.lists(st.sampled_from([b"NOOP", b"\r\n", b"RSET x", b"\r\n", b"\n", b"\0"]), max_size=30).map(b"".join)
)
def test_byte_at_a_time_equals_all_at_once(said):
    assert all_of(*[bytes([octet]) for octet in said], limit=1000) == all_of(said, limit=1000)


def test_memory_stays_flat_in_an_endless_line():
    lines = Lines()
    faults = []
    for _ in range(1000):
        lines.feed(b"x" * 65536)
        while (fault := lines.next(LIMIT)) is not None:
            faults.append(fault)
        assert len(lines) < 2
    assert faults == [LineFault.TOO_LONG]


def test_content_takes_what_the_lines_have_left():
    lines = Lines()
    lines.feed(b"DATA\r\nhello")
    assert lines.next(LIMIT) == b"DATA"
    assert lines.take() == b"hello"
    assert len(lines) == 0
