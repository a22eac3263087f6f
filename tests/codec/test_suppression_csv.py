"""Suppression lists as CSV: what is an entry, what is wrong with a line, and that no line spoils another."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.suppression import Listed, SuppressionReason
from relay.codec.suppression_csv import HEAD, BadLine, address_of, moment_of, read, row

BOUNCE, COMPLAINT = SuppressionReason
NOW = 1_800_000_000.0


def entries(text: bytes | str, reason: SuppressionReason | None = None) -> list[Listed | BadLine]:
    content = text.encode() if isinstance(text, str) else text
    return list(read(io.BytesIO(content).readline, NOW, reason))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@x.example,BOUNCE\n", Listed("a@x.example", BOUNCE, NOW)),  # as SES takes it
        ("A@X.Example , complaint\r\n", Listed("a@x.example", COMPLAINT, NOW)),
        ("a@x.example,BOUNCE,2027-01-01T00:00:00Z", Listed("a@x.example", BOUNCE, 1_798_761_600.0)),
        ("a@x.example,BOUNCE,2027-01-01", Listed("a@x.example", BOUNCE, 1_798_761_600.0)),
        ("a@x.example,BOUNCE,2027-01-01T02:00+02:00", Listed("a@x.example", BOUNCE, 1_798_761_600.0)),
        ("a@x.example,BOUNCE,1798761600.5,more", Listed("a@x.example", BOUNCE, 1_798_761_600.5)),
        ('"a, b"@x.example,BOUNCE', BadLine(1, "not CSV: ',' expected after '\"'")),
        ('"""a, b""@x.example",BOUNCE', Listed('"a, b"@x.example', BOUNCE, NOW)),
        ("\ufeffa@x.example,BOUNCE", Listed("a@x.example", BOUNCE, NOW)),
        ("a@bücher.example,BOUNCE", Listed("a@xn--bcher-kva.example", BOUNCE, NOW)),
        ("a@x.example", BadLine(1, "no reason: give BOUNCE or COMPLAINT in the second column")),
        ("a@x.example,ANGER", BadLine(1, "'ANGER' is no reason: there are BOUNCE and COMPLAINT")),
        ("nobody,BOUNCE", BadLine(1, "'nobody' is no address: no @")),
        (",BOUNCE", BadLine(1, "'' is no address: give name@example.org")),
        ("<a@x.example>,BOUNCE", None),
        ("@y.example:a@x.example,BOUNCE", BadLine(1, "'@y.example:a@x.example' is no address: "
                                                     "give name@example.org")),
        ("a@x.example> b,BOUNCE", None),
        ("a@x.example,BOUNCE,yesterday", None),
        ("a@x.example,BOUNCE,nan", None),
        ("a@x.example,BOUNCE,-5", None),
        ("a@x.example,BOUNCE,2099-01-01", None),
        (b"\xff@x.example,BOUNCE", BadLine(1, "not UTF-8")),
        ("x" * 3000 + "@x.example,BOUNCE", BadLine(1, "longer than 2000 octets")),
    ],
)  # fmt: skip
def test_a_line(text: bytes | str, found: Listed | BadLine | None) -> None:
    (one,) = entries(text)
    if found is None:
        assert isinstance(one, BadLine)
        assert one.number == 1
    else:
        assert one == found


def test_no_line_spoils_another() -> None:
    text = b'a@x.example,BOUNCE\n"open@x.example,BOUNCE\n\n\xff\n' + b"y" * 9000 + b"\nb@x.example,BOUNCE\n"
    found = entries(text)
    assert [one.address if isinstance(one, Listed) else one.number for one in found] == [
        "a@x.example", 2, 4, 5, "b@x.example",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "head", ["address,reason,since", "EmailAddress,Reason,LastUpdateTime", "\ufeffEmail, reason ,since"]
)
def test_the_first_line_may_name_the_columns(head: str) -> None:
    (one,) = entries(f"{head}\na@x.example,COMPLAINT,5\n")
    assert one == Listed("a@x.example", COMPLAINT, 5.0)


def test_columns_may_come_in_any_order_and_be_missing() -> None:
    assert entries("since,name,address\n5,Ann,a@x.example\n", BOUNCE) == [Listed("a@x.example", BOUNCE, 5.0)]
    assert entries("a@x.example\nb@x.example\n", COMPLAINT) == [
        Listed("a@x.example", COMPLAINT, NOW),
        Listed("b@x.example", COMPLAINT, NOW),
    ]


ADDRESSES = st.one_of(
    st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}@[a-z0-9]{1,10}\.example", fullmatch=True),
    st.from_regex(r'"[ -!#-\[\]-~]{0,10}"@x\.example', fullmatch=True).map(str.lower),
    st.just("jürgen@x.example"),
)


@given(
    st.lists(
        st.builds(
            Listed,
            ADDRESSES,
            st.sampled_from(SuppressionReason),
            st.integers(0, int(NOW)).map(float),
            st.just(""),
        )
    )
)
def test_what_is_written_is_read_as_it_was(listed: list[Listed]) -> None:
    text = "".join(f"{line}\n" for line in [HEAD, *map(row, listed)])
    assert entries(text) == listed
    assert [line[0] for line in csv.reader(io.StringIO(text))][1:] == [one.address for one in listed]


@given(st.binary(max_size=300))
def test_nothing_breaks_it(content: bytes) -> None:
    found = entries(content, BOUNCE)
    assert len(found) <= content.count(b"\n") + 1
    for one in found:
        if isinstance(one, Listed):
            assert address_of(one.address) == one.address


def test_a_file_of_any_length_is_read_as_it_comes() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"a@x.example,BOUNCE\n"

    lines = endless()
    found = read(lambda size: next(lines), NOW)
    assert [next(found) for _ in range(3)] == [Listed("a@x.example", BOUNCE, NOW)] * 3


def test_moments() -> None:
    assert moment_of("2027-01-01T00:00:00Z", NOW) == 1_798_761_600.0
    with pytest.raises(ValueError, match="no date"):
        moment_of("1e400", NOW)
