"""Runs a group of commands against a configuration and a directory of its own."""

import json
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from relay.directory.secrets import create_key_file
from relay.directory.store import Directory


class CommandLine:
    """``relay GROUP ...`` with RELAY_CONFIG set."""

    def __init__(self, app: typer.Typer, folder: Path) -> None:
        self._app = app
        self.config = folder / "relay.toml"
        self.config.write_text('[directory]\nkey_file = "relay.key"\nregion = "eu-west-1"\n')
        create_key_file(folder / "relay.key")
        self.directory = Directory(f"sqlite:///{folder / 'directory.db'}", folder / "relay.key", "eu-west-1")
        self.directory.migrate()

    def __call__(self, *words: str, answer: str | None = None) -> str:
        """What a command prints; it must succeed."""
        result = self._run(words, answer)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json"))

    def error(self, *words: str, answer: str | None = None) -> str:
        """The one line with which a command fails."""
        result = self._run(words, answer)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, lines
        return str(lines[0])

    def _run(self, words: tuple[str, ...], answer: str | None) -> Any:
        return CliRunner(env={"RELAY_CONFIG": str(self.config)}).invoke(self._app, list(words), input=answer)
