"""Names of identities: one form to compare, and what cannot be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import DirectoryError
from relay.directory.records import Account, AccountState, IdentityKind, identity_name, kind_of, normal_domain


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("example.org", "example.org"),
        ("Example.ORG.", "example.org"),
        (" a.b.example.org ", "a.b.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_spf.example.org", "_spf.example.org"),
        ("Joe@Example.ORG", "Joe@example.org"),
        ("joe+label@example.org", "joe+label@example.org"),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
    ],
)
def test_a_name_takes_its_normal_form(typed: str, name: str) -> None:
    assert identity_name(typed) == name
    assert identity_name(name) == name


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "org",
        "example..org",
        "-a.org",
        "a-.org",
        "a" * 64 + ".org",
        "a." * 126 + "org",
        "exa mple.org",
        "@example.org",
        "joe@",
        "joe@localhost",
        "a b@example.org",
        "a\r\nb@example.org",
        "<joe@example.org>",
        "joe@example.org, x@example.org",
        "a@b@example.org",
        "x" * 65 + "@example.org",
        "a@☃\u200d.☃",
        "[192.0.2.1]",
    ],
)
def test_what_cannot_be_an_identity_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(DirectoryError, match=r"give (example\.org or )?name@example\.org"):
        identity_name(typed)


@given(st.text(max_size=40))
def test_any_text_is_refused_or_has_one_normal_form(text: str) -> None:
    try:
        name = identity_name(text)
    except DirectoryError:
        return
    assert identity_name(name) == name
    assert name.rpartition("@")[2].isascii()


def test_small_words() -> None:
    assert kind_of("example.org") is IdentityKind.DOMAIN
    assert kind_of("a@example.org") is IdentityKind.ADDRESS
    assert not Account(1, "shop").is_paused
    assert Account(1, "shop", state=AccountState.PAUSED).is_paused
    with pytest.raises(ValueError, match="not a domain name"):
        normal_domain("\u200d☃")
