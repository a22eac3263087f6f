"""Posting: one loop a topic, from the outbox to the web address that it names.

Contract: what ``accept`` returns for is in the outbox. It is posted until it is taken, in order within a
message (``verdict.post_queue`` decides what goes when); a topic that is slow or dead has its own queue, its
own connections and its own loop, and holds up no other. A topic that has taken nothing for a day is handed to
``on_dead``, and what it has in the outbox is put aside until its owner activates it.

After a crash: what was taken and not yet removed from the outbox is posted again, with the same id.

Memory: at most ``_AHEAD`` notifications of each topic are read ahead, with their content only while the topic
takes what it is given, and ``_STUCK`` that were refused are remembered without; beyond that a topic's
notifications wait on disk, unread. ``post_slots`` bounds how many are in flight.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, Protocol, TypeVar

from relay.base.clock import Clock
from relay.base.errors import RelayError, SpoolCorrupt, SpoolError
from relay.base.tasks import Tasks
from relay.daemon.notifier.outbox import Notification, Outbox, Waiting
from relay.daemon.notifier.post_slots import PostSlots
from relay.daemon.notifier.topic_poster import Poster, Wrap, Wrapped
from relay.directory.notifying import Topic
from relay.transport.webhook import Posted

__all__ = ["Posting", "Wrap", "Wrapped"]

log = logging.getLogger(__name__)

_SETTLE_S = 0.05
_RETRY_S = 1.0
_PRUNE_S = 3600.0

_Result = TypeVar("_Result")


class Client(Protocol):
    """Who posts (``transport.webhook``)."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Post, and say what came of it."""
        ...


class Posting:
    """All topics of one relay. Owned by the event loop; the outbox by a thread of its own."""

    def __init__(
        self,
        outbox: Outbox,
        client: Client,
        wrap: Wrap,
        clock: Clock,
        on_dead: Callable[[Topic, str], Awaitable[Mapping[int, Topic]]],
        *,
        give_up_after_s: float = 86400.0,
        keep_aside_s: float = 14 * 86400.0,
        end_s: float = 2.0,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """``wrap`` makes the post of a notification; ``on_dead`` tells the owner, drops the topic, and
        returns the topics as they are then. ``end_s`` is what posts in flight get at the end. ``on_lost``
        hears that the outbox is damaged or gone: all this has to be made anew."""
        self.posted = 0
        self.refused = 0
        self.put_aside = 0
        self.dropped = 0
        self.give_up_after_s = give_up_after_s
        self._outbox = outbox
        self._client = client
        self._wrap = wrap
        self._clock = clock
        self._on_dead = on_dead
        self._keep_aside_s = keep_aside_s
        self._end_s = end_s
        self._on_lost = on_lost
        self._is_lost = False
        self._slots = PostSlots()
        self._posters: dict[int, Poster] = {}
        self._topics: Mapping[int, Topic] = {}
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._tasks = Tasks("posting")
        self._taken: list[int] = []
        self._retried: list[tuple[int, int, float]] = []
        self._aside: list[int] = []
        self._is_due = asyncio.Event()
        self._following = asyncio.Lock()

    async def start(self, stack: AsyncExitStack) -> None:
        """Open the outbox and post until the stack unwinds. Raises SpoolError."""
        stack.callback(self._thread.shutdown)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._outbox.open, self._clock.now())
        stack.push_async_callback(self._end)
        await self._tasks.start(stack)
        self._tasks.spawn(self._settle_on(), "settle")
        self._tasks.spawn(self._prune_on(), "prune")

    async def position(self) -> dict[int, int]:
        """Up to where events are in the outbox."""
        return await self.in_thread(self._outbox.position)

    async def accept(self, made: Sequence[Notification], reached: Mapping[int, int]) -> None:
        """Put notifications into the outbox, with the position that they came from."""
        now = self._clock.now()
        numbers = await self.in_thread(self._outbox.put, made, reached, now)
        for number, one in zip(numbers, made, strict=True):
            poster = self._posters.get(one.topic_id)
            if poster is not None:
                poster.came(number, one, now)

    async def follow(self, topics: Mapping[int, Topic]) -> None:
        """These are the topics now: begin to post to new ones and to those that are active again, end what
        is no more."""
        async with self._following:
            await self._follow(topics)

    async def _follow(self, topics: Mapping[int, Topic]) -> None:
        for topic_id, poster in list(self._posters.items()):
            topic = topics.get(topic_id)
            if topic is None or not topic.is_active:
                await poster.end()
                del self._posters[topic_id]
            else:
                poster.topic = topic
        for topic_id, topic in topics.items():
            before = self._topics.get(topic_id)
            if not topic.is_active:
                if before is None or before.is_active:
                    await self.in_thread(self._outbox.put_aside, topic_id)
            elif topic_id not in self._posters:
                count = await self.in_thread(self._outbox.revive, topic_id)
                if count:
                    log.info("topic is told what waited for it", extra={"topic": topic.name, "count": count})
                known = (await self.in_thread(self._outbox.waiting)).get(topic_id)
                self._posters[topic_id] = poster = Poster(topic, self, known)
                poster.start()
        if self._topics.keys() - topics.keys() or not self._topics:
            await self.in_thread(self._outbox.keep_only, list(topics))
        self._topics = topics

    def stop(self) -> None:
        """Begin no post any more: what waits is on disk, and so is what is accepted from now on."""
        for poster in self._posters.values():
            poster.stop()

    async def waiting(self) -> dict[int, Waiting]:
        """By topic, what is in the outbox."""
        return await self.in_thread(self._outbox.waiting)

    # -- what the posters ask -----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Wall-clock seconds."""
        return self._clock.now()

    @property
    def is_crowded(self) -> bool:
        """Whether a topic that has a post in flight should wait with its next."""
        return self._slots.is_crowded

    async def post(self, topic: Topic, uid: str, body: bytes, *, is_doubtful: bool) -> Posted:
        """Post it once, when there is a slot for it."""
        async with self._slots.one(is_doubtful=is_doubtful):
            try:
                wrapped = self._wrap(topic, uid, body, self._clock.now())
            except RelayError as error:
                return Posted(0, str(error))
            return await self._client.post(topic.url, *wrapped)

    async def load(self, topic_id: int, after: int, limit: int) -> list[Any]:
        """Those that wait, from disk."""
        return await self.in_thread(self._outbox.load, topic_id, after, limit)

    async def body(self, number: int) -> bytes | None:
        """The content of one, from disk."""
        return await self.in_thread(self._outbox.body, number)

    def is_taken(self, number: int) -> None:
        """It was taken, and may leave the outbox."""
        self.posted += 1
        self._taken.append(number)
        self._is_due.set()

    def is_retried(self, number: int, attempts: int, due_at: float) -> None:
        """It was refused, and is tried again then."""
        self.refused += 1
        self._retried.append((number, attempts, due_at))
        self._is_due.set()

    def is_aside(self, number: int) -> None:
        """It was refused for too long."""
        self.refused += 1
        self.put_aside += 1
        self._aside.append(number)
        self._is_due.set()

    async def note_trouble(self, topic_id: int, since: float, said: str) -> None:
        """For the operator's look."""
        try:
            await self.in_thread(self._outbox.note_trouble, topic_id, since, said)
        except SpoolError as error:
            log.warning("trouble of a topic not noted", extra={"topic": topic_id, "why": str(error)})

    def is_dead(self, topic: Topic, said: str) -> None:
        """It has taken nothing for too long: its owner is told, and it is dropped."""
        self._tasks.spawn(self._drop(topic, said), "drop")

    async def _drop(self, topic: Topic, said: str) -> None:
        """Tried until it is done."""
        while True:
            try:
                topics = await self._on_dead(topic, said)
                break
            except RelayError as error:
                log.warning(
                    "a dead topic waits to be dropped", extra={"topic": topic.name, "why": str(error)}
                )
            await asyncio.sleep(30 * _RETRY_S)
        self.dropped += 1
        async with self._following:
            poster = self._posters.pop(topic.id, None)
            if poster is not None:
                await poster.end()
            await self.in_thread(self._outbox.put_aside, topic.id)
        await self.follow(topics)  # where its owner was quick, it is active again

    async def in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Ask the outbox. Raises SpoolError."""
        if self._is_lost:
            raise SpoolError("the outbox of notifications was lost")
        loop, now = asyncio.get_running_loop(), self._clock.now()
        try:
            return await loop.run_in_executor(self._thread, self._outbox.attempt, now, work, *arguments)
        except SpoolCorrupt as damage:
            if not self._is_lost:
                self._is_lost = True
                log.error(
                    "the outbox of notifications is lost; the notifier starts anew, and all kept events are "
                    "told again",
                    extra={"why": str(damage)},
                )
                self._on_lost()
            raise

    # -- settling -----------------------------------------------------------------------------------------

    async def _settle_on(self) -> None:
        while True:
            await self._is_due.wait()
            await asyncio.sleep(_SETTLE_S)  # some more come
            self._is_due.clear()
            if not await self._settle():
                await asyncio.sleep(_RETRY_S)
                self._is_due.set()

    async def _settle(self) -> bool:
        taken, retried, aside = self._taken, self._retried, self._aside
        self._taken, self._retried, self._aside = [], [], []
        try:
            await self.in_thread(self._outbox.settle, taken, retried, aside)
        except SpoolError as error:
            log.error("the outbox of notifications cannot be written", extra={"why": str(error)})
            self._taken, self._retried = taken + self._taken, retried + self._retried
            self._aside = aside + self._aside
            return False
        return True

    async def _prune_on(self) -> None:
        while True:
            await asyncio.sleep(_PRUNE_S)
            try:
                await self.in_thread(self._outbox.prune, self._clock.now() - self._keep_aside_s)
            except SpoolError as error:
                log.warning("what was put aside is not pruned", extra={"why": str(error)})

    async def _end(self) -> None:
        """Let posts in flight end within a bound, write what is settled, close."""
        await asyncio.gather(*[poster.end(self._end_s) for poster in self._posters.values()])
        if not self._is_lost:
            await self._settle()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._outbox.close)
