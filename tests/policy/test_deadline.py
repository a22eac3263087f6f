"""X-Relay-Deadline: seconds, a moment, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.headers import Header
from relay.policy.deadline import deadline_of
from relay.signing.headers import outgoing_fields


def header(*values: str) -> Header:
    lines = "".join(f"X-Relay-Deadline: {value}\r\n" for value in values)
    return Header.parse(f"Subject: hi\r\n{lines}\r\n".encode())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("120", (120.0, 0.0)),
        ("  90.5 ", (90.5, 0.0)),
        ("0", (0.0, 0.0)),
        ("-5", (0.0, 0.0)),
        ("2027-01-15T08:00:00Z", (0.0, 1_800_000_000.0)),
        ("2027-01-15t09:00:00.5+01:00", (0.0, 1_800_000_000.5)),
        ("1960-01-01T00:00:00Z", (0.0, 1.0)),
        ("2027-13-15T08:00:00Z", (0.0, 0.0)),
        ("2027-01-15T08:00:00", (0.0, 0.0)),
        ("soon", (0.0, 0.0)),
        ("", (0.0, 0.0)),
    ],
)
def test_values(value: str, found: tuple[float, float]) -> None:
    assert deadline_of(header(value)) == found


def test_none_and_two() -> None:
    assert deadline_of(header()) == (0.0, 0.0)
    assert deadline_of(header("60", "120")) == (60.0, 0.0)


def test_it_does_not_leave() -> None:
    names = [name for name, _ in outgoing_fields(header("60"), "id", "relay.example", 0.0)]
    assert b"x-relay-deadline" not in names


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40))
def test_whatever_is_written_there(text: str) -> None:
    seconds, moment = deadline_of(header(text))
    assert seconds >= 0.0 <= moment
