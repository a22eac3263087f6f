"""The sink that counts: events become numbers in the statistics file.

Contract: ``take`` returns once the counts and the position are on disk, in one transaction; what is taken a
second time after a crash was not counted the first time. ``changed`` holds the accounts whose counts are
other than when somebody last emptied it.

Mail to the simulator and to identities that the account has verified itself counts in the points, and not in
the rates; neither does mail from before the account was last resumed.

Events of deliveries do not name the identity that the message was sent as; its Send does, which has come by
shortly before. So many are remembered; of others the event log is asked.

Cost, beside the workers and not in them, measured: 15 microseconds of processor time an event, reading the
log and writing the file included; 50 for one whose identity has to be asked for.

Everything that touches the file runs in the one thread that is handed in.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from relay.base.clock import Clock
from relay.base.events import EventKind, Logged
from relay.spool.statistics import Statistics
from relay.verdict.tally import KINDS, Tally

_REMEMBERED = 50_000  # messages, about 10 MB


class Sends(Protocol):
    """What is known of a message that was sent a while ago."""

    def of_message(self, message_id: str, has_deliveries: bool = True) -> list[Logged]:
        """All events of a message, or all but its deliveries."""
        ...


class StatisticsSink:
    """Counts. Counters are read at scrape."""

    name = "statistics"
    kinds = KINDS

    def __init__(
        self,
        statistics: Statistics,
        thread: ThreadPoolExecutor,
        sends: Sends,
        is_excepted: Callable[[int, str], bool],
        clock: Clock,
    ) -> None:
        """``is_excepted``: whether mail of an account to an address counts towards no rate."""
        self.changed: set[int] = set()
        self.bounces: Counter[str] = Counter()  # by type
        self.complaints = 0
        self._statistics = statistics
        self._thread = thread
        self._sends = sends
        self._is_excepted = is_excepted
        self._clock = clock
        self._identities: OrderedDict[str, str] = OrderedDict()

    async def position(self) -> Mapping[int, int]:
        """Where the file says. Raises SpoolError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._statistics.position)

    async def take(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> None:
        """Count them. Raises SpoolError, and then nothing was counted."""
        loop = asyncio.get_running_loop()
        tally = await loop.run_in_executor(self._thread, self._take, batch, reached)
        self.changed |= {place.account_id for place in tally.counts}
        self.bounces.update({kind.value: count for kind, count in tally.bounces.items()})
        self.complaints += tally.complaints

    def _take(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> Tally:
        judged_from = {account: since for account, (since, _) in self._statistics.standings().items()}

        def is_judged(account_id: int, address: str, sent_at: float) -> bool:
            return (
                account_id != 0  # the relay's own mail
                and sent_at >= judged_from.get(account_id, 0.0)
                and not self._is_excepted(account_id, address)
            )

        tally = Tally(self._identity_of, is_judged)
        for logged in batch:
            tally.add(logged.event)
        self._statistics.add(tally.counts, reached)
        self._statistics.tidy(self._clock.now())
        self._identities.update(tally.identities)
        while len(self._identities) > _REMEMBERED:
            self._identities.popitem(last=False)
        return tally

    def _identity_of(self, message_id: str) -> str:
        known = self._identities.get(message_id)
        if known is not None:
            return known
        probe = Tally(lambda _: "", lambda *_: False)
        try:
            for logged in self._sends.of_message(message_id, has_deliveries=False):
                if logged.event.kind is EventKind.SEND:
                    probe.add(logged.event)
        except ValueError:  # no message of ours
            return ""
        self._identities[message_id] = probe.identities.get(message_id, "")
        return self._identities[message_id]
