"""What is done about an account's reputation: its owner hears of it, and if so configured its sending pauses.

Every few seconds those accounts are looked at whose counts have changed, who are not healthy, or who were
paused or resumed. What it means ``relay.verdict.reputation`` decides. A step is done in this order: the mail,
the pause, the record of both; so that a crash, or a worker that cannot write the mail now, repeats one mail
and loses none. What cannot be paused or put down now is tried again without another mail. A pause is one like
the administrator's: what is queued is still delivered.

Whoever resumes an account says that the cause is gone: mail from before that moment counts no more, here as
with SES. The moment is the one at which the resumed account is seen, seconds later.

Failure: an account of which something fails is looked at again the next time; the log says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from time import thread_time
from typing import Any, Protocol

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.daemon.notifier.reputation_letters import KIND, letter, reason_of
from relay.directory.records import Account
from relay.spool.statistics import Statistics
from relay.spool.statistics_views import reading
from relay.verdict import standing_text
from relay.verdict.reputation import (
    Rate,
    Standing,
    Status,
    Step,
    Thresholds,
    Volume,
    judged,
    renewed,
    representative,
)

log = logging.getLogger(__name__)

_INTERVAL_S = 2.0
_OF_TIME = 20  # looking takes at most this part of the processor
_AT_ONCE = 20  # accounts; then the thread is for others in between. Measured: up to 3 ms each
_SHOWN = 100  # accounts with gauges of their own: those with the largest volume


class Counting(Protocol):
    """Who counts; ``changed`` are the accounts whose counts have changed."""

    changed: set[int]


class Accounts(Protocol):
    """The accounts as they are now."""

    def account(self, account_id: int) -> Account | None:
        """The account of this number."""
        ...

    def account_numbers(self) -> dict[str, int]:
        """All of them, by name."""
        ...


class Notify(Protocol):
    """Mail to an account's contact."""

    async def __call__(self, account_id: int, subject: str, text: str, kind: str, about: str = "") -> str:
        """It is on disk when this returns. Raises RelayError."""
        ...


class ReputationWatch:
    """Looks at the accounts. State, owned by the event loop: how each stands, as it is in the file."""

    def __init__(
        self,
        *,
        spool: Path,
        statistics: Statistics,
        thread: ThreadPoolExecutor,
        counting: Counting,
        accounts: Callable[[], Accounts],
        show: Callable[[str], Account],
        pause: Callable[[str, str], object],
        notify: Notify,
        limits: Callable[[], Thresholds],
        clock: Clock,
    ) -> None:
        """``show`` and ``pause`` are the directory's: blocking, with the account's name, and a reason.
        ``accounts`` may be a moment behind it."""
        self.volumes: dict[int, Volume] = {}
        self._standings: dict[int, Standing] | None = None
        self._mailed: dict[tuple[int, Rate], Status] = {}  # and not put down yet
        self._spool = spool
        self._statistics = statistics
        self._thread = thread
        self._counting = counting
        self._accounts = accounts
        self._show = show
        self._pause = pause
        self._notify = notify
        self._limits = limits
        self._clock = clock
        self._tasks = Tasks("reputation")
        self._spent_s = 0.0  # of the thread's processor, by the last look

    async def start(self, stack: AsyncExitStack) -> None:
        """Look again and again, until the stack unwinds."""
        await self._tasks.start(stack)
        self._tasks.spawn(self._watch(), "watch")

    async def _watch(self) -> None:
        while True:
            self._spent_s = 0.0
            try:
                await self.look()
            except RelayError as error:
                log.error("reputation not looked at; tried again", extra={"why": str(error)})
            except Exception:  # a bug of ours must not end the watch
                log.exception("reputation not looked at; tried again")
            await asyncio.sleep(self.pause_s)

    @property
    def pause_s(self) -> float:
        """Until the next look: by what the last one cost, not by how long it waited for others, so that a
        machine that is busy with mail does not put off an account that was resumed."""
        return max(_INTERVAL_S, _OF_TIME * self._spent_s)

    async def look(self) -> None:
        """Judge whoever there is reason to judge. Raises SpoolError if the file cannot be read."""
        if self._standings is None:
            rows = await self._in_thread(self._statistics.standings)
            self._standings = {account: standing_text.read(text) for account, (_, text) in rows.items()}
            self._counting.changed |= set(self._accounts().account_numbers().values())
        changed, self._counting.changed = self._counting.changed, set()
        due = [one for one in self._present() if one.id in changed or self._is_restless(one)]
        for start in range(0, len(due), _AT_ONCE):
            some = due[start : start + _AT_ONCE]
            try:
                volumes = await self._in_thread(self._read, some)
            except BaseException:
                self._counting.changed |= {one.id for one in due[start:]}
                raise
            for account in some:
                try:
                    await self._judge(account, volumes[account.id])
                except RelayError as error:
                    self._counting.changed.add(account.id)
                    extra = {"account": account.name, "why": str(error)}
                    log.warning("reputation not acted on; tried again", extra=extra)

    def _present(self) -> list[Account]:
        accounts = self._accounts()
        found = [accounts.account(number) for number in accounts.account_numbers().values()]
        return [one for one in found if one is not None]

    def _is_restless(self, account: Account) -> bool:
        assert self._standings is not None
        standing = self._standings.get(account.id, renewed())
        return standing.status is not Status.HEALTHY or standing.is_paused != account.is_paused

    def _read(self, due: list[Account]) -> dict[int, Volume]:
        minimum, began = self._limits().minimum_volume, thread_time()
        try:
            with reading(self._spool) as views:
                return {one.id: representative(views.volume(one.id), minimum) for one in due}
        finally:
            self._spent_s += thread_time() - began

    async def _judge(self, account: Account, volume: Volume) -> None:
        assert self._standings is not None
        standing = self._standings.get(account.id, renewed())
        if standing.is_paused != account.is_paused:  # or what we know is older than what we did
            account = await self._in_thread(self._show, account.name)
        if standing.is_paused and not account.is_paused:
            await self._renew(account)
            return
        self.volumes[account.id] = volume
        limits = self._limits()
        after, steps = judged(standing, volume, limits, self._clock.now())
        is_paused = account.is_paused
        for step in steps:
            if self._mailed.get((account.id, step.rate)) is not step.status:
                await self._tell(account, step, volume, limits)
                self._mailed[account.id, step.rate] = step.status
            if step.status is Status.PAUSED and not is_paused:
                await self._in_thread(self._pause, account.name, reason_of(account.name, step, volume))
                is_paused = True
            told = replace(standing, is_paused=is_paused)  # the other rate's step is still to come
            standing = (
                replace(told, bounce=after.bounce)
                if step.rate is Rate.BOUNCE
                else replace(told, complaint=after.complaint)
            )
            await self._put_down(account.id, standing)
            self._mailed.pop((account.id, step.rate), None)
        after = replace(after, is_paused=is_paused)
        if after != standing:
            await self._put_down(account.id, after)

    async def _tell(self, account: Account, step: Step, volume: Volume, limits: Thresholds) -> None:
        subject, text = letter(step, volume, limits)
        await self._notify(account.id, subject, text, KIND, f"{step.rate.value} {step.status.value}")
        extra = {
            "account": account.name,
            "rate": step.rate.value,
            "value": round(step.value, 5),
            "threshold": step.threshold,
            "status": step.status.value,
        }
        log.warning("reputation got worse", extra=extra)

    async def _renew(self, account: Account) -> None:
        """It was resumed: what was before counts no more."""
        assert self._standings is not None
        text = standing_text.written(renewed())
        await self._in_thread(self._statistics.judge_anew, account.id, self._clock.now(), text)
        self._standings[account.id] = renewed()
        self.volumes.pop(account.id, None)
        log.info("account resumed: judged by its mail from now on", extra={"account": account.name})

    async def _put_down(self, account_id: int, standing: Standing) -> None:
        assert self._standings is not None
        await self._in_thread(self._statistics.put_standing, account_id, standing_text.written(standing))
        self._standings[account_id] = standing

    async def _in_thread(self, work: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def readings(self) -> dict[str, Any]:
        """Rates and states by account, for the scrape; of the accounts with the most mail."""
        accounts = self._accounts()
        named = [(accounts.account(number), volume) for number, volume in self.volumes.items()]
        known = [(account, volume) for account, volume in named if account is not None]
        known.sort(key=lambda pair: -pair[1].mails)
        shown, standings = known[:_SHOWN], self._standings or {}
        return {
            "bounce_rates": {one.name: volume.rate(Rate.BOUNCE) for one, volume in shown},
            "complaint_rates": {one.name: volume.rate(Rate.COMPLAINT) for one, volume in shown},
            "statuses": {
                one.name: list(Status).index(standings.get(one.id, renewed()).status) for one, _ in shown
            },
        }
