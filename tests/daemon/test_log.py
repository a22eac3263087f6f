"""``relay log`` with a relay that runs: all its processes follow, and the file's level comes back."""

import json
from pathlib import Path

import pytest

from tests.daemon.conftest import StartRelay
from tests.daemon.test_running import run
from tests.fakes.prepared import message, wait_until


def test_it_is_changed_live_shown_and_comes_back(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)
    assert run(relay.file, "log")[1].splitlines()[1].split() == ["all", "info", "[log]", "level"]
    one = relay.send(message("one"))
    relay.wait_for_event(one, "accepted")
    status, said, _ = run(relay.file, "log", "level", "error", "--for", "1h")
    assert (status, said.splitlines()[1].split()[:2]) == (0, ["all", "error"])
    two = relay.send(message("two"))
    assert run(relay.file, "log", "level", "debug", "--logger", "relay.transport")[0] == 0
    (first, second) = json.loads(run(relay.file, "log", "--json")[1])["set"]
    assert (first["logger"], first["level"], second["logger"]) == ("", "error", "relay.transport")
    assert run(relay.file, "log", "level", "file")[0] == 0
    three = relay.send(message("three"))
    relay.wait_for_event(three, "accepted")
    assert "accepted" not in [one["event"] for one in relay.events(two)]
    assert run(relay.file, "log", "level", "warning", "--for", "200ms")[0] == 0
    wait_until(lambda: "log level is the file's again" in relay.log(), "the file's level is back")
    four = relay.send(message("four"))
    relay.wait_for_event(four, "accepted")
    assert relay.log().count("log level changed") == 4


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["loud"], "'loud' is no level; there are debug, info, warning, error"),
        (["debug", "--logger", "httpx"], "'httpx' is no logger of the relay"),
        (["debug", "--for", "soon"], "'soon' is not a duration"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, words: list[str], why: str) -> None:
    (tmp_path / "relay.toml").write_text("[spool]\npath='s'\n")
    status, said, error = run(tmp_path / "relay.toml", "log", "level", *words)
    assert (status, said) == (2, "")
    assert why in error
