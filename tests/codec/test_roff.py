"""Man pages: what goes in is what groff shows, whatever it looks like."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.roff import Page, bold, escaped, with_code


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("plain", "plain"),
        ("--json", "\\-\\-json"),
        (r"a\b", "a\\eb"),
        (".so /etc/passwd", "\\&.so /etc/passwd"),
        ("'br", "\\(aqbr"),
        ('"quoted"', "\\(dqquoted\\(dq"),
    ],
)
def test_a_text_is_escaped(text: str, source: str) -> None:
    assert escaped(text) == source


def test_words_between_grave_accents_are_bold() -> None:
    assert with_code("see `relay run`.") == "see \\fBrelay run\\fR."


def page(text: str) -> Page:
    made = Page("x", 1, "2026-01-31", "relay 1", "about")
    made.section("TEXT")
    made.paragraph(text)
    return made


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Z")), max_size=300))
def test_no_text_becomes_a_request(text: str) -> None:
    """Each line of source is text, or one of the macros that we write."""
    lines = page(text).text.split("\n")[4:]
    assert not [line for line in lines if line.startswith((".", "'"))]


def test_after_a_heading_no_paragraph_is_begun() -> None:
    made = page("first")
    made.paragraph("second")
    made.item(bold("-a"), "the switch", bold("-b"))
    made.example("as it is\n  indented")
    lines = made.text.split("\n")
    assert lines[3:8] == ['.SH "TEXT"', "first", ".PP", "second", ".TP"]
    assert lines[8:] == [
        "\\fB\\-a\\fR",
        ".TQ",
        "\\fB\\-b\\fR",
        "the switch",
        ".RS 4",
        ".nf",
        "as it is",
        "\\&  indented",
        ".fi",
        ".RE",
        "",
    ]


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
@pytest.mark.parametrize("text", [r"C:\new\file", ".PP is a macro", "it's `x`", "a ~ b ^ c", "--long-option"])
def test_groff_shows_the_text(text: str) -> None:
    run = ["groff", "-man", "-Tascii", "-P-cbou", "-ww"]
    done = subprocess.run(run, input=page(text).text, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert text.replace("`", "") in re.sub(r" +", " ", done.stdout)
