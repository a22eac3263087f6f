"""Words of a report: nothing in them ends a line."""

from hypothesis import given
from hypothesis import strategies as st

from relay.codec.report_words import date, one_line, wrapped


@given(st.text() | st.text("\r\n\0\x85\u2028 a"))
def test_one_line_is_one(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line.encode()) <= 900
    assert line == " ".join(line.split())


def test_a_paragraph():
    lines = wrapped("word " * 40)
    assert len(lines) > 1
    assert all(line.startswith("    word") and len(line) <= 76 for line in lines)


def test_a_date():
    assert date(1_700_000_000.9) == "Tue, 14 Nov 2023 22:13:20 +0000"
