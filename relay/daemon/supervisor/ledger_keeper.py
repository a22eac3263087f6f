"""The shell around the ledger of limits, in the supervisor: answers the workers, stores, warns.

Contract: what a worker is lent, or a message granted, is on disk (``ledger_file``) before the
answer leaves, where the account has a quota or the message is to leave later: hence no quota is passed by
one, whatever dies when. A file that is a little ahead (``ledger_margin``) spares most grants the
wait. What comes back, and what only a rate limits, is stored within a second. Requests
that come while a transaction runs share the next one. If the disk does not take it, the grant is taken back
and the worker hears an error: 451 for its clients.

An account that the ledger does not know is counted first from the events of the last 24 hours: it may have
had no limits until now, or the file may be lost. Until that is done, its requests wait.

Warnings are handed to a worker, which mails them; one that no worker takes is offered again.

State, owned by the event loop: the ledger, and what of it is not yet stored.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import RelayError, StartError
from relay.base.tasks import Tasks
from relay.daemon.link import LinkError
from relay.daemon.supervisor.ledger_file import LedgerFile, LedgerTime, UsageRow, boot_id
from relay.daemon.supervisor.ledger_margin import Margins
from relay.directory.records import OverQuota
from relay.policy.ledger import LATE_S, Ledger, Limits, Need, QuotaWarning, Slice, Verdict, Way
from relay.policy.rolling_count import DAY_S, minute_of
from relay.spool.sent import sent_by_minute

log = logging.getLogger(__name__)

REQUESTS = ("lease", "end lease", "give back")
_LAZY_S = 1.0
_RETRY_WARNING_S = 5.0

Warn = Callable[[QuotaWarning], Awaitable[None]]


class LedgerKeeper:
    """The ledger of one relay."""

    def __init__(
        self,
        spool: Path,
        clock: Clock,
        warn: Warn,
        on_failure: Callable[[BaseException], None],
        simulator: Callable[[], str] = lambda: "",
    ) -> None:
        """``warn`` hands a warning to a worker; raises RelayError if there is none. ``on_failure`` hears of
        a bug that ends the storing: no mail can be accepted then. Mail to the domain ``simulator`` counts
        towards no quota."""
        self._spool = spool
        self._clock = clock
        self._warn = warn
        self._simulator = simulator
        self._file = LedgerFile(spool)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-events")
        self._tasks = Tasks("ledger")
        self._vital = Tasks("ledger", on_failure)
        self._ledger = Ledger()
        self._counting: dict[int, asyncio.Future[None]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._to_store: dict[int, tuple[dict[int, int], float, int]] = {}
        self._is_due = asyncio.Event()
        self._is_failing = False
        self._margins = Margins()
        self._time = LedgerTime(clock, "", None)

    async def start(self, stack: AsyncExitStack) -> None:
        """Read what is stored. Raises StartError if the file cannot be had."""
        stack.callback(self._thread.shutdown)
        stack.callback(self._reader.shutdown, wait=False, cancel_futures=True)
        try:
            rows, last = await self._in_thread(self._open)
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"[spool] path: the ledger of limits cannot be opened: {error}") from error
        stack.push_async_callback(self._in_thread, self._file.close)
        self._time = LedgerTime(self._clock, boot_id(), last)
        for row in rows:
            self._ledger.restore(row.account_id, row.minutes, row.idle_until, row.warned)
        stack.push_async_callback(self._store_the_rest)
        await self._tasks.start(stack)
        await self._vital.start(stack)
        self._vital.spawn(self._write_on(), "write")
        self._vital.spawn(self._write_lazily(), "write lazily")

    async def answer(self, holder: int, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer a worker; ``holder`` is another number in each of its lives."""
        now = self._time.now()
        account_id = int(fields["account"])
        if what == "end lease":
            self._ledger.end_lease(holder, account_id, fields["tokens"], fields["minutes"], now)
            return None
        if what == "give back":
            self._ledger.give_back(account_id, fields["tokens"], fields["minutes"], now)
            return None
        if what == "lease":
            return await self._lease(holder, account_id, fields)
        raise LinkError(f"unknown request {what!r}")

    async def sent(self, account_id: int, *, is_limited: bool) -> int:
        """Recipients of an account in the last 24 hours; for one without limits as the events tell."""
        if not is_limited:
            counted = await self._count_events(account_id, 0.0)
            return sum(count for _, count in counted)
        if account_id not in self._ledger.accounts:
            await self._get_to_know(account_id, 0.0)
        return self._ledger.sent(account_id, self._time.now())

    def used(self, account_id: int) -> int:
        """Recipients of an account in the last 24 hours, as far as the ledger has counted; does not wait."""
        return self._ledger.sent(account_id, self._time.now())

    async def _lease(self, holder: int, account_id: int, fields: dict[str, Any]) -> dict[str, Any]:
        if account_id not in self._ledger.accounts:
            await self._get_to_know(account_id, float(fields["created_at"]))
        rate, quota, over = fields["limits"]
        limits = Limits(rate, quota, OverQuota(over))
        needs = [Need(*one) for one in fields["needs"]]
        ledger, now = self._ledger, self._time.now()
        if needs:
            tokens, minutes = fields["back"]
            ledger.end_lease(holder, account_id, tokens, minutes, now)
        hand = (int(fields["in_hand"][0]), int(fields["in_hand"][1]))
        longest_s = float(fields["longest_s"])
        verdicts, lent = ledger.ask(holder, account_id, limits, needs, now, in_hand=hand, longest_s=longest_s)
        for warning in ledger.warnings():
            self._tasks.spawn(self._hand_over(warning), "warning")
        is_granted = lent.tokens > 0 or any(one.way is Way.ACCEPT for one in verdicts)
        if limits.quota >= 0:
            sent, minute = ledger.accounts[account_id].sent, minute_of(now + LATE_S)
            self._margins.allow(account_id, limits.quota, sent.total)
            is_granted = is_granted and not self._margins.covers(account_id, minute, sent[minute])
        if (limits.quota >= 0 and is_granted) or any(one.way is Way.DELAY for one in verdicts):
            try:
                await self._stored()
            except RelayError:
                self._take_back(holder, account_id, needs, verdicts, lent)
                raise
        return {"verdicts": verdicts, "slice": lent}

    def _take_back(
        self, holder: int, account_id: int, needs: list[Need], verdicts: list[Verdict], lent: Slice
    ) -> None:
        now = self._time.now()
        for need, verdict in zip(needs, verdicts, strict=True):
            if verdict.way in (Way.ACCEPT, Way.DELAY):
                self._ledger.give_back(account_id, need.tokens, [(verdict.minute, need.quota)], now)
        if lent.tokens:
            self._ledger.give_back(account_id, lent.tokens, [(lent.minute, lent.quota)], now)

    async def _get_to_know(self, account_id: int, created_at: float) -> None:
        """Count what an account has sent before the ledger knew it; once, whoever asks."""
        counting = self._counting.get(account_id)
        if counting is None:
            counting = self._counting[account_id] = asyncio.get_running_loop().create_future()
            self._tasks.spawn(self._count(account_id, created_at, counting), "count")
        await asyncio.shield(counting)

    async def _count(self, account_id: int, created_at: float, done: asyncio.Future[None]) -> None:
        try:
            minutes = await self._count_events(account_id, created_at)
            self._ledger.count_in(account_id, minutes)
            if minutes:
                total = sum(count for _, count in minutes)
                log.info("usage counted from events", extra={"account": account_id, "recipients": total})
        except Exception:
            log.exception("usage not counted; it starts with none", extra={"account": account_id})
            self._ledger.count_in(account_id, ())
        finally:
            del self._counting[account_id]
            if not done.done():
                done.set_result(None)

    async def _count_events(self, account_id: int, created_at: float) -> list[tuple[int, int]]:
        wall = self._clock.now()
        since = max(wall - DAY_S, created_at - 1.0)
        shift_s = self._time.now() - wall
        return await asyncio.get_running_loop().run_in_executor(
            self._reader, sent_by_minute, self._spool, account_id, since, shift_s, self._simulator()
        )

    async def _hand_over(self, warning: QuotaWarning) -> None:
        while True:
            try:
                await self._warn(warning)
                return
            except RelayError as error:
                log.warning("a warning waits", extra={"account": warning.account_id, "why": str(error)})
            await asyncio.sleep(_RETRY_WARNING_S)

    # -- storing ------------------------------------------------------------------------------------------

    def _stored(self) -> asyncio.Future[None]:
        """Done once all that has changed until now is on disk; RelayError if it cannot be."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._is_due.set()
        return future

    async def _write_on(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._write_once()
            except (OSError, sqlite3.Error) as error:
                if not self._is_failing:
                    log.error("the ledger of limits cannot be written", extra={"why": str(error)})
                self._is_failing = True
                for future in waiting:
                    if not future.done():
                        future.set_exception(LinkError(f"the ledger of limits cannot be written: {error}"))
                continue
            if self._is_failing:
                log.info("the ledger of limits is written again")
                self._is_failing = False
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def _write_lazily(self) -> None:
        while True:
            await asyncio.sleep(_LAZY_S)
            self._is_due.set()

    async def _write_once(self, *, is_last: bool = False) -> None:
        """Write what has changed. Values are whole, so what could not be written goes with the next."""
        now, margins = self._time.now(), self._margins
        current = -1 if is_last else minute_of(now + LATE_S)
        for account_id, minute in margins.over(current):
            self._ledger.touch(account_id, minute)
        for account_id, minutes, idle_until, warned in self._ledger.changes():
            known = self._to_store.get(account_id)
            both = (known[0] if known else {}) | dict(minutes)
            self._to_store[account_id] = (both, idle_until, warned)
        if not self._to_store:
            return
        taken, self._to_store = self._to_store, {}
        rows = []
        for account_id, (counts, idle_until, warned) in taken.items():
            written = [(one, margins.to_write(account_id, one, n, current)) for one, n in counts.items()]
            rows.append(UsageRow(account_id, written, idle_until, warned))
        oldest = minute_of(now - DAY_S) - 1
        try:
            await self._in_thread(self._file.write, rows, self._time.moment(), oldest)
        except BaseException:
            self._to_store = taken  # nobody else writes
            raise
        for row in rows:
            for minute, count in row.minutes:
                if minute == current:
                    margins.is_written(row.account_id, minute, count)

    async def _store_the_rest(self) -> None:
        try:
            await self._write_once(is_last=True)
        except (OSError, sqlite3.Error) as error:
            log.error("the ledger of limits was not written", extra={"why": str(error)})

    def _open(self) -> tuple[list[UsageRow], Any]:
        self._file.open()
        return self._file.read()

    async def _in_thread(self, work: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
