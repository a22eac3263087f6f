"""How the relay is, for `relay status` and `relay top`: what the workers read, and what became of it lately.

Contract: ``status`` and ``top`` answer whoever may open the control socket, also while workers are missing or
silent: what is not known is left out. The counters are noted every ten seconds, so that a question needs no
second one to know what the last minute and the last hour brought.

Cost: a few additions in ten seconds, of what the workers tell anyway. A question for `relay top` is passed on
to each worker, which answers a few sites and accounts however many there are; `relay status` asks for all
readings.

Not here: whether that is well (``relay.admin.status``), and what needs the disk or the directory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import relay
from relay.admin import activity
from relay.admin.history import LONGEST_S, History
from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.daemon.supervisor.account_readings import account_readings
from relay.daemon.supervisor.ledger_keeper import LedgerKeeper
from relay.daemon.supervisor.notifier_process import NotifierProcess
from relay.daemon.supervisor.workers import Workers

REQUESTS = ("status", "top")
_NOTE_S = 10.0
_ASK_S = 5.0
_STATUS_SITES = 5


class Overview:
    """Answers for the supervisor."""

    def __init__(
        self,
        workers: Workers,
        notifier: NotifierProcess,
        clock: Clock,
        is_draining: Callable[[], bool],
        last_reload: Callable[[], Mapping[str, Any] | None],
        ledger: LedgerKeeper,
    ) -> None:
        self._workers = workers
        self._notifier = notifier
        self._clock = clock
        self._is_draining = is_draining
        self._history = History()
        self.latest: dict[int, dict[str, Any]] = {}  # the readings that were noted last
        self._started_at = clock.now()
        self._last_reload = last_reload
        self._ledger = ledger

    async def note_on(self) -> None:
        """Note the counters for ever."""
        await self._workers.all_ready.wait()
        while True:
            self.latest = {one.number: one.published for one in self._workers.ready if one.published}
            self._history.note(self._clock.monotonic(), self.latest)
            await asyncio.sleep(_NOTE_S)

    async def answer(self, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """Answer one of REQUESTS."""
        if what == "top":
            return await self.top(int(fields.get("limit", 10)))
        return await self.status()

    async def status(self) -> dict[str, Any]:
        """All readings, and what is to be said of now, of the last minute and of the last hour."""
        readings, looks = await asyncio.gather(self._workers.readings(), self._looks(_STATUS_SITES))
        now = self._clock.monotonic()
        self._history.note(now, readings)
        lately = {name: self._history.since(now, span_s) for name, span_s in _SPANS.items()}
        return {
            "ready": self._workers.readiness(),
            "readings": readings,
            "notifier": await self._of_notifier(),
            "version": relay.__version__,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "draining": self._is_draining(),
            "restarts": {number: one.count for number, one in self._workers.restarts.items()},
            "lately": {name: {"seconds": a.seconds, **a.counts} for name, a in lately.items()},
            "sites": activity.join_sites(looks, _STATUS_SITES),
            "stopped": activity.stopped(looks),
            "limits": account_readings(self._ledger.used, list(readings.values()), {}),
            "last_reload": self._last_reload(),
        }

    async def top(self, limit: int) -> dict[str, Any]:
        """What each worker told last, and the ``limit`` busiest sites and accounts over all of them."""
        looks = await self._looks(limit)
        heard = [child for child in self._workers.ready if child.published]
        return {
            "at": self._clock.now(),
            "version": relay.__version__,
            "started_at": self._started_at,
            "ready": self._workers.readiness(),
            "readings": {child.number: child.published for child in heard},
            "heard_at": {child.number: child.published_at for child in heard},
            "notifier": {"ready": self._notifier.is_ready, **self._notifier.published},
            "sites": activity.join_sites(looks, limit),
            "accounts": activity.join_accounts(looks, limit),
            "draining": self._is_draining(),
        }

    async def _of_notifier(self) -> dict[str, Any]:
        own = self._notifier
        return {"ready": own.is_ready, "restarts": own.restarts.count, **await own.readings()}

    async def _looks(self, limit: int) -> list[dict[str, Any]]:
        """What the workers that answer are at."""
        found: list[dict[str, Any]] = []

        async def ask(link: Any) -> None:  # noqa: ANN401
            with suppress(RelayError):
                found.append(await link.ask("activity", _ASK_S, limit=limit))

        await asyncio.gather(*[ask(child.link) for child in self._workers.ready])
        return found


_SPANS = {"minute": 60.0, "hour": LONGEST_S}
