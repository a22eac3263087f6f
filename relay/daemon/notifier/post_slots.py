"""Who may have a post in flight: a bound on all topics together that no dead topic can use up.

Contract: posts to topics that did not take the last one share a few slots of their own and wait for each
other; those to all other topics share the rest. While half of these are in use, each topic may have one at a
time (``is_crowded``): where many fall silent at once, with many posts in flight each, room is left for those
that answer. Waiting for a slot is not waiting for an answer: it costs a topic nothing.

It deliberately does not order posts (``verdict.post_queue``) and opens no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SLOTS = 256
DOUBTFUL = 64


class PostSlots:
    """The slots of one relay. Owned by the event loop."""

    def __init__(self, slots: int = SLOTS, doubtful: int = DOUBTFUL) -> None:
        self.in_use = 0  # of those for topics that answer
        self._half = slots // 2
        self._ordinary = asyncio.Semaphore(slots)
        self._doubtful = asyncio.Semaphore(doubtful)

    @property
    def is_crowded(self) -> bool:
        """Whether a topic that has a post in flight should wait with its next."""
        return self.in_use >= self._half

    @asynccontextmanager
    async def one(self, *, is_doubtful: bool) -> AsyncIterator[None]:
        """A slot for one post, once there is one; ``is_doubtful``: its topic did not take the last."""
        if is_doubtful:
            async with self._doubtful:
                yield
            return
        async with self._ordinary:
            self.in_use += 1
            try:
                yield
            finally:
                self.in_use -= 1
