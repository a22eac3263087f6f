"""Which web addresses a topic may have."""

import pytest

from relay.base.errors import DirectoryError
from relay.directory.topic_url import checked_url


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/relay?from=ses",
        "https://192.0.2.1:8443/",
        "https://[2001:db8::1]/x",
        "http://127.0.0.1:8080/",
        "http://127.8.9.1/",
        "http://[::1]:8080/hook",
        "http://localhost:1/",
        "HTTPS://Hooks.example.org",
    ],
)
def test_these_are_taken_as_they_are(url: str) -> None:
    assert checked_url(f" {url} ") == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.org/", "has to be https"),
        ("http://127.0.0.1.example.org/", "has to be https"),
        ("http://10.0.0.1/", "has to be https"),
        ("ftp://hooks.example.org/", "has to be https"),
        ("hooks.example.org", "names no host"),
        ("https:///path", "names no host"),
        ("https://:443/", "names no host"),
        ("https://a.example:0/", "names no host"),
        ("https://a.example:99999/", "Port out of range"),
        ("https://[::1/", "IPv6"),
        ("https://joe:secret@a.example/", "names a user"),
        ("https://@a.example/", "names a user"),
        ("https://a.example/#x", "fragment"),
        ("https://a.example/#", "fragment"),
        ("https://bücher.example/", "printable ASCII"),
        ("https://a.example/a b", "printable ASCII"),
        ("https://a.example\\@b.example/", "printable ASCII"),
        ("https://a.example/\r\nHost: b", "printable ASCII"),
        ("https://a.example/" + "x" * 2048, "printable ASCII"),
    ],
)
def test_these_are_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(DirectoryError, match="cannot be a topic's address") as refused:
        checked_url(url)
    assert why in str(refused.value)
    assert str(refused.value).isprintable()
