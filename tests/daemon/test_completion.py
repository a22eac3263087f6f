"""Completion, by the shells themselves."""

import subprocess
from pathlib import Path

import pytest

from relay.daemon.manual import completion
from relay.daemon.manual.tree import tree

CASES = [
    (["id"], {"identity"}),
    (["identity", "add", "--r"], {"--rsa-bits"}),
    (["identity", "dkim", "example.org", "o"], {"on", "off"}),
    (["--config", "SOME"], {"SOME.toml"}),
    (["--config", "SOME.toml", "que"], {"queue"}),
    (["bounce", "parse", "SOME"], {"SOME.toml"}),
    (["queue", "list", "--nothing"], set()),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("completion")
    root = tree()
    (made / "relay.bash").write_text(completion.bash(root))
    (made / "relay.fish").write_text(completion.fish(root))
    (made / "_relay").write_text(completion.zsh(root))
    (made / "SOME.toml").write_text("")
    return made


def said_by(folder: Path, *command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split("\n")


@pytest.mark.parametrize(("words", "found"), CASES)
def test_bash(folder: Path, words: list[str], found: set[str]) -> None:
    script = 'source relay.bash; COMP_WORDS=("relay" "$@"); COMP_CWORD=$#; _relay; '
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    assert set(said_by(folder, "bash", "--norc", "-c", script, "bash", *words)) - {""} == found


@pytest.mark.parametrize(("words", "found"), CASES)
def test_fish(folder: Path, words: list[str], found: set[str]) -> None:
    script = f"source relay.fish; complete -C '{' '.join(['relay', *words])}'"
    lines = said_by(folder, "fish", "--no-config", "-c", script)
    assert {line.split("\t")[0] for line in lines} - {""} == found


# What zsh would offer: its completion functions need a terminal, so the three that ours calls are told apart.
ZSH = """
_describe() { for one in $found; do print -r -- ${one%%:*}; done }
compadd() { shift; print -rl -- "$@" }
_files() { print -rl -- *(N) }
words=(relay "$@") CURRENT=$(( $# + 1 ))
complete_relay() { source ./_relay }
complete_relay
"""


@pytest.mark.parametrize(("words", "found"), CASES[:-1])
def test_zsh(folder: Path, words: list[str], found: set[str]) -> None:
    lines = said_by(folder, "zsh", "-f", "-c", ZSH, "zsh", *words)
    assert found <= {line for line in lines if line.startswith(words[-1])}


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", "relay.bash"), ("zsh", "_relay"), ("fish", "relay.fish")]
)
def test_the_shell_can_read_it(folder: Path, shell: str, file: str) -> None:
    assert said_by(folder, shell, "-n", file) == [""]
