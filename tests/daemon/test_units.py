"""Quantities: what is read, what is refused."""

from typing import Any

import pytest

from relay.daemon.settings.units import parse_duration, parse_endpoint, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("30s", 30),
        ("5m", 300),
        ("14h", 50_400),
        ("1.5h", 5400),
        ("1h 30m", 5400),
        (" 4d ", 345_600),
        ("2W", 1_209_600),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "5", "5 years", "h", "-5s", "1h and 5m", 5, 5.0, True, None, "5s,"]
)
def test_no_durations(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("10 MB", 10_000_000),
        ("256 KiB", 262_144),
        ("1.5gb", 1_500_000_000),
        ("2 TiB", 2_199_023_255_552),
        ("17", 17),
        ("17 B", 17),
        (17, 17),
        (0, 0),
    ],
)
def test_sizes(text: Any, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "big", "10 XB", "-1", -1, True, 1.5, None])
def test_no_sizes(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a size: write a number and a unit"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:2525", ("127.0.0.1", 2525)),
        ("[::1]:25", ("::1", 25)),
        ("mail.example.org:0", ("mail.example.org", 0)),
    ],
)
def test_endpoints(text: str, endpoint: tuple[str, int]) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text", ["", "25", ":25", "host:", "host:x", "host:65536", "host:²", 25, "[nonsense]:25"]
)
def test_no_endpoints(text: Any) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse_endpoint(text)


def test_an_ipv6_address_without_brackets_is_ambiguous() -> None:
    with pytest.raises(ValueError, match="in brackets"):
        parse_endpoint("::1:25")


@pytest.mark.parametrize(
    ("text", "per_s"),
    [("20/s", 20.0), ("100/min", 100 / 60), ("1.5 / m", 0.025), ("7200/hour", 2.0), ("86400/day", 1.0)],
)
def test_rates(text: str, per_s: float) -> None:
    assert parse_rate(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["20", 20, "", "/s", "0/s", "-1/s", "5/week", None])
def test_what_is_no_rate(text: object) -> None:
    with pytest.raises(ValueError, match="is not a rate: write a number and a unit of time"):
        parse_rate(text)
