"""Tag lists: what is written is read; what is none says which part is wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.tag_list import parse_tags

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(codec="ascii", exclude_characters=";"), max_size=20)


@given(st.dictionaries(NAMES, VALUES, min_size=1), st.sampled_from([";", "; ", " ;\t"]), st.booleans())
def test_what_is_written_is_read(tags: dict[str, str], between: str, is_ended: bool) -> None:
    text = between.join(f"{name}={value}" for name, value in tags.items()) + (";" if is_ended else "")
    if not is_ended and not text.rpartition(";")[2].strip():
        return
    assert parse_tags(text) == {name: value.strip() for name, value in tags.items()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v=DMARC1 p=none", None),
        ("v=DMARC1; none", "'none' is not tag=value"),
        ("v=DMARC1;; p=none", "'' is not tag=value"),
        ("p=a; p=b", "the tag p= is there twice"),
        ("=x", "'=x' is not tag=value"),
    ],
)
def test_what_is_no_list(text: str, said: str | None) -> None:
    if said is None:
        assert parse_tags(text) == {"v": "DMARC1 p=none"}
        return
    with pytest.raises(ValueError, match=said):
        parse_tags(text)


@given(st.text())
def test_anything_may_come(text: str) -> None:
    with suppress(ValueError):
        parse_tags(text)
