"""Lengths of time, and sizes."""

import pytest

from relay.admin.span import ago, amount, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (0.6, "1 s"), (59, "59 s"), (60, "1 min"), (95, "1 min 35 s"), (660, "11 min"),
     (3599, "59 min"), (3600, "1 h"), (7500, "2 h 5 min"), (86399, "23 h"), (90000, "1 d 1 h"),
     (86400 + 60, "1 d"), (40 * 86400, "40 d")],
)  # fmt: skip
def test_span(seconds: float, text: str) -> None:
    assert span(seconds) == text
    assert ago(seconds) == f"{text} ago"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (12_345, "12.3 kB"), (256_000_000, "256 MB"),
     (999_700_000, "1 GB"), (50e9, "50 GB"), (123_456e9, "123 TB")],
)  # fmt: skip
def test_amount(size: float, text: str) -> None:
    assert amount(size) == text
