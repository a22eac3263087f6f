"""A worker's part in ``relay trace``: what its sessions say goes to the supervisor, in batches.

Contract: ``begin`` and ``end`` are the supervisor's requests. Lines are collected for ``_GATHER_S`` and sent
as one request a trace; the next batch waits until the last was taken, and meanwhile the trace itself counts
what does not fit. A supervisor that does not know the trace (any more) ends it here. No session ever waits.

After a crash of the worker the supervisor begins its traces anew in the next life.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any, Protocol

from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.base.trace import Filter, Trace, Traces

log = logging.getLogger(__name__)

_GATHER_S = 0.05
_TAKEN_S = 10.0


class Asking(Protocol):
    """The way to the supervisor."""

    async def __call__(self, what: str, timeout_s: float, **fields: Any) -> Any: ...  # noqa: ANN401


class Tracing:
    """Sends what is traced. State: whether a batch is being sent, or soon will be."""

    def __init__(self, traces: Traces, ask: Asking) -> None:
        self._traces = traces
        self._ask = ask
        self._tasks = Tasks("tracing")
        self._is_sending = False
        traces.wake = self._wake

    async def start(self, stack: AsyncExitStack) -> None:
        """Send until the stack unwinds."""
        await self._tasks.start(stack)

    def begin(self, number: int, chosen: dict[str, Any]) -> None:
        """Watch from now on."""
        self._traces.begin(number, Filter(**chosen))

    def end(self, number: int) -> None:
        """Watch no more."""
        self._traces.end(number)

    def _wake(self) -> None:
        if not self._is_sending:
            self._is_sending = True
            asyncio.get_running_loop().call_later(_GATHER_S, self._spawn)

    def _spawn(self) -> None:
        self._tasks.spawn(self._send(), "traces")

    async def _send(self) -> None:
        """Until nothing waits."""
        try:
            while waiting := [one for one in self._traces.active if one.lines]:
                for trace in waiting:
                    await self._send_one(trace)
                await asyncio.sleep(_GATHER_S)
        finally:
            self._is_sending = False

    async def _send_one(self, trace: Trace) -> None:
        lines, left_out = trace.take()
        try:
            is_wanted = await self._ask(
                "traced", _TAKEN_S, number=trace.number, lines=lines, left_out=left_out
            )
        except RelayError as error:
            log.info("a trace has ended: its lines are not taken", extra={"why": str(error)})
            is_wanted = False
        if not is_wanted:
            self._traces.end(trace.number)
