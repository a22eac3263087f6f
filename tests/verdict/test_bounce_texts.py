"""The table of refusals: every row is complete, reachable, and means what its example says."""

import pytest

from relay.base.feedback import BounceSubType, BounceType
from relay.verdict import bounce_texts
from relay.verdict.bounce_texts import Row, judged, plain_words, table

PERMANENT = {BounceSubType.NO_EMAIL, BounceSubType.GENERAL}


@pytest.mark.parametrize("row", table(), ids=lambda row: row.pattern)
def test_each_row_decides_its_example(row: Row) -> None:
    assert judged(row.example) is row


def test_types_and_subtypes_go_together() -> None:
    for row in table():
        type_, subtype = row.verdict.type, row.verdict.subtype
        assert (type_ is BounceType.PERMANENT) <= (subtype in PERMANENT), row.pattern
        assert (type_ is BounceType.UNDETERMINED) == (subtype is BounceSubType.UNDETERMINED), row.pattern
        assert (subtype is BounceSubType.NO_EMAIL) <= (type_ is BounceType.PERMANENT), row.pattern
        assert row.is_certain <= row.verdict.is_hard, row.pattern
        assert row.is_certain <= bool(row.provider), row.pattern


def test_no_row_twice() -> None:
    patterns = [row.pattern for row in table()]
    assert len(patterns) == len(set(patterns))


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <spam@blocked.example>: no",
        "host spam-filter.blocked.example[192.0.2.1] said: 550 no",
        "550 no, see https://example.org/spam?policy=blocked",
        "550 marble",  # no RBL
        "",
        "550",
    ],
)
def test_what_is_no_reason(text: str) -> None:
    assert judged(text) is None


def test_words_that_are_left() -> None:
    text = "SMTP; 550-5.1.1 The <a@b.example>\n 550 5.1.1 thing at mx.example.org, http://x.example/y"
    assert plain_words(text) == "smtp; the thing at *"
    assert plain_words("RESOLVER.ADR.Some; 550-no") == "resolver.adr.some; no"


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"pattern": "Big", "type": "Transient", "subtype": "General", "provider": "", "example": "big"},
        {"pattern": "a", "type": "Hard", "subtype": "General", "provider": "", "example": "a"},
        {"pattern": "a", "type": "Transient", "subtype": "Odd", "provider": "", "example": "a"},
        {
            "pattern": "a",
            "type": "Transient",
            "subtype": "General",
            "provider": "",
            "example": "a",
            "odd": "",
        },
    ],
)
def test_a_wrong_row_is_told(row: dict) -> None:
    with pytest.raises((ValueError, KeyError)):
        bounce_texts._row(row)
