"""``relay backup`` as it is typed."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from relay.daemon.commands.backup import backup
from tests.fakes.stopped_relay import StoppedRelay

app = typer.Typer()
app.command()(backup)


def typed(relay: StoppedRelay, *words: str) -> Result:
    runner = CliRunner(env={"RELAY_CONFIG": str(relay.config.path)})
    return runner.invoke(app, [*words])


@pytest.fixture
async def stopped(tmp_path: Path) -> StoppedRelay:
    relay = StoppedRelay(tmp_path / "relay")
    await relay.fill()
    return relay


async def test_made_and_verified(stopped: StoppedRelay, tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    done = typed(stopped, str(target))
    assert done.exit_code == 0, done.output
    assert f"{target}: made and verified; of 20" in done.stdout
    assert "; 6 messages to 8 recipients, " in done.stdout
    assert "it holds the keys: whoever can read it can read every secret" in done.stdout
    done = typed(stopped, str(target), "--verify")
    assert done.exit_code == 0, done.output
    assert f"{target}: whole; of 20" in done.stdout
    found = json.loads(typed(stopped, str(target), "--verify", "--json").stdout)
    assert (found["messages"], found["recipients"], found["faults"]) == (6, 8, [])
    done = typed(stopped, str(target))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"relay: {target} exists; give each backup a name of its own")


async def test_without_keys_it_is_said(stopped: StoppedRelay, tmp_path: Path) -> None:
    done = typed(stopped, str(tmp_path / "b"), "--without-keys", "--full-speed")
    assert "it holds no keys: without the directory's key file no secret in it can be read" in done.stdout


async def test_what_is_wrong_is_listed(stopped: StoppedRelay, tmp_path: Path) -> None:
    typed(stopped, str(tmp_path / "b"))
    for name in ("tls.crt", "service.pem"):
        (tmp_path / "b/configuration" / name).unlink()
    done = typed(stopped, str(tmp_path / "b"), "--verify")
    assert (done.exit_code, done.stdout) == (1, "")
    assert sorted(done.stderr.splitlines()) == [
        f"relay: {tmp_path}/b: configuration/service.pem is missing",
        f"relay: {tmp_path}/b: configuration/tls.crt is missing",
    ]
    done = typed(stopped, str(tmp_path / "b"), "--verify", "--json")
    assert (done.exit_code, len(json.loads(done.stdout)["faults"])) == (1, 2)
    done = typed(stopped, str(tmp_path / "none"), "--verify")
    assert (done.exit_code, done.stderr) == (
        1,
        f"relay: {tmp_path}/none: no such file; name a backup that `relay backup` made\n",
    )
