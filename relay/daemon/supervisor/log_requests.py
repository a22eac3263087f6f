"""``relay log`` at the supervisor: levels that are set live, in all processes, and come back by themselves.

Contract: ``log level`` sets one (of all, or of a logger and what is below it), for some time or until the
relay ends; ``log levels`` tells what is set. A process that starts anew gets what is set. A reload with
another [log] level changes what the file says; what was set beside it stays until its time is over.

Who changed what is in the log whatever its level. Nothing survives the supervisor: a relay that starts anew
has the levels of its file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.daemon.link import LinkError
from relay.daemon.log_levels import Levels, check
from relay.daemon.supervisor.child import Child
from relay.daemon.supervisor.notifier_process import NotifierProcess
from relay.daemon.supervisor.workers import Workers

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # who did what is told at any level of all others

REQUESTS = ("log level", "log levels")
AS_FILE = "file"  # in place of a level: what the file says
MAX_SET = 50
MAX_FOR_S = 7 * 86_400.0
_TOLD_S = 5.0


class _Set(NamedTuple):
    level: str
    ends_at: float | None  # wall clock, as it is told
    by: str


class LogRequests:
    """Answers for the supervisor. State: what is set, by logger."""

    def __init__(
        self, workers: Workers, notifier: NotifierProcess, levels: Levels, clock: Clock, tasks: Tasks
    ) -> None:
        """``levels`` are the supervisor's own."""
        self._workers = workers
        self._notifier = notifier
        self._levels = levels
        self._clock = clock
        self._tasks = tasks
        self._set: dict[str, _Set] = {}

    async def answer(self, what: str, fields: dict[str, Any], by: str) -> Any:  # noqa: ANN401
        """Answer one of REQUESTS. Raises LinkError."""
        if what == "log level":
            await self._change(str(fields["level"]), str(fields["logger"]), fields.get("for_s"), by)
        return self._told()

    def _told(self) -> dict[str, Any]:
        return {
            "file": self._levels.of_file,
            "set": [{"logger": name, **one._asdict()} for name, one in sorted(self._set.items())],
        }

    async def _change(self, level: str, logger: str, for_s: float | None, by: str) -> None:
        is_over = level == AS_FILE
        try:
            check(logger, "info" if is_over else level)
        except ValueError as error:
            raise LinkError(str(error)) from None
        if for_s is not None and not 0 < for_s <= MAX_FOR_S:
            raise LinkError("a level can be set for a week at most; without --for, until the relay ends")
        if len(self._set) >= MAX_SET and logger not in self._set:
            raise LinkError(f"{MAX_SET} loggers have a level of their own already")
        said = {"logger": logger or "all", "new_level": level, "by": by}
        log.warning("log level changed", extra=said | ({"for_s": for_s} if for_s is not None else {}))
        if is_over:
            self._set.pop(logger, None)
        else:
            ends_at = None if for_s is None else self._clock.now() + for_s
            self._set[logger] = made = _Set(level, ends_at, by)
            if for_s is not None:
                self._tasks.spawn(self._end_later(logger, made, for_s), "log level")
        await self._pass_on(self._children())

    async def _end_later(self, logger: str, made: _Set, for_s: float) -> None:
        await asyncio.sleep(for_s)
        if self._set.get(logger) is made:
            del self._set[logger]
            await self._pass_on(self._children())
            log.warning("log level is the file's again", extra={"logger": logger or "all"})

    def child_ready(self, child: Child) -> None:
        """A worker, or the notifier, has started."""
        if self._set:
            self._tasks.spawn(self._pass_on([child]), "log levels of a new process")

    def _children(self) -> list[Child]:
        notifier = self._notifier.child
        return [*self._workers.ready, *([notifier] if notifier is not None and notifier.is_ready else [])]

    async def _pass_on(self, children: Iterable[Child]) -> None:
        overrides = {name: one.level for name, one in self._set.items()}
        self._levels.override(overrides)
        await asyncio.gather(*[self._tell(child, overrides) for child in children])

    async def _tell(self, child: Child, overrides: dict[str, str]) -> None:
        """One that does not answer now hears of it when it starts anew."""
        try:
            await child.link.ask("log levels", _TOLD_S, overrides=overrides)
        except RelayError as error:
            log.warning("a process keeps its log level", extra={"why": str(error)})
