"""Which part of a name someone registered: the cases that DMARC alignment turns on."""

import pytest

from relay.directory.suffixes import is_below, organisational_domain


@pytest.mark.parametrize(
    ("domain", "organisational"),
    [
        ("example.org", "example.org"),
        ("a.b.example.org", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", ""),
        ("someone.github.io", "someone.github.io"),  # a suffix of the list's private part
        ("bounce.sender.example", "sender.example"),  # a suffix that the list does not know
        ("mail.xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("example", ""),
    ],
)
def test_the_organisational_domain(domain: str, organisational: str) -> None:
    assert organisational_domain(domain) == organisational


def test_below_is_not_beside() -> None:
    assert is_below("bounce.example.org", "example.org")
    assert not is_below("example.org", "example.org")
    assert not is_below("badexample.org", "example.org")
