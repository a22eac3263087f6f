"""When the relay was last started, and how that life ended: the file ``life.json`` in the spool's folder.

For ``relay status`` when no relay answers: a life that ended well says when and why, one that was killed, or
met a power failure, has no end in the file. ``noted`` writes it once the spool is ours, and again as the last
thing; each time the file is replaced whole. A file that cannot be written costs nothing but this knowledge,
so errors are logged and passed over; one that cannot be read tells nothing.

Not here: how long ago a machine was booted, and what systemd knows (``relay.daemon.commands.status``).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import relay
from relay.base.clock import Clock
from relay.base.errors import ConfigError, StartError
from relay.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK, EX_TEMPFAIL

log = logging.getLogger(__name__)

FILE = "life.json"
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the relay; ``ended_at`` 0: no end was noted."""

    pid: int
    version: str
    started_at: float
    ended_at: float = 0.0
    status: int = 0
    why: str = ""


_WHY = {
    EX_OK: "it was told to end",
    EX_CONFIG: "a worker could not start with this configuration; see its log",
    EX_FAILED: "a task of the supervisor failed; see its log",
}


@contextmanager
def noted(spool: Path, clock: Clock, exit_status: Callable[[], int]) -> Iterator[None]:
    """A life: its start is noted now, its end on leaving, with the exit status or the exception."""
    life = Life(os.getpid(), relay.__version__, clock.now())
    _write(spool, life)
    try:
        yield
    except BaseException as error:
        known: dict[type, int] = {ConfigError: EX_CONFIG, StartError: EX_TEMPFAIL}
        status, why = known.get(type(error), EX_FAILED), str(error) or type(error).__name__
        _write(spool, replace(life, ended_at=clock.now(), status=status, why=why))
        raise
    status = exit_status()
    _write(spool, replace(life, ended_at=clock.now(), status=status, why=_WHY.get(status, "")))


def read(spool: Path) -> Life | None:
    """The last life; None if nothing is known."""
    try:
        with (spool / FILE).open("rb") as stream:
            found: Any = json.loads(stream.read(_MOST_BYTES))
        return Life(
            int(found["pid"]),
            str(found["version"]),
            float(found["started_at"]),
            float(found["ended_at"]),
            int(found["status"]),
            str(found["why"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(spool: Path, life: Life) -> None:
    fresh = spool / f"{FILE}.new"
    try:
        fresh.write_text(json.dumps(asdict(life)) + "\n", "utf-8")
        os.replace(fresh, spool / FILE)
    except OSError as error:
        log.warning("the file of the relay's life cannot be written", extra={"why": str(error)})
