"""An operator's work on the queue of one worker: a step at a time, while mail comes and goes.

Contract: ``step`` finds the next few recipients that are meant (``choosing``, beside the commits), changes
them in one transaction, tells the scheduler, and says where to go on. A step holds up commits for at most
some tens of milliseconds; whoever asks decides whether there is a next one. Steps keep nothing in memory, so
that a worker that dies in between loses only the step that it was in, of which nothing is on disk.

``bounce`` deletes and tells the senders: the recipients are held first, so that no attempt begins, then
settled together with their bounce as if the receiver had refused them. Crash in between: they are held. Those
that a connection has in hand are left out and counted as ``busy``.

Each change is one line in the log, with the uid of who asked; deleted messages are a line each.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from relay.base.clock import Clock
from relay.base.errors import SpoolCorrupt
from relay.base.events import Change
from relay.base.log import MessageLog
from relay.base.message import Attempt, Message
from relay.base.outcome import Deferred, Failed, Outcome, Reason, Scope
from relay.base.route import Route
from relay.spool import operate
from relay.spool.choosing import BEFORE_ALL, Chooser, Chosen, Pair
from relay.spool.shard import Shard

log = logging.getLogger(__name__)

OPERATIONS = tuple(operate.AMONG)
_DELETED = Failed(Scope.MESSAGE, Reason.DELETED, None, "deleted by the administrator")
_LOOKUPS = 50  # domains whose route is asked for at the same time


class Queue(Protocol):
    """What this needs of the scheduler."""

    def forget(self, shard: int, keys: set[int]) -> int: ...
    def taken(self, shard: int, keys: set[int]) -> set[Pair]: ...
    def flush(self) -> None: ...
    def announce(self, message: Message) -> None: ...
    def submit(self, message: Message) -> None: ...


class Routes(Protocol):
    """Where a domain's mail goes."""

    async def find(self, domain: str) -> Route | Deferred | Failed: ...


class Verdict(Protocol):
    """What outcomes mean."""

    def wants_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> bool: ...
    def judge(
        self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None
    ) -> Change: ...


class Steering:
    """The shards of one worker under an operator's hands. ``operated`` counts recipients, by operation."""

    def __init__(
        self,
        shards: Mapping[int, Shard],
        scheduler: Queue,
        router: Routes,
        settler: Verdict,
        clock: Clock,
        message_log: MessageLog,
    ) -> None:
        self._shards = shards
        self._scheduler = scheduler
        self._router = router
        self._settler = settler
        self._clock = clock
        self._log = message_log
        self.operated: Counter[str] = Counter()

    async def count(self, operation: str, chosen: Chosen) -> int:
        """How many recipients an operation would concern now."""
        choosers = [Chooser(shard.folder) for shard in self._shards.values()]
        return sum([await asyncio.to_thread(one.count, chosen, operate.AMONG[operation]) for one in choosers])

    async def domains(self, site: str) -> list[str]:
        """The domains with mail here whose route leads to a site, by its name or one of its hosts'."""
        found: list[str] = []
        for shard in self._shards.values():
            domains = await asyncio.to_thread(Chooser(shard.folder).domains)
            for at in range(0, len(domains), _LOOKUPS):
                some = domains[at : at + _LOOKUPS]
                routes = await asyncio.gather(*map(self._router.find, some))
                found += [domain for domain, route in zip(some, routes, strict=True) if leads_to(route, site)]
        return sorted(set(found))

    async def step(
        self, operation: str, chosen: Chosen, cursor: Sequence[int] | None, by: str, next_hop: str = ""
    ) -> dict[str, Any]:
        """Do it to the next few of the chosen behind ``cursor`` (shard, key, number; None: from the start).

        ``{"done": recipients, "messages": ..., "busy": ..., "cursor": where to go on, or None at the end}``;
        of messages only those that are gone are counted.
        """
        for number in sorted(self._shards):
            if cursor and number < cursor[0]:
                continue
            after = (cursor[1], cursor[2]) if cursor and number == cursor[0] else BEFORE_ALL
            shard, most = self._shards[number], operate.CHUNK[operation]
            choose = partial(Chooser(shard.folder).chunk, chosen, operate.AMONG[operation], after, most)
            pairs = await asyncio.to_thread(choose)
            if pairs:
                done, messages, busy = await self._change(operation, shard, pairs, next_hop, by)
                self.operated[operation] += done
                if done:
                    log.info("queue changed", extra={"operation": operation, "recipients": done, "by": by})
                return {"done": done, "messages": messages, "busy": busy, "cursor": [number, *pairs[-1]]}
        if operation in ("flush", "release"):
            self._scheduler.flush()
        return {"done": 0, "messages": 0, "busy": 0, "cursor": None}

    async def _change(
        self, what: str, shard: Shard, pairs: list[Pair], next_hop: str, by: str
    ) -> tuple[int, int, int]:
        """(recipients that were changed, messages that are gone, recipients that a connection has)."""
        now, keys = self._clock.now(), {key for key, _ in pairs}
        if what == "bounce":
            return await self._bounce(shard, pairs, by)
        if what == "delete":
            gone = await shard.control(partial(operate.delete, pairs=pairs))
            self._scheduler.forget(shard.number, keys)
            shard.remove_files([message_id for _, message_id, has_file in gone.messages if has_file])
            for _, message_id, _ in gone.messages:
                self._log("deleted", message_id, by=by)
            return gone.recipients, len(gone.messages), 0
        if what == "reroute":
            work = partial(operate.reroute, now=now, pairs=pairs, next_hop=next_hop)
        else:
            work = partial(getattr(operate, what), now=now, pairs=pairs)
        done = await shard.control(work)
        if what in ("hold", "reroute", "back"):
            self._scheduler.forget(shard.number, keys)
        return done, 0, 0

    async def _bounce(self, shard: Shard, pairs: list[Pair], by: str) -> tuple[int, int, int]:
        """Hold, settle, tell the senders."""
        keys = {key for key, _ in pairs}
        busy = self._scheduler.taken(shard.number, keys) & set(pairs)
        wanted = [pair for pair in pairs if pair not in busy]
        await shard.control(partial(operate.hold, now=0.0, pairs=wanted))
        self._scheduler.forget(shard.number, keys)
        taken = self._scheduler.taken(shard.number, keys) & set(wanted)  # while we held the rest
        if taken:
            await shard.control(partial(operate.release, now=self._clock.now(), pairs=sorted(taken)))
            wanted = [pair for pair in wanted if pair not in taken]
        messages = await asyncio.to_thread(Chooser(shard.folder).messages, shard.number, wanted)
        change = Change()
        for message in messages:
            one = await self._given_up(shard, message)
            for part in fields(Change):
                getattr(change, part.name).extend(getattr(one, part.name))
            self._log("deleted", message.id, by=by, recipients=len(message.recipients))
        for bounce in change.stored:
            self._scheduler.announce(bounce)
        await shard.commit(change)
        for bounce in change.stored:
            self._scheduler.submit(bounce)
        return len(change.settled), len(messages), len(busy) + len(taken)

    async def _given_up(self, shard: Shard, message: Message) -> Change:
        """What it means that these recipients of a message are deleted."""
        attempt = Attempt(message, message.recipients, "operator")
        outcomes: dict[int, Outcome] = {r.number: _DELETED for r in message.recipients}
        content: bytes | Path | None = None
        if self._settler.wants_content(attempt, outcomes):
            found = (await shard.contents([message]))[message.key]
            content = None if isinstance(found, SpoolCorrupt) else found  # told without the quote
        return self._settler.judge(attempt, outcomes, content)


def leads_to(route: Route | Deferred | Failed, site: str) -> bool:
    """Whether it is that site, or has that host."""
    site = site.lower()
    return isinstance(route, Route) and (
        site in (route.site.lower(), route.lane.lower()) or any(host.name == site for host in route.hosts)
    )
