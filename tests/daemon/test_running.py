"""``relay run`` up to its first worker; ``reload``, ``config check`` and ``show``."""

import getpass
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.daemon import first
from relay.daemon.commands.app import app
from tests.daemon.conftest import StartRelay
from tests.fakes.prepared import Port, Prepared
from tests.fakes.running import RunningRelay


def run(file: Path, *words: str) -> tuple[int, str, str]:
    result = CliRunner(env={"RELAY_CONFIG": str(file)}).invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    first.secrets.create_key_file(tmp_path / "relay.key")
    path = tmp_path / "relay.toml"
    path.write_text(
        "[relay]\nhostname='m.example.com'\n[spool]\npath='s'\n[directory]\nkey_file='relay.key'\n"
    )
    return path


# -- looking ------------------------------------------------------------------------------------------------


def test_check_shows_what_will_be(file: Path) -> None:
    status, said, noted = run(file, "config", "check", "--json")
    row = json.loads(said)
    assert (status, row["hostname"], row["spool"]) == (0, "m.example.com", str(file.parent / "s"))
    assert noted == "note: no [[listener]]: only `relay send` can hand mail in\n"
    assert not (file.parent / "s").exists()  # looking makes nothing


def test_check_looks_into_the_files_too(file: Path) -> None:
    (file.parent / "relay.key").chmod(0o644)
    status, said, error = run(file, "config", "check")
    assert (status, said) == (78, "")
    assert error.startswith(f"relay: {file}: [directory] key_file: ")
    assert "chmod 600" in error


def test_show_has_every_setting(file: Path) -> None:
    status, said, _ = run(file, "config", "show")
    assert (status, json.loads(said)["delivery"]["max_age"]) == (0, 50400.0)


@pytest.mark.parametrize(
    "url", ["postgresql://relay:s3cr3t@db.example.com/relay", "postgresql://relay:s3@cr3t@h/r"]
)
def test_a_password_in_the_url_is_not_shown(file: Path, url: str) -> None:
    file.write_text(file.read_text() + f"url='{url}'\n")
    for words in (["config", "check"], ["config", "show"]):
        status, said, error = run(file, *words)
        assert status == 0
        assert "relay:***@" in said
        assert "cr3t" not in said + error


def test_without_a_relay_it_is_said_how_to_start_one(file: Path) -> None:
    (file.parent / "s").mkdir()
    for words in (["reload"], ["queue", "flush", "--all"]):
        status, said, error = run(file, *words)
        assert (status, said) == (1, "")
        assert error == f"relay: no relay runs on {file.parent / 's'}; start it with `relay run`\n"


def test_a_queue_that_cannot_be_seen_is_not_empty(file: Path) -> None:
    for words in (["queue", "list"], ["queue", "count"], ["queue", "uncertain"], ["events", "tail"]):
        status, said, error = run(file, *words)
        assert (status, said) == (1, "")
        assert "has the relay run with this configuration?" in error


# -- what keeps it from running -----------------------------------------------------------------------------


def run_in_vain(file: Path) -> tuple[int, str]:
    """Status and words of a ``relay run`` that ends by itself."""
    ended = subprocess.run(
        [sys.executable, "-m", "relay", "--config", str(file), "run"],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return ended.returncode, ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ("[spol]\n", 78, "did you mean 'spool'?"),
        ("[tls]\ncertificate='gone'\nprivate_key='gone'\n", 78, "[tls] certificate: "),
        (
            "[[listener]]\naddress='127.0.0.1:0'\ntls='none'\nauth='none'\n"
            "trusted_networks=['127.0.0.0/8']\naccount='nobody'\n",
            78,
            "make it with `relay account create nobody`",
        ),
        ("[metrics]\nlisten='192.0.2.1:0'\n", 75, "no interface has this address"),
    ],
)
def test_it_does_not_start_and_says_why(
    file: Path, prepared: Prepared, more: str, status: int, said: str
) -> None:
    text = file.read_text() + more
    if "[metrics]" not in more:
        text += "[metrics]\nlisten=''\n"
    file.write_text(f"{text}[workers]\ncount=2\n")
    ended, words = run_in_vain(file)
    assert ended == status, words
    assert said in words
    assert "Traceback" not in words


def test_a_taken_port_may_be_free_in_a_minute(file: Path) -> None:
    port = Port()
    port._socket.listen()
    file.write_text(f"{file.read_text()}[metrics]\nlisten='127.0.0.1:{port.number}'\n")
    status, said = run_in_vain(file)
    assert status == 75
    assert said.startswith(f"relay: [metrics] listen 127.0.0.1:{port.number}: ")
    assert "another program listens there" in said
    port.free()


# -- a relay that runs --------------------------------------------------------------------------------------


def test_a_second_relay_leaves_the_first_alone(running: RunningRelay, tmp_path: Path) -> None:
    """Not even with other ports: the first one's control socket must stay its own."""
    text = running.file.read_text()
    for port in (running.starttls, running.wrapper, running.metrics, running.trusted, running.proxied):
        text = text.replace(str(port), "0")
    text = text.replace(str(running.far_proxied), "0")
    for name in ("relay.key", "tls.crt", "tls.key", "service.pem", "spool"):
        text = text.replace(f'"{name}"', f'"{running.folder / name}"')
    (tmp_path / "relay.toml").write_text(text)
    status, said = run_in_vain(tmp_path / "relay.toml")
    assert running.process is not None
    assert status == 75
    assert f"another relay (pid {running.process.pid}) runs on {running.spool}" in said
    assert running.is_ready()


def test_a_second_relay_on_the_same_ports_takes_no_client(running: RunningRelay) -> None:
    status, said = run_in_vain(running.file)
    assert status == 75
    assert "another program listens there" in said
    with running.client() as client:
        assert client.noop()[0] == 250


def test_reload_names_what_waits(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)
    relay.configure(workers=2, more="[log]\nlevel = 'warning'\n")
    status, said, _ = run(relay.file, "reload")
    assert (status, said) == (0, "taken over; needs a restart: [workers] count\n")
    last = relay.ask("status")["last_reload"]
    assert (last["ok"], last["why"]) == (True, "needs a restart: [workers] count")
    (relay.folder / "service.pem").rename(relay.folder / "away.pem")
    status, said, error = run(relay.file, "reload")
    assert (status, said) == (78, "")
    assert "service.pem" in error
    assert error.endswith("not taken over; the old configuration is in force\n")
    last = relay.ask("status")["last_reload"]
    assert (last["ok"], last["by"]) == (False, getpass.getuser())
    assert "service.pem" in last["why"]
    relay.file.write_text("[spol]\n")
    status, said, error = run(relay.file, "reload")
    assert (status, said) == (78, "")
    assert "did you mean 'spool'?" in error


def test_what_it_makes_is_for_its_owner(running: RunningRelay) -> None:
    with_group = {"control": 0o660}
    for folder, _, names in os.walk(running.spool):
        for name in names:
            path = Path(folder) / name
            assert stat.S_IMODE(path.lstat().st_mode) == with_group.get(name, 0o600), path
        assert stat.S_IMODE(os.stat(folder).st_mode) == (0o710 if folder == str(running.spool) else 0o700), (
            folder
        )


def test_no_secret_is_in_the_log_or_on_a_command_line(running: RunningRelay) -> None:
    with running.client():
        pass
    assert running.process is not None
    shown = running.log()
    for pid in [running.process.pid, *running.worker_pids()]:
        shown += Path(f"/proc/{pid}/cmdline").read_text()
    for secret in (running.prepared.password, running.prepared.secret):
        assert secret not in shown


def test_nothing_of_ours_is_in_the_way(running: RunningRelay) -> None:
    """A worker has none of the supervisor's descriptors but those it was given."""
    assert running.process is not None
    lock = (running.spool / "lock").stat().st_ino
    for pid in running.worker_pids():
        held = {os.stat(one).st_ino for one in Path(f"/proc/{pid}/fd").iterdir() if one.exists()}
        assert lock not in held
