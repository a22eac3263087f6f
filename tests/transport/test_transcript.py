"""What a transcript keeps, and what it never shows."""

from hypothesis import given
from hypothesis import strategies as st

from relay.transport.transcript import LIMIT, bounded, in_pairs, lines_of

OK = (250, b"2.1.0 ok")


def test_an_exchange_is_what_was_said_and_what_was_answered() -> None:
    exchanges = [
        ("", [(220, b"mx.example ESMTP")]),
        ("EHLO me.example", [(250, b"mx.example\nPIPELINING\nSIZE 1000")]),
        ("# TLSv1.3", ()),
        ("MAIL FROM:<a@b.example>", [(451, b"4.7.1 come back\nlater")]),
        ("QUIT", ()),
    ]
    assert lines_of(exchanges) == [
        "< 220 mx.example ESMTP",
        "> EHLO me.example",
        "< 250-mx.example",
        "< 250-PIPELINING",
        "< 250 SIZE 1000",
        "# TLSv1.3",
        "> MAIL FROM:<a@b.example>",
        "< 451 4.7.1-come back",
        "< 451 4.7.1 later",
        "> QUIT",
    ]


def test_commands_behind_the_first_without_a_reply_were_not_sent_unless_all_were() -> None:
    commands = ["MAIL\r\n", "RCPT a\r\n", "RCPT b\r\n", "DATA"]
    assert in_pairs(commands, [OK], all_sent=False) == [("MAIL", [OK]), ("RCPT a", [])]
    assert in_pairs(commands, [OK], all_sent=True) == [
        ("MAIL", [OK]),
        ("RCPT a", []),
        ("RCPT b", []),
        ("DATA", []),
    ]
    assert in_pairs(commands[:1], [OK], all_sent=False) == [("MAIL", [OK])]


def test_what_cannot_be_printed_becomes_a_space_and_what_is_long_is_cut() -> None:
    (said, answered) = lines_of([("RCPT TO:<\x1b[2Ja@b>", [(550, b"\x07no " + b"x" * 600)])])
    assert said == "> RCPT TO:< [2Ja@b>"
    assert answered.startswith("< 550  no xxx")
    assert answered.endswith("x...")


def test_of_many_lines_the_first_and_the_last_are_kept() -> None:
    lines = [f"> RCPT TO:<user{n}@example.org>" for n in range(500)]
    text = bounded(lines).split("\n")
    assert (text[0], text[-1]) == (lines[0], lines[-1])
    (left_out,) = [line for line in text if line.startswith("#")]
    assert left_out == f"# {500 - len(text) + 1} lines left out"
    assert bounded(lines[:3]) == "\n".join(lines[:3])


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=600), max_size=60))
def test_it_is_never_longer_than_its_limit(lines: list[str]) -> None:
    assert len(bounded(lines)) <= LIMIT
