"""From the event log to the suppression lists: addresses that bounce or complain are put on them.

Contract: a sink (``relay.daemon.notifier.following``). ``take`` puts what a batch tells on the lists in one
transaction, newer news over older, and then notes how far it has come. Crash between the two: the same events
come again and change nothing, but that an address which an administrator took off in that moment is back.
The service-wide list forgets: every hour what is older than its time is taken off.

Where the directory cannot be written, events wait in their log; meanwhile bounced addresses are written to as
before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from relay.base.clock import Clock
from relay.base.events import EventKind, Logged
from relay.base.suppression import Listed, SuppressionReason
from relay.directory.suppression import Entry
from relay.spool.positions import OWN, Positions
from relay.verdict.suppression import KINDS, certain, lists_for, offence_of

log = logging.getLogger(__name__)

NAME = "suppression"
_POSITION = OWN + NAME
_PRUNE_EVERY_S = 3600.0


class Lists(Protocol):
    """The lists that are written (``relay.directory.suppression``); may take a while."""

    def put_newer(self, entries: Sequence[Entry]) -> None: ...
    def reasons(self, accounts: Collection[int]) -> dict[int, frozenset[SuppressionReason]]: ...
    def prune(self, before: float) -> int: ...


class SuppressionSink:
    """Puts addresses on the lists."""

    name = NAME
    kinds: Collection[EventKind] = KINDS

    def __init__(
        self,
        lists: Lists,
        positions: Positions,
        clock: Clock,
        service_for_s: Callable[[], float],
        service_domain: Callable[[], str],
    ) -> None:
        """``service_for_s``: how long an address stays on the service-wide list."""
        self._lists = lists
        self._positions = positions
        self._clock = clock
        self._service_for_s = service_for_s
        self._service_domain = service_domain
        self._pruned_at: float | None = None

    async def position(self) -> Mapping[int, int]:
        """How far it has come."""
        return await asyncio.to_thread(self._positions.get, _POSITION)

    async def take(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> None:
        """Put on the lists what these events tell. Raises DirectoryError, SpoolError."""
        await asyncio.to_thread(self._take, batch, dict(reached))

    def _take(self, batch: Sequence[Logged], reached: dict[int, int]) -> None:
        now, service_for_s = self._clock.now(), self._service_for_s()
        found = [offence_of(one.event, self._service_domain()) for one in batch]
        offences = certain(one for one in found if one is not None)
        if offences:
            reasons = self._lists.reasons({one.account_id for one in offences})
            entries: dict[tuple[int, str], Listed] = {}
            for one in sorted(offences, key=lambda one: one.at):
                for list_of in lists_for(one, reasons.get(one.account_id)):
                    before = entries.get((list_of, one.address))
                    is_complaint = before is not None and before.reason is SuppressionReason.COMPLAINT
                    reason = SuppressionReason.COMPLAINT if is_complaint else one.reason
                    entries[list_of, one.address] = Listed(one.address, reason, one.at, one.message_id)
            self._lists.put_newer([(list_of, listed) for (list_of, _), listed in entries.items()])
        if self._pruned_at is None or now - self._pruned_at >= _PRUNE_EVERY_S or now < self._pruned_at:
            gone = self._lists.prune(now - service_for_s)
            self._pruned_at = now
            if gone:
                log.info("addresses are off the service-wide suppression list again", extra={"count": gone})
        if batch:  # else there was nothing to take: the follower's copy will do
            self._positions.set(_POSITION, reached, now)
