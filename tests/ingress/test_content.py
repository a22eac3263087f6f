from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.budget import Budget
from relay.codec.data import wire
from relay.ingress import replies
from relay.ingress.content import ChunkedContent, DottedContent


def read(said: bytes, *, cuts=(), limit: int = 1000, budget: Budget | None = None):
    """Feed ``said`` cut at these places; the content and what lies behind it."""
    content = DottedContent(budget or Budget(10_000), limit)
    edges = [0, *sorted(cuts), len(said)]
    for start, end in pairwise(edges):
        rest = content.feed(said[start:end])
        if rest is not None:
            return content, rest + said[end:]
    return content, None


@pytest.mark.parametrize(
    ("said", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n", b""),
        (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", b""),  # the end is CRLF.CRLF and nothing else
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", b""),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", b""),
        (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", b""),
    ],
)
def test_only_the_lone_dot_ends_it(said, content, rest):
    for cut in range(len(said) + 1):
        got, behind = read(said, cuts=[cut])
        assert (got.content, behind) == (content, rest)
    got, behind = read(said, cuts=range(1, len(said)))
    assert (got.content, behind) == (content, rest)


@given(
    st.lists(st.sampled_from([b".", b"\r\n", b"a", b"\r", b"\n", b"..", b"\r\n."]), max_size=40).map(
        b"".join
    ),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_any_content_in_any_pieces_comes_back(content, cuts):
    said = wire(content)
    got, rest = read(said + b"RSET\r\n", cuts=[cut for cut in cuts if cut <= len(said)])
    assert got.content == (content if not content or content.endswith(b"\r\n") else content + b"\r\n")
    assert rest == b"RSET\r\n"


@given(st.lists(st.integers(0, 3000), max_size=8))
def test_too_long_is_read_to_its_end_without_memory(cuts):
    said = b"x" * 1500 + b"\r\n..\r\n" + b"y" * 1400 + b"\r\n.\r\n"
    budget = Budget(10_000)
    content, rest = read(said + b"RSET\r\n", cuts=[cut for cut in cuts if cut < len(said)], budget=budget)
    assert (content.refusal, rest) == (replies.TOO_LONG_MESSAGE, b"RSET\r\n")
    assert budget.used_bytes == content.held_bytes == 0


@pytest.mark.parametrize(("size", "refusal"), [(998, None), (999, replies.TOO_LONG_MESSAGE)])
def test_the_limit_counts_content_without_stuffing(size, refusal):
    content, rest = read(b"." * (size + 1) + b"\r\n.\r\n")
    assert (content.refusal, rest) == (refusal, b"")


def test_no_room_is_final_and_gives_back_what_was_taken():
    budget = Budget(100)
    content = DottedContent(budget, 1000)
    assert content.feed(b"x" * 90) is None
    assert budget.used_bytes == 90
    assert content.feed(b"x" * 90) is None
    assert budget.used_bytes == 0
    assert content.feed(b"\r\n") is None
    assert content.feed(b".\r\nNOOP") == b"NOOP"
    assert content.refusal is replies.NO_ROOM


def test_a_flood_behind_the_limit_is_hopeless():
    content = DottedContent(Budget(10_000), 1000)
    for _ in range(100):
        assert content.feed(b"x" * 1000) is None
    assert content.is_hopeless


def test_chunks_add_up():
    budget = Budget(1000)
    content = ChunkedContent(budget, 100)
    content.expect(5)
    assert content.feed(b"hel") is None
    assert content.feed(b"loBDAT") == b"BDAT"
    content.expect(8)
    assert content.feed(b"\r\n.\r\n\r\nx") == b""
    assert content.content == b"hello\r\n.\r\n\r\nx\r\n"
    assert budget.used_bytes == 13
    content.release()
    assert budget.used_bytes == 0


def test_a_chunk_that_cannot_fit_is_refused_before_it_is_read():
    content = ChunkedContent(Budget(1000), 100)
    content.expect(101)
    assert content.refusal is replies.TOO_LONG_MESSAGE
    assert content.feed(b"x" * 101 + b"RSET") == b"RSET"
    assert not content.is_hopeless
    content.expect(10**12)
    assert content.is_hopeless
