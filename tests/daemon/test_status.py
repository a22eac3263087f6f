"""``relay status`` as the administrator types it: of a relay that runs, of one that does not, and why not."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.daemon import first
from relay.daemon.commands.app import app
from relay.daemon.commands.status import told_by_workers
from relay.daemon.supervisor import last_life
from relay.spool.waiting import Counted
from tests.fakes.clock import ManualClock
from tests.fakes.prepared import ACCOUNT, message, wait_until
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


# -- what the supervisor answers ----------------------------------------------------------------------------


def test_a_status_tells_of_now_and_of_lately(running: RunningRelay) -> None:
    before = running.ask("status")
    running.send(message("seen"))
    after = running.ask("status")
    assert after["lately"]["minute"]["accepted"] - before["lately"]["minute"]["accepted"] == 1
    assert after["lately"]["hour"]["accepted"] >= 1
    assert 0 < after["lately"]["hour"]["seconds"] < 3600
    assert (after["draining"], after["restarts"]) == (False, {"0": 0, "1": 0})
    assert running.process is not None
    assert after["pid"] == running.process.pid
    assert after["stopped"] == {"paused": [], "paused_count": 0, "suspended": [], "suspended_count": 0}


def test_top_tells_of_sites_and_accounts(running: RunningRelay) -> None:
    running.send(message("waits"))

    def down() -> list[str]:
        sites = running.ask("top", limit=5)["sites"]
        return [one["why"] for one in sites if one["state"] in ("down", "probing")]

    assert "connect" in wait_until(down, "the next hop that is down is seen")[0]
    answer = running.ask("top", limit=1)
    assert [one["account"] for one in answer["accounts"]] == [ACCOUNT]
    assert len(answer["sites"]) == 1
    assert set(answer["readings"]) == {"0", "1"}


# -- a queue that this user may not read, or that is too long to be counted ---------------------------------


def test_the_workers_have_counted() -> None:
    readings = [
        {
            "queue_recipients": {"due": 5, "held": 1},
            "queue_oldest_seconds": {"due": 60.0, "held": 7200.0},
            "queue_counted_at": 9995.0,
        },
        {"queue_recipients": {"due": 2}, "queue_oldest_seconds": {"due": 90.0}},
        {},
    ]
    found = told_by_workers(readings, 10_000.0, Counted((), (("x.example", 3, "450"),), True))
    assert found == Counted(
        (("due", 7, 9910.0), ("held", 1, 2800.0)), (("x.example", 3, "450"),), False, 9995.0
    )
    assert told_by_workers(readings, 10_000.0, None).domains == ()
