"""A shard in memory that keeps its contract: what the scheduler may rely on, and nothing else.

``tests/traffic/test_scheduler.py`` runs on this and on the real Shard alike.
"""

import asyncio
from bisect import bisect_left, insort
from copy import copy
from itertools import islice
from pathlib import Path

from relay.base.errors import SpoolCorrupt
from relay.base.events import Change
from relay.base.message import Message, Recipient, RecipientState
from relay.base.parked import END, ParkedAsk, ParkedGroup, ParkedPage


class FakeJournal:
    def __init__(self) -> None:
        self.taken: dict[int, tuple[int, int]] = {}
        self._next = 0

    def begin(self, key: int, numbers: list[int]) -> tuple[int, ...]:
        places = []
        for number in numbers:
            self._next += 1
            self.taken[self._next] = (key, number)
            places.append(self._next)
        return tuple(places)

    def clear(self, places) -> None:
        for place in places:
            del self.taken[place]

    def pending(self) -> list[tuple[int, int, int]]:
        return [(place, key, number) for place, (key, number) in self.taken.items()]


class FakeStore:
    """Changes are applied in order, in a later turn of the loop than they were handed in."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.journal = FakeJournal()
        self.messages: dict[int, Message] = {}
        self.recipients: dict[tuple[int, int], Recipient] = {}
        self._left: dict[int, set[int]] = {}  # numbers of recipients, by the key of their message
        self._deferred: set[tuple[int, int]] = set()
        self._parked: dict[tuple[str, int], list[tuple[float, int, int]]] = {}  # by domain and account
        self.bodies: dict[int, bytes] = {}
        self.events: list = []
        self.uncertain: list = []
        self.damaged: set[int] = set()
        self.aside: list[str] = []
        self.fails_with: Exception | None = None
        self._next_key = 1

    def commit(self, change: Change) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        for message in change.stored:
            message.key, self._next_key = self._next_key, self._next_key + 1
        loop.call_soon(self._apply, change, future)
        return future

    def _apply(self, change: Change, future: asyncio.Future[None]) -> None:
        if self.fails_with is not None:
            future.set_exception(self.fails_with)
            return
        for message in change.stored:
            self.messages[message.key] = copy(message)
            self.bodies[message.key] = message.content
            for r in message.recipients:
                self.recipients[message.key, r.number] = copy(r)
                self._list((message.key, r.number))
            self._left[message.key] = {r.number for r in message.recipients}
        for d in change.deferred:
            r = self.recipients.get((d.key, d.number))
            if r is not None:
                r.attempts, r.due_at, r.reply = d.attempts, d.due_at, d.reply
                if r.state is not RecipientState.HELD:
                    self._unlist((d.key, d.number))
                    r.state = RecipientState.DEFERRED
                    self._list((d.key, d.number))
        for p in change.parked:
            r = self.recipients.get((p.key, p.number))
            if r is not None and r.state in (RecipientState.FRESH, RecipientState.DEFERRED):
                self._unlist((p.key, p.number))
                r.state, r.reply = RecipientState.PARKED, p.reply or r.reply
                self._list((p.key, p.number))
        for key, number in change.settled:
            self._settle(key, number)
        for key in change.finished:
            for number in list(self._left.get(key, ())):
                self._settle(key, number)
        self.events += change.events
        self.uncertain += change.uncertain
        self.journal.clear(change.slots)
        future.set_result(None)

    def _settle(self, key: int, number: int) -> None:
        left = self._left.get(key, set())
        left.discard(number)
        if (key, number) in self.recipients:
            self._unlist((key, number))
            del self.recipients[key, number]
        if not left:
            for kept in (self.messages, self.bodies, self._left):
                kept.pop(key, None)

    def _list(self, pair: tuple[int, int]) -> None:
        """Where a recipient is looked for, by its state."""
        match self.recipients[pair].state:
            case RecipientState.DEFERRED:
                self._deferred.add(pair)
            case RecipientState.PARKED:
                group, place = self._place(pair)
                insort(self._parked.setdefault(group, []), place)

    def _unlist(self, pair: tuple[int, int]) -> None:
        self._deferred.discard(pair)
        if self.recipients[pair].state is RecipientState.PARKED:
            group, place = self._place(pair)
            places = self._parked[group]
            del places[bisect_left(places, place)]
            if not places:
                del self._parked[group]

    def _place(self, pair: tuple[int, int]) -> tuple[tuple[str, int], tuple[float, int, int]]:
        message = self.messages[pair[0]]
        return (self.recipients[pair].domain, message.account_id), (message.rank, *pair)

    async def contents(self, messages: list[Message]) -> dict[int, bytes | Path | SpoolCorrupt]:
        await asyncio.sleep(0)
        return {
            m.key: SpoolCorrupt("damaged")
            if m.key in self.damaged or m.key not in self.bodies
            else self.bodies[m.key]
            for m in messages
        }

    async def due(
        self, before: float, limit: int, known: set[tuple[int, int]], since: float = 0.0
    ) -> list[Message]:
        await asyncio.sleep(0)
        waiting = sorted(
            (due_at, pair)
            for pair in self._deferred - known
            if since <= (due_at := self.recipients[pair].due_at) <= before
        )
        return self._loaded([pair for _, pair in waiting[:limit]])

    def _loaded(self, pairs: list[tuple[int, int]]) -> list[Message]:
        loaded: dict[int, Message] = {}
        for pair in pairs:
            message = loaded.get(pair[0])
            if message is None:
                message = loaded[pair[0]] = copy(self.messages[pair[0]])
                message.recipients, message.content, message.left, message.in_hand = [], None, 0, 0
            message.recipients.append(copy(self.recipients[pair]))
        return list(loaded.values())

    async def parked_groups(self) -> list[ParkedGroup]:
        await asyncio.sleep(0)
        return [ParkedGroup(*group, self._parked[group][0][0]) for group in sorted(self._parked)]

    async def parked_pages(self, asks: list[ParkedAsk], known: set[tuple[int, int]]) -> list[ParkedPage]:
        await asyncio.sleep(0)
        pages = []
        for ask in asks:
            places = self._parked.get(ask[:2], [])
            some: list[tuple[int, int]] = []
            next_place = END
            for place in islice(places, bisect_left(places, ask.place), None):
                if place[1:] not in known:
                    if len(some) == ask.limit:
                        next_place = place
                        break
                    some.append(place[1:])
            pages.append(ParkedPage(self._loaded(some), next_place, next_place == END))
        return pages

    async def parked_late(
        self, asks: list[ParkedAsk], now: float, known: set[tuple[int, int]]
    ) -> list[Message]:
        await asyncio.sleep(0)
        return self._loaded(
            [
                (key, number)
                for group in sorted({ask[:2] for ask in asks})
                for _, key, number in self._parked.get(group, ())
                if (key, number) not in known and self.messages[key].gives_up_at <= now
            ]
        )

    async def set_aside(self, message: Message, damage: SpoolCorrupt) -> Change:
        await asyncio.sleep(0)
        if message.key in self.messages and message.id not in self.aside:
            self.aside.append(message.id)
        return Change(settled=[(message.key, r.number) for r in message.recipients], finished=[message.key])

    async def is_empty(self) -> bool:
        return not self.messages and not self.recipients and not self.bodies
