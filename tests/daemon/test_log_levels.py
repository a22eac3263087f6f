"""The levels of a process: the file's, what is set beside it, and back again."""

import logging
from collections.abc import Iterator

import pytest

from relay.daemon import logs
from relay.daemon.log_levels import Levels, check
from tests.fakes.clock import ManualClock

NAMES = ("", "relay.transport", "relay.transport.opening", "relay.ingress")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in NAMES[1:]:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(False)


def effective() -> list[str]:
    return [logging.getLevelName(logging.getLogger(name).getEffectiveLevel()).lower() for name in NAMES]


def test_all_and_parts_and_back_again() -> None:
    levels = Levels("info", "keyvalue", 0)
    levels.follow("info", "keyvalue")
    lines = logs.Lines(ManualClock(), "info", "keyvalue", 0)
    levels.add(lines)
    levels.override({"relay.transport": "debug"})
    assert effective() == ["info", "debug", "debug", "info"]
    levels.override({"": "error", "relay.transport": "debug"})
    assert effective() == ["error", "debug", "debug", "error"]
    assert not lines.is_on
    levels.follow("warning", "json")  # a reload: what is set beside the file stays
    assert effective() == ["error", "debug", "debug", "error"]
    levels.override({})
    assert effective() == ["warning"] * 4
    assert not lines.is_on
    levels.follow("info", "json")
    assert (effective(), lines.is_on, levels.level, levels.of_file) == (["info"] * 4, True, "info", "info")


def test_libraries_stay_quiet() -> None:
    levels = Levels("info", "keyvalue")
    levels.follow("info", "keyvalue")
    levels.override({"": "debug"})
    for name in ("mail.log", "httpx", "sqlalchemy"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING


@pytest.mark.parametrize(
    ("name", "level", "why"),
    [
        ("httpx", "debug", "'httpx' is no logger of the relay"),
        ("relayed", "debug", "no logger of the relay"),
        ("relay.transport", "loud", "'loud' is no level; there are debug, info, warning, error"),
    ],
)
def test_what_cannot_be_set(name: str, level: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check(name, level)
    with pytest.raises(ValueError, match=why):
        Levels("info", "keyvalue").override({name: level})
