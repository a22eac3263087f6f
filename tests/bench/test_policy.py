"""The figures of policy are of real messages, and each is there."""

from email import message_from_bytes

import pytest

from bench.policy import contents, measure, table, variants, words
from relay.policy.content_rules import MessageRules


def test_the_messages_are_what_they_are_called() -> None:
    found = contents()
    types = {
        kind: [part.get_content_type() for part in message_from_bytes(content).walk()]
        for kind, content in found.items()
    }
    assert types == {
        "4 KB text": ["text/plain"],
        "4 KB text, control fields": ["text/plain"],
        "4 KB text and HTML": ["multipart/alternative", "text/plain", "text/html"],
        "100 KB with an attachment": ["multipart/mixed", "text/plain", "application/pdf"],
    }
    for kind, content in found.items():
        size = 102400 if kind.startswith("100 KB") else 4096
        assert size * 0.95 < len(content) < size * 1.15, kind
        assert content.isascii()
        for submission, header in variants(content, 1):
            MessageRules().check(submission.content, header)


def test_boundaries_differ() -> None:
    seen = {header.first(b"content-type") for _, header in variants(contents()["4 KB text and HTML"], 1)}
    assert len(seen) == 300


async def test_every_figure_is_there() -> None:
    figures = await measure(0.2)
    assert list(figures) == list(contents())
    for row in figures.values():
        assert list(row) == ["identities", "header", "content", "control", "all"]
        assert all(0.0 < value < 5000.0 for value in row.values())
    assert table(figures).count("\n") == len(figures)
    assert words(figures)["policy_us_100k"] == pytest.approx(
        figures["100 KB with an attachment"]["all"], abs=0.06
    )
