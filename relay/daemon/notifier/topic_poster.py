"""The loop of one topic: take what is next, post it, say what came of it.

It asks ``post_queue`` what goes next, reads ahead from the outbox as room comes free, and looks at the clock
at least once a second while something waits, so that a clock that jumps is noticed. State, owned by the event
loop: the queue, and up to which number of the outbox it has been read.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from relay.base.tasks import Tasks
from relay.daemon.notifier.outbox import Notification, Waiting
from relay.directory.notifying import Topic
from relay.transport.webhook import Posted
from relay.verdict.post_queue import Pending, PostQueue, Refusal

log = logging.getLogger(__name__)

_AHEAD = 500  # with content
_STUCK = 20_000  # without
_LOOK_S = 1.0
_UNREAD_S = 30.0
_AT_ONCE = 8

Wrapped: TypeAlias = tuple[bytes, dict[str, str]]
"""A post: body and header."""
Wrap: TypeAlias = Callable[[Topic, str, bytes, float], Wrapped]
"""Makes the post of a notification: topic, id, notification, now."""


class Office(Protocol):
    """What a poster asks of ``posting``."""

    give_up_after_s: float

    @property
    def now(self) -> float: ...
    @property
    def is_crowded(self) -> bool: ...
    async def post(self, topic: Topic, uid: str, body: bytes, *, is_doubtful: bool) -> Posted: ...
    async def load(self, topic_id: int, after: int, limit: int) -> list[Any]: ...
    async def body(self, number: int) -> bytes | None: ...
    def is_taken(self, number: int) -> None: ...
    def is_retried(self, number: int, attempts: int, due_at: float) -> None: ...
    def is_aside(self, number: int) -> None: ...
    async def note_trouble(self, topic_id: int, since: float, said: str) -> None: ...
    def is_dead(self, topic: Topic, said: str) -> None: ...


class Poster:
    """Posts to one topic."""

    def __init__(self, topic: Topic, office: Office, known: Waiting | None = None) -> None:
        """``known``: how it stood before a restart."""
        self.topic = topic
        self._office = office
        self._queue = PostQueue(_AT_ONCE, office.give_up_after_s)
        if known is not None and known.failing_since:
            self._queue.restore(known.failing_since)
        self._is_troubled = known is not None and known.failing_since > 0
        self._read_to = 0
        self._is_all_read = False  # nothing is on disk that is not in the queue
        self._is_reading = False
        self._stuck = 0
        self._wake = asyncio.Event()
        self._flights = Tasks(f"post {topic.name}")
        self._loop = Tasks(f"topic {topic.name}")
        self._posts: set[asyncio.Task[None]] = set()
        self._is_over = False

    def start(self) -> None:
        """Begin."""
        self._loop.spawn(self._run(), "loop")

    def stop(self) -> None:
        """Begin no post any more; ``end`` follows."""
        self._is_over = True
        self._wake.set()

    async def end(self, patience_s: float = 0.0) -> None:
        """End; posts in flight get ``patience_s`` to end."""
        self.stop()
        await self._loop.end()
        if patience_s and self._posts:
            _, late = await asyncio.wait(self._posts, timeout=patience_s)
            if late:
                log.warning("posts cut off; they are made again", extra={"topic": self.topic.name})
        await self._flights.end()

    def came(self, number: int, one: Notification, now: float) -> None:
        """Another one is in the outbox."""
        if number <= self._read_to:
            return  # read from disk meanwhile
        if self._is_all_read and not self._is_reading and len(self._queue) - self._stuck < _AHEAD:
            body = None if self._is_troubled else one.body
            self._queue.add(Pending(number, one.message_id, now, uid=one.uid, body=body))
            self._read_to = number
        else:
            self._is_all_read = False
        self._wake.set()

    async def _run(self) -> None:
        while not self._is_over:
            try:
                await self._read_ahead()
            except Exception:  # the outbox cannot be read now: a topic must not fall silent for it
                log.exception("what waits for a topic cannot be read", extra={"topic": self.topic.name})
                await asyncio.sleep(_UNREAD_S)
                continue
            has_to_wait = self._queue.in_flight > 0 and self._office.is_crowded
            entry = None if has_to_wait else self._queue.next(self._office.now)
            if entry is not None:
                post = self._flights.spawn(self._post(entry), "post")
                self._posts.add(post)
                post.add_done_callback(self._posts.discard)
                continue
            await self._wait(_LOOK_S if has_to_wait else 0.0)

    async def _wait(self, least_s: float) -> None:
        """Until there may be something to do; the end of a post in flight wakes in any case."""
        wakes_at = self._queue.wakes_at()
        wait_s = None if math.isinf(wakes_at) else min(max(least_s, wakes_at - self._office.now), _LOOK_S)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _read_ahead(self) -> None:
        fresh = len(self._queue) - self._stuck
        if self._is_all_read or fresh >= _AHEAD // 2 or self._stuck >= _STUCK:
            return
        self._is_reading = self._is_all_read = True  # unless something comes while we read
        try:
            page = await self._office.load(self.topic.id, self._read_to, _AHEAD - fresh)
        except BaseException:
            self._is_all_read = False
            raise
        finally:
            self._is_reading = False
        for entry in page:
            self._stuck += entry.attempts > 0
            if entry.attempts or self._is_troubled:
                entry.body = None
            self._queue.add(entry)
            self._read_to = entry.number
        if len(page) == _AHEAD - fresh:
            self._is_all_read = False

    async def _post(self, entry: Pending) -> None:
        try:
            posted = await self._try(entry)
        except Exception:  # a bug of ours: it is tried again, like anything that was not taken
            log.exception("not posted", extra={"topic": self.topic.name})
            posted = Posted(0, "a bug of the relay: see its log")
        if posted is None or posted.is_taken:
            self._stuck -= entry.attempts > 0
            self._queue.posted(entry)
            self._office.is_taken(entry.number)
            if self._is_troubled:
                self._is_troubled = False
                log.info("topic takes notifications again", extra={"topic": self.topic.name})
                await self._office.note_trouble(self.topic.id, 0.0, "")
        else:
            await self._refused(entry, posted)
        self._wake.set()

    async def _try(self, entry: Pending) -> Posted | None:
        """One post; None if there is nothing to post any more."""
        body = entry.body if entry.body is not None else await self._office.body(entry.number)
        if body is None:
            return None
        return await self._office.post(self.topic, entry.uid, body, is_doubtful=self._is_troubled)

    async def _refused(self, entry: Pending, posted: Posted) -> None:
        was_stuck = entry.attempts > 0
        self._queue.give_up_after_s = self._office.give_up_after_s  # which a reload changes
        refusal = self._queue.refused(entry, self._office.now, posted.wait_s)
        host = urlsplit(self.topic.url).hostname  # what follows it is a password, with some
        extra = {"topic": self.topic.name, "host": host, "said": posted.said, "id": entry.message_id}
        if refusal is Refusal.ASIDE:
            self._stuck -= was_stuck
            self._office.is_aside(entry.number)
            log.error("notification given up and put aside", extra=extra)
            return
        self._stuck += not was_stuck
        entry.body = None
        if refusal is Refusal.RETRY:
            self._office.is_retried(entry.number, entry.attempts, entry.due_at)
            if not self._is_troubled:
                self._is_troubled = True
                self._queue.forget_bodies()  # who takes nothing does not fill our memory
                log.warning("topic does not take a notification; tried again", extra=extra)
                await self._office.note_trouble(self.topic.id, self._queue.failing_since, posted.said)
        elif not self._is_over:
            self._is_over = True
            log.error("topic has taken nothing for too long; it is dropped", extra=extra)
            self._office.is_dead(self.topic, posted.said)
