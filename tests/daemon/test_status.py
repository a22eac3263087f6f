"""``relay status`` as the administrator types it: of a relay that runs, of one that does not, and why not."""

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.daemon import first
from relay.daemon.commands.app import app
from relay.daemon.supervisor import last_life
from tests.daemon.conftest import StartRelay
from tests.fakes.clock import ManualClock
from tests.fakes.prepared import message, wait_until
from tests.fakes.running import RunningRelay


def run(file: Path, *words: str) -> tuple[int, str, str]:
    result = CliRunner(env={"RELAY_CONFIG": str(file)}).invoke(app, ["status", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    first.secrets.create_key_file(tmp_path / "relay.key")
    path = tmp_path / "relay.toml"
    path.write_text(
        "[relay]\nhostname='m.example.com'\n[spool]\npath='s'\n[directory]\nkey_file='relay.key'\n"
    )
    (tmp_path / "s").mkdir()
    return path


def test_one_that_runs(running: RunningRelay) -> None:
    running.send(message("waits"))
    status, said, _ = run(running.file)
    lines = said.splitlines()
    assert status in (0, 1), said  # 1 once it has seen that its only next hop is down
    assert len(lines) <= 24
    assert lines[0].startswith("relay ")
    assert any(line.startswith("waiting") and "nothing" not in line for line in lines)
    status, said, _ = run(running.file, "--json")
    answer = json.loads(said)
    assert answer["condition"] == ["healthy", "degraded"][status]
    assert {"ready", "readings", "notifier", "version", "last_reload", "findings"} <= set(answer)
    assert answer["waiting"]["states"]["fresh"].keys() == {"recipients", "oldest_at"}
    assert answer["certificates"][0]["ends_at"] > answer["started_at"]
    assert answer["disk"]["free"] > 0


def test_one_that_never_ran(file: Path) -> None:
    status, said, error = run(file)
    assert (status, error) == (2, "")
    assert "m.example.com: DOWN" in said
    assert "-> start it: `" in said
    answer = json.loads(run(file, "--json")[1])
    assert (answer["condition"], answer["ready"], answer["readings"]) == ("down", {}, {})
    assert [one["about"] for one in answer["findings"]] == ["relay"]


def findings(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(file, "--json")[1])["findings"]
    return found


def test_one_that_ended_and_one_that_was_killed(file: Path) -> None:
    with last_life.noted(file.parent / "s", ManualClock(1_700_000_000.0), lambda: 0):
        assert (
            "was killed, or crashed" in findings(file)[0]["seen"] or "went down" in findings(file)[0]["seen"]
        )
    assert "it was told to end" in findings(file)[0]["seen"]


def test_what_keeps_it_from_starting_is_named(file: Path) -> None:
    file.write_text(file.read_text() + "[delivery]\nca_file = 'gone.pem'\n")
    first_, second = findings(file)
    assert "mend what follows" in first_["fix"]
    assert "ca_file" in second["seen"]


def test_one_that_holds_the_spool_and_does_not_answer(file: Path) -> None:
    descriptor = os.open(file.parent / "s" / "lock", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"4711\n")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    (found,) = findings(file)
    os.close(descriptor)
    assert "pid 4711" in found["seen"]


def test_a_configuration_that_cannot_be_read_is_its_own_status(file: Path) -> None:
    file.write_text("[spol]\n")
    status, said, error = run(file)
    assert (status, said) == (78, "")
    assert "did you mean 'spool'?" in error


def test_a_reload_that_was_refused_is_seen(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)
    text = relay.file.read_text()
    relay.file.write_text(text + "[delivery.nonsense]\n")
    relay.signal(signal.SIGHUP)
    wait_until(lambda: relay.ask("status")["last_reload"], "the reload was refused")
    status, said, _ = run(relay.file)  # which is not to be read now
    assert status == 1, said
    assert "a restart would fail" in said
    relay.file.write_text(text)
    status, said, _ = run(relay.file, "--all")
    assert status == 1, said
    assert "was refused, the old configuration is in force" in said.replace("\n" + " " * 21, " ")
    assert "relay config check" in said
    assert relay.command("reload").returncode == 0
    assert run(relay.file)[0] == 0
