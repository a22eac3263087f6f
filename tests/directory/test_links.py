"""Links: what is made reads, what was changed anywhere does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.directory.links import Link, LinkFault, make, read
from relay.directory.secrets import Vault

KEY = Vault(bytes(32)).derive("verification link")
LINKS = st.builds(
    Link,
    st.integers(1, 10**15),
    st.integers(1, 10**15),
    st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=1, max_size=64),
)


@given(LINKS)
def test_what_is_made_reads(link: Link) -> None:
    assert read(KEY, make(KEY, link)) == link


@given(LINKS, st.data())
def test_what_was_changed_anywhere_does_not(link: Link, choice: st.DataObject) -> None:
    text = make(KEY, link)
    at = choice.draw(st.integers(0, len(text) - 1))
    other = choice.draw(st.characters(codec="utf-8").filter(lambda c: c != text[at]))
    with pytest.raises(LinkFault):
        read(KEY, text[:at] + other + text[at + 1 :])


@given(st.text(max_size=100))
def test_nonsense_is_no_link(text: str) -> None:
    with pytest.raises(LinkFault, match="not a verification link"):
        read(KEY, text)


def test_another_key_makes_other_links() -> None:
    text = make(Vault(bytes(31) + b"1").derive("verification link"), Link(1, 2, "abc"))
    with pytest.raises(LinkFault, match="signature"):
        read(KEY, text)
    with pytest.raises(LinkFault, match="signature"):
        read(Vault(bytes(32)).derive("something else"), make(KEY, Link(1, 2, "abc")))
