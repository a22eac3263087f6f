"""The file that tells of the last life."""

import logging
from contextlib import suppress
from pathlib import Path

import pytest

from relay.base.errors import ConfigError, StartError
from relay.daemon.supervisor import last_life
from relay.daemon.supervisor.last_life import FILE
from tests.fakes.clock import ManualClock


def test_a_life_that_ended(tmp_path: Path) -> None:
    assert last_life.read(tmp_path) is None
    clock = ManualClock()
    with last_life.noted(tmp_path, clock, lambda: 0):
        running = last_life.read(tmp_path)
        assert running is not None
        assert (running.started_at, running.ended_at) == (clock.now(), 0.0)
        clock.advance(90.0)
    ended = last_life.read(tmp_path)
    assert ended is not None
    assert ended.ended_at - ended.started_at == 90.0
    assert (ended.status, ended.why) == (0, "it was told to end")
    assert [one.name for one in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ConfigError("no such key"), 78), (StartError("a port is taken"), 75), (ValueError("a bug"), 1)],
)
def test_a_life_that_met_an_error(tmp_path: Path, error: Exception, status: int) -> None:
    with suppress(type(error)), last_life.noted(tmp_path, ManualClock(), lambda: 0):
        raise error
    ended = last_life.read(tmp_path)
    assert ended is not None
    assert (ended.status, ended.why) == (status, str(error))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": [], "version": 1}', "\x00" * 100_000])
def test_a_file_that_is_none_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert last_life.read(tmp_path) is None


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), last_life.noted(tmp_path / "gone", ManualClock(), lambda: 0):
        pass
    assert "cannot be written" in caplog.text
