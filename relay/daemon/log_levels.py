"""The log levels of one process: that of the file, and what an operator has set beside it for a while.

Contract: ``follow`` takes over level and format of the configuration, at the start and at each reload;
``override`` replaces what is set beside it: levels by the name of a logger, "" for all that have none of
their own. Whatever is not named (any more) has the file's level again. The lines of messages are on where
the level of all is "info" or lower.

Only loggers of the relay can be named: what a library would log in detail nobody has looked at for secrets.
After a restart the file alone counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from relay.daemon import logs

LEVELS = ("debug", "info", "warning", "error")
ALL = ""
OURS = "relay"


class Levels:
    """State: what the file says, what is set beside it, and the message log that follows both."""

    def __init__(self, level: str, form: str, process: int | str | None = None) -> None:
        """``process`` is named in each line: a worker's number, or what else it is."""
        self._file = level
        self._form = form
        self._process = process
        self._overrides: dict[str, str] = {}
        self._lines: logs.Lines | None = None

    @property
    def of_file(self) -> str:
        """What the file says."""
        return self._file

    @property
    def level(self) -> str:
        """That of all loggers which have none of their own."""
        return self._overrides.get(ALL, self._file)

    def add(self, lines: logs.Lines) -> None:
        """A message log that follows."""
        self._lines = lines

    def follow(self, level: str, form: str) -> None:
        """The configuration says so now."""
        self._file, self._form = level, form
        logs.configure(level, form, self._process)
        self._apply({})

    def override(self, overrides: Mapping[str, str]) -> None:
        """What is set beside the file from now on. Raises ValueError for what is no level, or not ours."""
        for name, level in overrides.items():
            check(name, level)
        before, self._overrides = self._overrides, dict(overrides)
        self._apply(before)

    def _apply(self, before: Mapping[str, str]) -> None:
        for name in before:
            if name != ALL and name not in self._overrides:
                logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger().setLevel(self.level.upper())
        for name, level in self._overrides.items():
            if name != ALL:
                logging.getLogger(name).setLevel(level.upper())
        if self._lines is not None:
            self._lines.set_form(self.level, self._form)


def check(name: str, level: str) -> None:
    """Raises ValueError for a logger that is not ours, and for what is no level."""
    if name != ALL and name != OURS and not name.startswith(f"{OURS}."):
        raise ValueError(f"{name!r} is no logger of the relay; e.g. relay.transport, relay.ingress.session")
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no level; there are {', '.join(LEVELS)}")
