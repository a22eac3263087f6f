"""``relay manual``: files for a package."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.daemon.commands.app import app

CONF = Path(__file__).parents[2] / "conf" / "relay.toml"


def test_it_writes_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769817600")
    done = CliRunner().invoke(app, ["manual", str(tmp_path / "new"), "--settings", str(CONF)])
    assert done.exit_code == 0
    names = ["_relay", "relay.1", "relay.bash", "relay.fish", "relay.toml.5"]
    assert sorted(one.name for one in (tmp_path / "new").iterdir()) == names
    assert '"2026-01-31"' in (tmp_path / "new" / "relay.1").read_text().split("\n")[0]


@pytest.mark.parametrize("settings", ["missing.toml", "bad.toml"])
def test_a_file_that_is_no_settings(tmp_path: Path, settings: str) -> None:
    (tmp_path / "bad.toml").write_text("# a\n\nnonsense\n")
    done = CliRunner().invoke(app, ["manual", str(tmp_path), "--settings", str(tmp_path / settings)])
    assert done.exit_code == 1
    assert done.output.startswith("relay: not written: ")
    assert not (tmp_path / "relay.1").exists()
