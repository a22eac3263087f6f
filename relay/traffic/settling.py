"""From the outcomes of an attempt to its end in memory and on disk.

Contract: an attempt that was taken ends in exactly one change. ``commit`` writes a change that ends the stay
of recipients in memory; loaded ones stay *known* until it is on disk, else they would be loaded again. Our
own bounces are announced before, and submitted after, they are stored with the outcome that made them.

Failure: without a verdict (a bug of ours) the recipients wait and are tried again. Content that is damaged
is set aside; content that cannot be read does not keep an outcome from being written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.errors import SpoolCorrupt
from relay.base.events import Change, Deferral
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import Outcome
from relay.base.tasks import Tasks
from relay.traffic.neighbours import Store, Verdict
from relay.traffic.window import Window

log = logging.getLogger(__name__)


class Settling:
    """Ends attempts. Owner: the scheduler, in the event loop."""

    def __init__(
        self,
        shards: Mapping[int, Store],
        verdict: Verdict,
        window: Window,
        budget: Budget,
        clock: Clock,
        internal_retry_s: float,
        tasks: Tasks,
    ) -> None:
        self.set_aside = 0
        self.is_draining = False
        self.announce: Callable[[Message], None] = _nobody
        self.submit: Callable[[Message], None] = _nobody
        self.left: Callable[[], None] = _nothing  # recipients have left the window
        self._shards = shards
        self._verdict = verdict
        self._window = window
        self._budget = budget
        self._clock = clock
        self._internal_retry_s = internal_retry_s
        self._tasks = tasks
        self._damaged: dict[Attempt, SpoolCorrupt] = {}

    async def content(self, attempt: Attempt, ahead: list[Message]) -> bytes | Path:
        """The content of an attempt's message that is not in memory, read in one go with that of those
        ``ahead``, which will be wanted next. Raises SpoolCorrupt."""
        message = attempt.message
        batch = [message]
        for other in ahead:
            if other.content is None and not other.is_large and other.shard == message.shard:
                batch.append(other)
        found = await self._shards[message.shard].contents(batch)
        for one in batch:
            content = found[one.key]
            is_wanted = one.content is None and one.in_hand
            if is_wanted and isinstance(content, bytes) and self._budget.take(len(content)):
                one.content = content
        wanted = found[message.key]
        if isinstance(wanted, SpoolCorrupt):
            self._damaged[attempt] = wanted
            raise wanted
        return wanted

    def finish(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """What became of each recipient of the attempt, by number."""
        message = attempt.message
        if self._damaged and (damage := self._damaged.pop(attempt, None)) is not None:
            self._tasks.spawn(self._set_aside(attempt, damage), "set aside")
        elif (
            message.content is None
            and not self.is_draining
            and self._verdict.wants_content(attempt, outcomes)
        ):
            self._tasks.spawn(self._finish_with_content(attempt, outcomes), "verdict")
        else:
            self._settle(attempt, outcomes, message.content)

    async def _finish_with_content(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """The bounce quotes the message; if it cannot be read, or we are stopping, the sender learns of the
        failure without the quote: an outcome that waited longer would be lost with us."""
        message = attempt.message
        content: bytes | Path | None = message.content
        try:
            if content is None:
                content = await self.content(attempt, [])
        except SpoolCorrupt:
            self._damaged.pop(attempt, None)
        except Exception:
            log.exception("bounce without the header of its message", extra={"id": message.id})
        finally:
            self._settle(attempt, outcomes, content)

    def _settle(self, attempt: Attempt, outcomes: dict[int, Outcome], content: bytes | Path | None) -> None:
        message = attempt.message
        try:
            change = self._verdict.judge(attempt, outcomes, content)
        except Exception:  # our own bug delays mail, it never loses or bounces it
            log.exception("no verdict; tried again later", extra={"id": message.id})
            change = Change(deferred=[self._later(message, r) for r in attempt.recipients])
        change.slots.extend(attempt.slots)
        if message.left:
            message.left -= len(change.settled)
            if not message.left:
                change.finished.append(message.key)
                if message.is_large:
                    change.files.append(message.id)
        self.commit(message, attempt.recipients, change)
        self.let_go(message)

    def _later(self, message: Message, recipient: Recipient) -> Deferral:
        due_at = self._clock.now() + self._internal_retry_s
        return Deferral(
            message.key, recipient.number, recipient.attempts + 1, due_at, "internal", recipient.is_told
        )

    def commit(self, message: Message, recipients: list[Recipient], change: Change) -> None:
        """Write a change that ends these recipients' stay in memory."""
        for bounce in change.stored:
            self.announce(bounce)
        future = self._shards[message.shard].commit(change)
        known = self._window.known.get(message.shard)
        pairs = {(message.key, r.number) for r in recipients} & known if known else None
        if pairs:
            future.add_done_callback(lambda done: self._left(done, message.shard, pairs))
        else:
            self._window.fresh -= len(recipients)
        if change.stored:
            future.add_done_callback(lambda done: self._stored(done, change.stored))
        self.left()

    def _left(self, done: asyncio.Future[None], shard: int, pairs: set[tuple[int, int]]) -> None:
        """Their outcome is on disk. If it could not be written (a bug of ours, which the spool has logged)
        they stay known: loaded again, they would be delivered again, and so on until someone looks."""
        if done.cancelled() or done.exception() is not None:
            return
        self._window.known[shard] -= pairs
        self.left()

    def _stored(self, done: asyncio.Future[None], messages: list[Message]) -> None:
        """Our own bounces are on disk, with the outcome that made them."""
        if not done.cancelled() and done.exception() is None:
            for message in messages:
                self.submit(message)

    def let_go(self, message: Message) -> None:
        """One hold on the message less; its content leaves memory with the last."""
        message.in_hand -= 1
        if not message.in_hand and message.content is not None:
            self._budget.give(message.size_bytes)
            message.content = None

    async def _set_aside(self, attempt: Attempt, damage: SpoolCorrupt) -> None:
        message = attempt.message
        try:
            change = await self._shards[message.shard].set_aside(message, damage)
            self.set_aside += 1
        except Exception:  # no room in corrupt/, say: it stays in the queue
            log.exception("message cannot be set aside; tried again later", extra={"id": message.id})
            change = Change(deferred=[self._later(message, r) for r in attempt.recipients])
        change.slots.extend(attempt.slots)
        self.commit(message, attempt.recipients, change)
        self.let_go(message)


def _nobody(message: Message) -> None:
    """Until the scheduler is there."""


def _nothing() -> None:
    """Until the loader is there."""
