"""Who hears of what became of mail, as the running relay asks: topics, and what each identity tells them.

Contract: the settings are those of the most granular identity that covers From, and of no other. An address
that is an identity of its own tells what it was set to tell, and nothing if it was set to nothing, whatever
its domain tells (configure-sns-notifications.md: the settings of a domain hold except for addresses that are
verified themselves). Everything is in the event log in any case; ``Notifying`` without a topic says that the
log is where the owner reads it.

A topic that was dropped tells nothing until it is activated. Email feedback forwarding is off only where it
was switched off and bounces and complaints both have someone who hears of them; else it is on, whatever is
stored, since mail must not fail unheard.

Cost on the hot path: nothing beyond the snapshot's identity, which has both answers. Measured for 10,000
identities that tell all six kinds: 0.04 s to build, in the thread of ``refresh``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from relay.base.events import EventKind

TOLD = (
    EventKind.BOUNCE,
    EventKind.COMPLAINT,
    EventKind.DELIVERY,
    EventKind.SEND,
    EventKind.REJECT,
    EventKind.DELIVERY_DELAY,
)
"""The kinds that an identity may tell a topic; a notice is between the relay and the account's contact."""

NEEDED = (EventKind.BOUNCE, EventKind.COMPLAINT)
"""The kinds that someone must hear of before forwarding by mail may be off."""


class TopicState(StrEnum):
    """Is anything posted to the topic?"""

    ACTIVE = "active"
    DROPPED = "dropped"  # its endpoint took nothing for too long; activated by its owner


class TopicEnvelope(StrEnum):
    """What is posted."""

    RAW = "raw"  # the notification itself
    SNS = "sns"  # wrapped as SNS does, with the notification as text in Message


@dataclass(frozen=True, slots=True)
class Topic:
    """Where notifications go: a web address of the account's own."""

    id: int
    account_id: int
    name: str
    url: str
    envelope: TopicEnvelope = TopicEnvelope.RAW
    state: TopicState = TopicState.ACTIVE
    reason: str = ""  # why it was dropped, for people
    created_at: float = 0.0

    @property
    def is_active(self) -> bool:
        """Whether anything is posted to it."""
        return self.state is TopicState.ACTIVE


@dataclass(frozen=True, slots=True)
class SealedTopic:
    """A row of topics; ``secret`` is sealed under ``topic/<id>``."""

    topic: Topic
    secret: bytes = field(repr=False)


def sealed_name(topic_id: int) -> str:
    """The name that a topic's secret is bound to at rest."""
    return f"topic/{topic_id}"


class NotificationRow(NamedTuple):
    """What an identity tells of a kind, and to which topic; None is the event log alone."""

    account_id: int
    identity: str
    kind: EventKind
    topic_id: int | None
    has_headers: bool


@dataclass(frozen=True, slots=True)
class Notifying:
    """Who hears of an event: a topic, or (None) who reads the event log; and whether with the headers."""

    topic: Topic | None
    has_headers: bool


class Notified:
    """The settings of all identities, looked up by account, identity and kind."""

    __slots__ = ("_headers", "_told", "_unforwarded", "topics")

    def __init__(
        self,
        topics: Iterable[Topic] = (),
        rows: Iterable[NotificationRow] = (),
        unforwarded: Iterable[tuple[int, str]] = (),
    ) -> None:
        """``unforwarded``: account and name of the identities whose forwarding was switched off."""
        self.topics = {topic.id: topic for topic in topics}
        self._told: dict[tuple[int, str], dict[EventKind, Notifying]] = {}
        active: dict[int | None, Topic | None] = {
            key: one for key, one in self.topics.items() if one.is_active
        }
        active[None] = None
        # few topics and many rows: what is told is made once for all that tell the same
        made = {(key, has): Notifying(topic, has) for key, topic in active.items() for has in (False, True)}
        for row in rows:
            told = made.get((row.topic_id, row.has_headers))
            if told is not None:
                self._told.setdefault((row.account_id, row.identity), {})[row.kind] = told
        self._headers = {
            key for key, kinds in self._told.items() if any(one.has_headers for one in kinds.values())
        }
        self._unforwarded = {
            key for key in unforwarded if all(kind in self._told.get(key, ()) for kind in NEEDED)
        }

    def of(self, account_id: int, identity: str, kind: EventKind) -> Notifying | None:
        """Who hears of an event of this kind; None if the identity tells no one."""
        kinds = self._told.get((account_id, identity))
        return None if kinds is None else kinds.get(kind)

    def wants_headers(self, account_id: int, identity: str) -> bool:
        """Whether anyone is told the original header of the identity's messages."""
        return (account_id, identity) in self._headers

    def is_forwarding(self, account_id: int, identity: str) -> bool:
        """Whether bounces and complaints of the identity's messages are mailed to their senders."""
        return (account_id, identity) not in self._unforwarded
