"""Lists: aligned for people, whole for programs, empty without a word on standard output."""

import json

import pytest

from relay.daemon.commands.rows import moment, print_row, print_rows


def test_columns_are_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(
        [{"name": "a", "is_on": True, "value": "x" * 300}, {"name": "bbb", "is_on": False, "value": ""}],
        as_json=False,
        nothing="none",
    )
    out, err = capsys.readouterr()
    assert out.splitlines() == ["NAME  IS ON  VALUE", f"a     yes    {'x' * 300}", "bbb   no"]
    assert err == ""


def test_what_strangers_said_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_row({"said": "503 \x1b[2JBusy\x9b"}, as_json=False)
    print_rows([{"said": "503 \x1b[2JBusy"}], as_json=False, nothing="")
    assert capsys.readouterr().out == "said: 503 ?[2JBusy?\nSAID\n503 ?[2JBusy\n"


def test_nothing_is_said_to_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], as_json=False, nothing="none yet")
    assert capsys.readouterr() == ("", "none yet\n")
    print_rows([], as_json=True, nothing="none yet")
    assert capsys.readouterr() == ("[]\n", "")


def test_one_thing_is_a_line_a_field_or_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": 1, "created_at": moment(1_800_000_000.9), "reason": ""}
    print_row(row, as_json=False)
    assert capsys.readouterr().out == "id:         1\ncreated at: 2027-01-15T08:00:00Z\nreason:\n"
    print_row(row, as_json=True)
    assert json.loads(capsys.readouterr().out) == row
