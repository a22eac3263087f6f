"""``relay trace`` at the supervisor: traces begin and end in all workers, and their lines meet here.

Contract: ``trace begin`` answers with a number; whoever has it asks ``trace next`` again and again, each of
which waits for lines, for some seconds. A trace ends when its time is over, when ``trace end`` says so, when
the connection of the one who asks is closed while it waits, and when nobody has asked for ``_LEASE_S``. A
worker that starts anew gets the traces that run. At most ``MAX_TRACES`` at once, each of ``MAX_WAITING``
lines; what is more is counted and told.

Who watches what, and until when, is in the log. Nothing survives the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.base.trace import Filter
from relay.daemon.link import LinkError
from relay.daemon.supervisor.child import Child
from relay.daemon.supervisor.workers import Workers

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # who did what is told at any level of all others

REQUESTS = ("trace begin", "trace next", "trace end")
MAX_TRACES = 8
MAX_WAITING = 10_000  # lines of one trace that were not fetched
MAX_FOR_S = 86_400.0
_WAIT_S = 10.0  # a question without lines is answered after this long
_LEASE_S = 30.0  # a trace that nobody asks about is nobody's
_BATCH = 2_000


@dataclass(slots=True)
class _Running:
    """A trace. ``lines`` and ``left_out`` wait to be fetched."""

    number: int
    chosen: Filter
    by: str
    ends_at: float  # monotonic
    asked_at: float
    lines: list[Any] = field(default_factory=list)
    left_out: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False


class TraceRequests:
    """Answers for the supervisor. State: the traces that run, by number."""

    def __init__(self, workers: Workers, clock: Clock, tasks: Tasks) -> None:
        self._workers = workers
        self._clock = clock
        self._tasks = tasks
        self._numbers = count(1)
        self._running: dict[int, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    async def answer(self, what: str, fields: dict[str, Any], by: str) -> Any:  # noqa: ANN401
        """Answer one of REQUESTS. Raises LinkError."""
        if what == "trace begin":
            return await self._begin(Filter(**fields["chosen"]), float(fields["for_s"]), by)
        trace = self._running.get(fields["number"])
        if trace is None:
            raise LinkError("the trace has ended")
        if what == "trace end":
            await self._end(trace, "asked to")
            return None
        return await self._next(trace)

    async def _begin(self, chosen: Filter, for_s: float, by: str) -> int:
        if len(self._running) >= MAX_TRACES:
            raise LinkError(f"{MAX_TRACES} traces run already; end one of them")
        if not 0 < for_s <= MAX_FOR_S:
            raise LinkError(f"a trace lasts at most {MAX_FOR_S / 3600:g} hours")
        now = self._clock.monotonic()
        trace = _Running(next(self._numbers), chosen, by, now + for_s, now)
        self._running[trace.number] = trace
        log.warning(
            "trace begins", extra={"trace": trace.number, **chosen.fields(), "for_s": for_s, "by": by}
        )
        self._tasks.spawn(self._watch(trace), f"trace {trace.number}")
        await asyncio.gather(*[self._tell(child, trace) for child in self._workers.ready])
        return trace.number

    async def _tell(self, child: Child, trace: _Running) -> None:
        """Begin in a worker; one that cannot is told when it is ready again."""
        try:
            await child.link.ask("trace begin", 5.0, number=trace.number, chosen=trace.chosen.fields())
        except RelayError as error:
            log.warning("a worker is not traced", extra={"trace": trace.number, "why": str(error)})

    def worker_ready(self, child: Child) -> None:
        """A worker has started: what runs goes on there."""
        for trace in self._running.values():
            self._tasks.spawn(self._tell(child, trace), "trace in a new worker")

    async def _watch(self, trace: _Running) -> None:
        """End it when its time is over, or nobody asks for its lines any more."""
        while not trace.is_over:
            now = self._clock.monotonic()
            left_s = min(trace.ends_at, trace.asked_at + _LEASE_S) - now
            if left_s <= 0:
                await self._end(trace, "its time is over" if now >= trace.ends_at else "nobody reads it")
                return
            await asyncio.sleep(left_s)

    async def _next(self, trace: _Running) -> dict[str, Any]:
        """Lines as soon as there are some; ``is_over`` where none will follow."""
        trace.asked_at = self._clock.monotonic()
        trace.came.clear()
        if not trace.lines and not trace.is_over:
            try:
                async with asyncio.timeout(_WAIT_S):
                    await trace.came.wait()
            except TimeoutError:
                pass
            except asyncio.CancelledError:  # who asked has gone
                self._tasks.spawn(self._end(trace, "its reader has gone"), "end of a trace")
                raise
        trace.asked_at = self._clock.monotonic()
        lines, trace.lines = trace.lines[:_BATCH], trace.lines[_BATCH:]
        left_out = 0
        if not trace.lines:
            left_out, trace.left_out = trace.left_out, 0
        is_over = trace.is_over and not trace.lines
        if is_over:
            self._running.pop(trace.number, None)
        return {"lines": lines, "left_out": left_out, "is_over": is_over}

    def take(self, fields: dict[str, Any]) -> bool:
        """Lines of a worker; False if they are of a trace that does not run."""
        trace = self._running.get(fields["number"])
        if trace is None or trace.is_over:
            return False
        room = max(MAX_WAITING - len(trace.lines), 0)
        lines = fields["lines"]
        if not trace.left_out:
            trace.lines += lines[:room]
            trace.left_out += len(lines) - min(room, len(lines)) + fields["left_out"]
        else:  # what was left out is told where it was: behind what is there
            trace.left_out += len(lines) + fields["left_out"]
        trace.came.set()
        return True

    async def _end(self, trace: _Running, why: str) -> None:
        if trace.is_over:
            return
        trace.is_over = True
        trace.came.set()
        log.warning("trace ends", extra={"trace": trace.number, "why": why, "by": trace.by})
        if why == "its time is over":  # its reader fetches what is left
            self._tasks.spawn(self._forget_later(trace), "forget a trace")
        else:
            self._running.pop(trace.number, None)
        for child in self._workers.ready:
            try:
                await child.link.ask("trace end", 5.0, number=trace.number)
            except RelayError:
                continue  # it learns so when it next has lines

    async def _forget_later(self, trace: _Running) -> None:
        await asyncio.sleep(_LEASE_S)
        self._running.pop(trace.number, None)
