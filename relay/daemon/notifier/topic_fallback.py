"""What becomes of a topic that takes nothing any more: its owner is told, and it is dropped.

As SES has it: nothing is posted to the topic, and where only it heard of bounces or complaints, these are
mailed again. The owner is told first, so that a crash in between repeats a mail rather than loses it; a
directory that cannot be written repeats none (``told``). What
the topic has not taken is kept until it is activated, or two weeks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from relay.directory.notifying import Topic
from relay.directory.topics import Dropped

KIND = "topic-dropped"

Notice = Callable[[int, str, str, str, str], Awaitable[str]]
"""Writes to an account's contact: account, subject, text, kind, about."""


class Topics(Protocol):
    """The topics of the directory; blocking."""

    def users(self, topic_id: int) -> tuple[tuple[str, str], ...]: ...
    def drop(self, topic_id: int, reason: str) -> Dropped | None: ...


async def drop(topics: Topics, notice: Notice, topic: Topic, said: str, hours: int, told: set[int]) -> None:
    """Tell the owner and drop the topic. Raises RelayError, to be tried again: ``told`` are the topics whose
    owners have heard of it and which are still to be dropped."""
    if topic.id not in told:
        users = await asyncio.to_thread(topics.users, topic.id)
        subject, text = words(topic, users, said, hours)
        await notice(topic.account_id, subject, text, KIND, topic.name)
        told.add(topic.id)
    await asyncio.to_thread(topics.drop, topic.id, f"took nothing for {hours} hours; it said: {said}"[:500])
    told.discard(topic.id)


def words(topic: Topic, users: tuple[tuple[str, str], ...], said: str, hours: int) -> tuple[str, str]:
    """Subject and text."""
    told = "\n".join([f"    {identity}: {kind}" for identity, kind in users]) or "    nothing at present"
    return f"Notifications to topic {topic.name} have stopped", (
        f"The topic {topic.name} has taken no notification for {hours} hours, so that nothing is posted to\n"
        f"it any more. Its address is\n\n    {topic.url}\n\nand this is what came of the last post:\n\n"
        f"    {said}\n\nWhat it was told:\n\n{told}\n\n"
        "Bounces and complaints that nobody else hears of are mailed to the senders again.\n"
        "What the topic has not taken is kept for two weeks. Once its address answers, have it\n"
        f"posted with\n\n    relay topic activate {topic.name}\n"
    )
