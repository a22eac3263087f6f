"""Commands open the directory that the configuration names, and end in one line if they cannot."""

from pathlib import Path

import pytest
import typer

from relay.base.errors import DirectoryError
from relay.daemon.commands.directory import directory_of, opened
from relay.daemon.settings.config import load
from tests.daemon.commandline import CommandLine


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    line = CommandLine(typer.Typer(), tmp_path)
    monkeypatch.setenv("RELAY_CONFIG", str(line.config))
    yield line.config
    line.directory.close()


def test_the_directory_of_the_configuration_is_opened(config: Path) -> None:
    with opened() as directory:
        assert str(directory) == f"sqlite:///{config.parent / 'directory.db'}"
        assert directory.region == "eu-west-1"
    assert str(directory_of(load(config))) == str(directory)


def test_a_refusal_ends_with_status_1_and_a_bug_with_a_traceback(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, opened():
        raise DirectoryError("do this instead")
    assert caught.value.exit_code == 1
    assert capsys.readouterr() == ("", "relay: do this instead\n")
    with pytest.raises(ZeroDivisionError), opened():
        raise ZeroDivisionError
