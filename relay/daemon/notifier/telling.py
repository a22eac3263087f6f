"""From events to notifications in the outbox: the sink of the event log behind all topics.

Contract: for each group of events of which an identity tells a topic, one notification is in the outbox when
``take`` returns, together with the position. The id of a notification follows from where its first event
stands, so that events that are taken again after a crash make the same ones. Events of which nobody is told
cost a look at their account.

The Send event, which knows what the notification says of the message, is mostly still in memory; else it is
looked up in the log. An event whose identity nobody knows any more (its Send event was dropped by age) is
told nobody.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from relay.base.events import Event, EventKind, Logged
from relay.codec.notification import Service, identity_of, notification, to_bytes
from relay.codec.notification_groups import Group, gather
from relay.daemon.notifier.outbox import Notification
from relay.directory.notifying import TOLD, Notifying, Topic
from relay.spool.event_log import EventLog

_REMEMBERED = 5000  # Send events
_NOTHING = (EventKind.NOTICE,)  # which are few
_UID = uuid.UUID("3f3a40cb-79a0-43ad-a91c-93d5a2c5a3d8")  # of notification ids; any, but always this one


class Snapshot(Protocol):
    """What is asked of the directory."""

    @property
    def topics(self) -> Mapping[int, Topic]: ...
    def notifying(self, account_id: int, identity: str, kind: EventKind) -> Notifying | None: ...


class Live(Protocol):
    """Where the current snapshot is found."""

    @property
    def current(self) -> Snapshot: ...


class Office(Protocol):
    """Where notifications wait to be posted (``posting``)."""

    async def position(self) -> dict[int, int]: ...
    async def accept(self, made: Sequence[Notification], reached: Mapping[int, int]) -> None: ...


class Telling:
    """The sink "relay/notifications"."""

    name = "relay/notifications"

    def __init__(self, spool: Path, live: Live, office: Office, service: Callable[[], Service]) -> None:
        """``service`` is asked for who tells, since that may change."""
        self._live = live
        self._office = office
        self._service = service
        self._log = EventLog(spool)
        self._thread = ThreadPoolExecutor(1, "tell")
        self._sends: OrderedDict[str, Event] = OrderedDict()

    async def start(self, stack: AsyncExitStack) -> None:
        """Close the log when the stack unwinds."""
        stack.callback(self._log.close)
        stack.callback(self._thread.shutdown)

    @property
    def kinds(self) -> Collection[EventKind]:
        """All that may be told; next to nothing while there is no topic."""
        return TOLD if any(topic.is_active for topic in self._live.current.topics.values()) else _NOTHING

    async def position(self) -> Mapping[int, int]:
        """Up to where the outbox has what there is to tell."""
        return await self._office.position()

    async def take(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> None:
        """Put into the outbox what these events mean to topics."""
        snapshot, service = self._live.current, self._service()
        accounts = {topic.account_id for topic in snapshot.topics.values() if topic.is_active}
        mine = [one for one in batch if one.event.account_id in accounts]
        made: list[Notification] = []
        at = 0
        for group in gather([one.event for one in mine]):
            first, at = mine[at], at + len(group.events)
            if group.first.kind is EventKind.SEND:
                self._remember(group.first)
            send = await self._send_of(group)
            identity = identity_of(send, group)
            told = snapshot.notifying(group.first.account_id, identity, group.first.kind)
            if told is None or told.topic is None:
                continue
            body = to_bytes(notification(group, send, service, has_headers=told.has_headers))
            uid = str(uuid.uuid5(_UID, f"{first.shard}:{first.offset}:{told.topic.id}"))
            made.append(Notification(told.topic.id, group.first.message_id, uid, body))
        await self._office.accept(made, reached)

    def _remember(self, send: Event) -> None:
        self._sends[send.message_id] = send
        if len(self._sends) > _REMEMBERED:
            self._sends.popitem(last=False)

    async def _send_of(self, group: Group) -> Event | None:
        """The Send event of a group's message; None if it is not kept any more."""
        known = self._sends.get(group.first.message_id)
        if known is None:
            known = await self._look_up(group.first.message_id)
            if known is not None:
                self._remember(known)
        return known

    async def _look_up(self, message_id: str) -> Event | None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._log.of_message, message_id, False
            )
        except ValueError:  # an event about no message
            return None
        return next((one.event for one in found if one.event.kind is EventKind.SEND), None)
