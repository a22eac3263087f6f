"""Counting how sessions' TLS fares, for the reports to receivers: in memory, and to disk once a minute.

Contract: ``note`` counts one session for the day it is (UTC); it neither waits nor raises. Successes are
counted by policy, failures by all there is to say of them. ``flush`` hands what was counted to the records,
in a thread; what they refuse stays in memory and goes with the next. A crash loses a minute at most.

Bound: ``limit`` different counts between two flushes; past it successes and failures are counted under the
domain "". Cost: 2 to 4 microseconds for each session that is opened, none for a message.

Not here: which policy applied (``opening``), what becomes of the counts (``tls_records``, the reports' duty).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Protocol

from relay.base.clock import Clock
from relay.base.errors import SpoolError
from relay.base.tasks import Tasks
from relay.base.tls_session import TlsPolicy, TlsSession

log = logging.getLogger(__name__)

DAY_S = 86_400
FLUSH_S = 60.0
_MAX_DETAIL = 200
_REST = TlsPolicy("")


class Records(Protocol):
    """Where counts go (``tls_records.TlsRecords``)."""

    def add(self, counts: Mapping[tuple[int, TlsSession], int]) -> None:
        """Add them; blocking. Raises SpoolError."""
        ...


class TlsTally:
    """The counts of one worker since the last flush. Their owner is the event loop's thread."""

    def __init__(self, records: Records, clock: Clock, is_on: bool = True, limit: int = 50_000) -> None:
        """``is_on`` False: nobody reports, and only the totals below are kept."""
        self._records = records
        self._is_on = is_on
        self._clock = clock
        self._limit = limit
        self._counts: dict[tuple[int, TlsSession], int] = {}
        self._tasks = Tasks("tls-tally")
        self.good = 0
        self.failed: dict[str, int] = {}  # by kind

    async def start(self, stack: AsyncExitStack) -> None:
        """Flush once a minute, and when the stack unwinds."""
        stack.push_async_callback(self.flush)
        await self._tasks.start(stack)
        self._tasks.spawn(self._go_on(), "flush")

    def note(self, session: TlsSession) -> None:
        """One more session."""
        if session.failure is None:
            self.good += 1
        else:
            kind = session.failure.value
            self.failed[kind] = self.failed.get(kind, 0) + 1
        if not self._is_on:
            return
        if session.failure is None:
            session = TlsSession(session.policy)
        elif len(session.detail) > _MAX_DETAIL:
            session = replace(session, detail=session.detail[:_MAX_DETAIL])
        counts = self._counts
        key = (int(self._clock.now() // DAY_S), session)
        if key not in counts and len(counts) >= self._limit:
            key = (key[0], TlsSession(_REST, session.failure))
        counts[key] = counts.get(key, 0) + 1

    async def flush(self) -> None:
        """Hand over what was counted."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await asyncio.to_thread(self._records.add, counts)
        except SpoolError as fault:
            log.warning("TLS sessions' counts not stored; kept in memory", extra={"why": str(fault)})
            for key, count in counts.items():
                self._counts[key] = self._counts.get(key, 0) + count

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()
