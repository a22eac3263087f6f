"""Tasks with a name, an owner and a logged failure.

asyncio keeps only a weak reference to a task and says nothing when one fails unseen. A ``Tasks`` set owns
the tasks of one long-lived part: each has a name, its failure is logged at once, and leaving the part's
``AsyncExitStack`` cancels and awaits them all. The only place that creates tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """The running tasks of one owner."""

    def __init__(self, owner: str, on_failure: Callable[[BaseException], None] | None = None) -> None:
        """``on_failure`` hears of a task's exception (after it is logged); use it where failure is fatal."""
        self._owner = owner
        self._on_failure = on_failure
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    async def start(self, stack: AsyncExitStack) -> None:
        """End the tasks when the stack unwinds."""
        stack.push_async_callback(self.end)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run ``work`` as a task of this owner."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._owner}/{name}")
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is None:
            return
        log.error("task failed", extra={"task": task.get_name()}, exc_info=failure)
        if self._on_failure is not None:
            self._on_failure(failure)

    async def wait(self) -> None:
        """Until all that run have ended by themselves, those that they spawn included."""
        while running := [t for t in self._running if t is not asyncio.current_task()]:
            await asyncio.wait(running)

    async def end(self) -> None:
        """Cancel what runs and wait until it has ended."""
        while running := [t for t in self._running if t is not asyncio.current_task()]:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
