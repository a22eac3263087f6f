"""``relay init``: what it asks for, what it says next."""

from pathlib import Path

from typer.testing import CliRunner

from relay.daemon import first
from relay.daemon.commands.app import app
from relay.daemon.settings.config import load


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["init", *words])
    return result.exit_code, result.stdout, result.stderr


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    status, said, _ = run(
        str(tmp_path), "--hostname", "mail.example.com", "--high-ports", "--listen", "127.0.0.1"
    )
    assert status == 0
    assert said.splitlines()[0] == f"wrote {tmp_path}/relay.toml"
    for command in (
        *("account create", "credential create", "identity add", "identity zone", "identity check"),
        *("identity verify", "run"),
    ):
        assert f"relay --config {tmp_path}/relay.toml {command}" in said
    settings = load(tmp_path / "relay.toml")
    assert [one.address for one in settings.listener] == [[("127.0.0.1", 2587)], [("127.0.0.1", 2465)]]
    status, said, error = run(str(tmp_path))
    assert (status, said) == (1, "")
    assert error == f"relay: {tmp_path}/relay.toml exists; change it, or name another folder\n"


def test_it_listens_for_everyone_who_can_reach_the_machine(tmp_path: Path) -> None:
    assert run(str(tmp_path), "--hostname", "mail.example.com")[0] == 0
    hosts = [one.strip("[]") for one in first.all_addresses()]
    settings = load(tmp_path / "relay.toml")
    assert [one.address for one in settings.listener] == [
        [(host, port) for host in hosts] for port in (587, 465)
    ]


def test_it_fails_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, said, error = run(str(tmp_path / "file" / "below"))
    assert (status, said) == (1, "")
    assert len(error.splitlines()) == 1
    assert "Not a directory" in error


def test_its_help_says_where_what_goes() -> None:
    status, said, _ = run("--help")
    assert status == 0
    assert "/var/spool/relay" in said
    assert "--user" in said
