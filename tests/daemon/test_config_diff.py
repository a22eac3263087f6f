"""``relay config diff`` against a relay that runs, and without one."""

import json
from pathlib import Path

import pytest

from relay.base.errors import RelayError
from relay.daemon.commands.config_diff import compared
from relay.daemon.settings.config import parse
from tests.daemon.conftest import StartRelay
from tests.daemon.test_running import run


def test_against_a_relay_that_runs(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)
    assert run(relay.file, "config", "diff") == (0, "", "no difference\n")
    relay.configure(workers=2, more="[log]\nlevel = 'warning'\n")
    status, said, _ = run(relay.file, "config", "diff", "--json")
    assert status == 1
    assert json.loads(said) == [
        {"setting": "[workers] count", "running": "1", "file": "2", "takes": "restart"},
        {"setting": "[log] level", "running": "info", "file": "warning", "takes": "reload"},
    ]
    assert run(relay.file, "reload")[0] == 0
    status, said, _ = run(relay.file, "config", "diff")
    assert (status, said.splitlines()[1].split()) == (1, ["[workers]", "count", "1", "2", "restart"])
    relay.file.write_text("[spol]\n")
    status, said, error = run(relay.file, "config", "diff")
    assert (status, said) == (78, "")
    assert "did you mean 'spool'?" in error


def test_without_a_relay_nothing_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text("[relay]\nhostname='m.example'\n[spool]\npath='s'\n")
    status, said, error = run(tmp_path / "relay.toml", "config", "diff")
    assert (status, said) == (2, "")
    assert "start it with `relay run`" in error


def test_a_relay_of_another_version_is_named() -> None:
    file = parse("", Path("/relay.toml"))
    answer = {"boot_text": "[newer]\n", "text": "", "path": "/relay.toml", "version": "9.9"}
    with pytest.raises(RelayError, match=r"the running relay is version 9\.9"):
        compared(answer, file)
