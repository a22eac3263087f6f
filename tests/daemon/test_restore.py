"""``relay restore`` as it is typed."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from relay.daemon.backup import making
from relay.daemon.commands.restore import restore
from tests.fakes.clock import ManualClock
from tests.fakes.stopped_relay import StoppedRelay, waiting

app = typer.Typer()
app.command()(restore)


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in words])


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    relay = StoppedRelay(tmp_path / "relay")
    await relay.fill()
    making.make(relay.config, tmp_path / "b.tar", ManualClock(), share=1.0)
    making.make(relay.config, tmp_path / "bare", ManualClock(), keys=False, share=1.0)
    shutil.rmtree(relay.folder)
    return tmp_path / "b.tar"


async def test_what_was_done_and_what_comes_next(backup: Path, tmp_path: Path) -> None:
    done = typed(backup)
    assert done.exit_code == 0, done.output
    assert f"restored {backup}, of 20" in done.stdout
    assert f"spool: {tmp_path}/relay/spool: 6 messages to 8 recipients" in done.stdout
    assert "held: 8 recipients, and 0 that were held before" in done.stdout
    assert "would go out again" in done.stdout
    assert "`relay queue release --all`" in done.stdout
    done = typed(backup)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "would be replaced; --force" in done.stderr
    done = typed(backup, "--force")
    assert f"moved aside: {tmp_path}/relay/spool/before-20" in done.stdout


async def test_released(backup: Path, tmp_path: Path) -> None:
    done = typed(backup, "--release")
    assert "nothing is held: what was delivered after the backup was made goes out again" in done.stdout
    assert not [of for of in waiting(tmp_path / "relay/spool").values() if 2 in of.values()]


async def test_elsewhere_and_in_parts(backup: Path, tmp_path: Path) -> None:
    words = ["--to-spool", tmp_path / "s", "--only", "spool"]
    found = json.loads(typed(backup, *words, "--json").stdout)
    assert (found["spool"], found["held"], found["files"]) == (str(tmp_path / "s"), 8, 0)
    assert found["notes"] == [f"set [spool] path to what is now in {tmp_path}/s"]
    assert found["backup"]["messages"] == 6
    done = typed(backup, "--only", "directory", "--to-directory", tmp_path / "d")
    assert done.exit_code == 0, done.output
    assert sorted(one.name for one in (tmp_path / "d").iterdir()) == ["directory.db", "relay.key"]
    assert "spool:" not in done.stdout


async def test_one_without_keys_says_what_is_missing(backup: Path, tmp_path: Path) -> None:
    done = typed(tmp_path / "bare")
    assert (
        "the backup has no keys: put the key file and private keys in place before the start" in done.stdout
    )


async def test_what_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    done = typed(tmp_path / "x")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"relay: {tmp_path}/x is no backup: it has no manifest.json\n"
