"""The command line as a whole: how it starts, what every command has, how each way of calling ends."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import relay
from relay.daemon import cli
from relay.daemon.commands.app import app


def run(*words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "relay", *words], input=stdin, capture_output=True, timeout=60
    )


def commands() -> list[list[str]]:
    group = typer.main.get_command(app)
    found = []
    for name, one in group.commands.items():  # type: ignore[attr-defined]
        found.append([name])
        found += [[name, below] for below in getattr(one, "commands", {})]
    return found


def test_the_names_that_others_rely_on() -> None:
    wanted = {
        "run", "init", "send", "config check", "events tail", "account create", "credential create",
        "credential list", "credential delete", "identity add", "identity verify", "identity list",
        "identity remove", "identity records", "identity check", "queue list", "queue show", "queue flush",
        "queue hold", "queue release", "queue delete", "queue uncertain",
    }  # fmt: skip
    assert wanted <= {" ".join(one) for one in commands()}


@pytest.mark.parametrize("words", [one for one in commands() if one != ["send"]], ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    usage, *rest = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    assert usage.startswith("Usage: ")
    assert rest[0][0].isupper()  # a sentence follows, not a table
    assert "[]" not in result.stdout  # of a name of the configuration that was taken for markup


def test_a_list_can_be_read_by_programs() -> None:
    for words in commands():
        if words[-1] in ("list", "status", "uncertain", "records", "show", "count", "tail"):
            if words == ["config", "show"]:
                continue  # JSON it is
            assert "--json" in CliRunner().invoke(app, [*words, "--help"]).stdout, words


def test_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{relay.__version__}\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "Usage"),
        (["nonsense"], 2, "No such command"),
        (["queue", "list", "--nonsense"], 2, "No such option"),
        (["--config", "/nonexistent/r.toml", "run"], 78, "make one with `relay init`"),
        (["--config", "/nonexistent/r.toml", "status"], 78, "no such file"),
        (["--config", "/nonexistent/r.toml", "send", "x@example.org"], 78, "no such file"),
        (["send", "--nonsense"], 64, "option --nonsense not recognized"),
        (["worker"], 64, "started by `relay run`, not by hand"),
    ],
)
def test_exit_status(words: list[str], status: int, said: str) -> None:
    ended = run(*words)
    assert ended.returncode == status
    assert said in (ended.stderr + ended.stdout).decode()
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "status"), [(["--version"], 0), (["send", "--nonsense"], 64), (["worker"], 64)]
)
def test_the_console_script_goes_the_same_ways(
    words: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["relay", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status


def test_send_starts_without_what_it_does_not_need() -> None:
    """A program that sends one message waits for neither the database library nor the tables of the CLI."""
    code = (
        "import sys, relay.daemon.commands.send; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert not {"sqlalchemy", "typer", "rich", "aiosmtpd", "uvloop", "pydantic"} & set(loaded.stdout.split())


def test_a_folder_named_relay_does_not_get_in_the_way(tmp_path: Path) -> None:
    """The console script does not import from where it is called."""
    (tmp_path / "relay").mkdir()
    (tmp_path / "relay" / "__init__.py").write_text("raise SystemExit('the wrong relay')")
    script = Path(sys.executable).parent / "relay"
    if not script.exists():
        pytest.skip("not installed as a script")
    ended = subprocess.run([script, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.stdout == f"{relay.__version__}\n"


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (["status"], ["sqlalchemy", "httpx", "dns"]),
        (["queue", "list"], ["sqlalchemy", "httpx"]),
        (["account", "list"], ["httpx", "dns"]),
    ],
    ids=" ".join,
)
def test_a_subcommand_starts_without_what_only_others_need(words: list[str], without: list[str]) -> None:
    code = "import sys; from relay.daemon.commands.app import app\ntry: app()\nfinally: print(*sys.modules)"
    line = [sys.executable, "-c", code, "--config", "/nonexistent/r.toml", *words]
    loaded = subprocess.run(line, capture_output=True, text=True, timeout=60).stdout.split()
    assert "relay.daemon.commands.app" in loaded
    assert not set(without) & set(loaded)
