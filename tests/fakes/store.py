"""A shard in memory that keeps its contract: what the scheduler may rely on, and nothing else.

``tests/traffic/test_scheduler.py`` runs on this and on the real Shard alike.
"""

import asyncio
from copy import copy
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
            self._left[message.key] = {r.number for r in message.recipients}
        for d in change.deferred:
            r = self.recipients.get((d.key, d.number))
            if r is not None:
                r.attempts, r.due_at, r.reply = d.attempts, d.due_at, d.reply
                if r.state is not RecipientState.HELD:
                    r.state = RecipientState.DEFERRED
        for p in change.parked:
            r = self.recipients.get((p.key, p.number))
            if r is not None and r.state in (RecipientState.FRESH, RecipientState.DEFERRED):
                r.state, r.reply = RecipientState.PARKED, p.reply or r.reply
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
        self.recipients.pop((key, number), None)
        if not left:
            for kept in (self.messages, self.bodies, self._left):
                kept.pop(key, None)

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
            (r.due_at, pair)
            for pair, r in self.recipients.items()
            if r.state is RecipientState.DEFERRED and since <= r.due_at <= before and pair not in known
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

    def _parked(self) -> list[tuple[str, int, float, tuple[int, int]]]:
        return sorted(
            (r.domain, self.messages[pair[0]].account_id, self.messages[pair[0]].rank, pair)
            for pair, r in self.recipients.items()
            if r.state is RecipientState.PARKED
        )

    async def parked_groups(self) -> list[ParkedGroup]:
        await asyncio.sleep(0)
        groups: dict[tuple[str, int], ParkedGroup] = {}
        for domain, account, rank, _ in self._parked():
            groups.setdefault((domain, account), ParkedGroup(domain, account, rank))
        return list(groups.values())

    async def parked_pages(self, asks: list[ParkedAsk], known: set[tuple[int, int]]) -> list[ParkedPage]:
        await asyncio.sleep(0)
        parked = self._parked()
        pages = []
        for ask in asks:
            found = [
                (rank, *pair)
                for domain, account, rank, pair in parked
                if (domain, account) == ask[:2] and (rank, *pair) >= ask.place and pair not in known
            ]
            some, more = found[: ask.limit], found[ask.limit :]
            pages.append(
                ParkedPage(self._loaded([one[1:] for one in some]), more[0] if more else END, not more)
            )
        return pages

    async def parked_late(
        self, asks: list[ParkedAsk], now: float, known: set[tuple[int, int]]
    ) -> list[Message]:
        await asyncio.sleep(0)
        groups = {ask[:2] for ask in asks}
        return self._loaded(
            [
                pair
                for domain, account, _, pair in self._parked()
                if (domain, account) in groups
                and pair not in known
                and self.messages[pair[0]].gives_up_at <= now
            ]
        )

    async def set_aside(self, message: Message, damage: SpoolCorrupt) -> Change:
        await asyncio.sleep(0)
        if message.key in self.messages and message.id not in self.aside:
            self.aside.append(message.id)
        return Change(settled=[(message.key, r.number) for r in message.recipients], finished=[message.key])

    async def is_empty(self) -> bool:
        return not self.messages and not self.recipients and not self.bodies
