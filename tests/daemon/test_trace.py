"""``relay trace`` up to the relay: what may be asked for, and how lines are printed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.base.trace import Filter
from relay.daemon.commands.app import app
from relay.daemon.commands.trace import Printed, _filter
from relay.daemon.settings.config import Config, parse

LISTENERS = "[relay]\nhostname='m.example'\n[tls]\ncertificate='c'\nprivate_key='k'\n" + "".join(
    f"[[listener]]\naddress={one}\n" for one in (["127.0.0.1:587", "[::1]:587"], ["0.0.0.0:25"])
)


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return parse(LISTENERS, tmp_path / "relay.toml")


def test_what_is_meant(settings: Config) -> None:
    assert _filter(settings, "192.0.2.7", "", "") == Filter(client="192.0.2.7/32")
    assert _filter(settings, "192.0.2.7/24", "", "") == Filter(client="192.0.2.0/24")
    assert _filter(settings, "2001:DB8::1", ":25", "") == Filter(client="2001:db8::1/128", listener=":25")
    assert _filter(settings, "", "25", "") == Filter(listener=":25")
    assert _filter(settings, "", "[::1]:587", "") == Filter(listener="::1:587")
    assert _filter(settings, "", "", "MX1.Example.") == Filter(site="mx1.example")
    assert _filter(settings, "", "", "[192.0.2.1]") == Filter(site="192.0.2.1")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "say which sessions: --client, --listener, --account or"),
        (["--client", "nobody"], "'nobody' does not appear to be an IPv4 or IPv6 network"),
        (["--listener", "smtp"], "'smtp' is no listener; e.g. 127.0.0.1:587, or :587"),
        (["--listener", ":2525"], "no [[listener]] has port 2525; there are 25, 587"),
        (["--site", "x.example", "--client", "::1"], "--site is of deliveries"),
        (["--client", "::1", "--for", "soon"], "'soon' is not a duration"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, words: list[str], why: str) -> None:
    (tmp_path / "relay.toml").write_text(LISTENERS)
    runner = CliRunner(env={"RELAY_CONFIG": str(tmp_path / "relay.toml"), "COLUMNS": "200", "NO_COLOR": "1"})
    result = runner.invoke(app, ["trace", *words])
    assert result.exit_code == 2
    assert why in " ".join(result.stderr.split())


def test_without_a_relay_there_is_nothing_to_see(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text("[spool]\npath='s'\n")
    runner = CliRunner(env={"RELAY_CONFIG": str(tmp_path / "relay.toml")})
    result = runner.invoke(app, ["trace", "--client", "::1"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "start it with `relay run`" in result.stderr


AT = 1_700_000_000.5
LINES = [
    [AT, "in0.1", "#", "client ::1:5"],
    [AT, "in0.1", "S", "220 hi"],
    [AT, "out1.12", "C", "EHLO x"],
    [AT, "in0.1", ".", ""],
]


def test_lines_for_people() -> None:
    printed = Printed(0, as_json=False)
    assert printed.texts({"lines": LINES, "left_out": 123}) == [
        "22:13:20.500 in0.1   #  client ::1:5",
        "22:13:20.500 in0.1   S: 220 hi",
        "22:13:20.500 out1.12 C: EHLO x",
        "… 123 lines left out",
    ]
    assert not printed.is_enough


def test_lines_for_programs() -> None:
    texts = Printed(0, as_json=True).texts({"lines": LINES, "left_out": 123})
    assert [json.loads(one) for one in (texts[1], texts[3])] == [
        {"at": "2023-11-14T22:13:20.500+00:00", "session": "in0.1", "who": "S", "line": "220 hi"},
        {"left_out": 123},
    ]


def test_a_number_of_sessions() -> None:
    printed = Printed(1, as_json=False)
    assert len(printed.texts({"lines": LINES[:3], "left_out": 0})) == 2  # the second session is one too many
    assert not printed.is_enough
    assert printed.texts({"lines": LINES[3:], "left_out": 0}) == []
    assert printed.is_enough
    printed = Printed(1, as_json=False)
    printed.texts({"lines": [[AT, "in0.9", ".", ""]], "left_out": 0})
    assert not printed.is_enough  # the end of one that was never seen
