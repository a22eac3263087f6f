"""What one transaction writes: a ``Change``, and the ``Event`` rows in it.

An outcome, its event and its bounce are one change, hence one transaction: no outcome without its
notification, no bounce that is sent for a message still in the queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from relay.base.message import Message


class EventKind(StrEnum):
    """SES event types (event-publishing-retrieving-sns-contents.md), and two of ours."""

    SEND = "Send"
    DELIVERY = "Delivery"
    BOUNCE = "Bounce"
    COMPLAINT = "Complaint"
    DELIVERY_DELAY = "DeliveryDelay"
    REJECT = "Reject"
    NOTICE = "Notice"  # the relay wrote to the account's contact; ``message_id`` is that mail, "" for none
    GAP = "Gap"  # the shard was rebuilt: events before this one may be lost; about no message, no account


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the append-only outbox. ``detail`` is a JSON object as text."""

    at: float
    kind: EventKind
    message_id: str
    account_id: int
    detail: str = "{}"


class Logged(NamedTuple):
    """An event in the event log: in which shard, and where in it. Offsets grow within a shard."""

    shard: int
    offset: int
    event: Event


@dataclass(frozen=True, slots=True)
class Deferral:
    """A recipient that waits: what its row becomes."""

    key: int
    number: int
    attempts: int
    due_at: float
    reply: str
    is_told: bool = False  # the sender has heard of the delay, now or before


@dataclass(frozen=True, slots=True)
class Parked:
    """A recipient that goes back to disk until its lane takes it; no attempt was made."""

    key: int
    number: int
    reply: str = ""  # why, for people; "" leaves what is there


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A dot was sent and its reply never seen; the recipient may get the message twice."""

    message_id: str
    address: str
    at: float
    why: str  # "reply-lost" or "crash"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said when a recipient was last tried, as lines for people."""

    key: int
    number: int
    at: float
    dialogue: str


@dataclass(slots=True)
class Change:
    """What one transaction writes to a shard. ``settled`` are (message key, recipient number) pairs that are
    done; ``finished`` are keys of messages whose last recipient is done. ``told`` are (message key, recipient
    number) of those that go on waiting as they do, and of whose delay the sender has heard. ``transcripts``
    replace those of earlier attempts; ``tried_before`` are the settled ones that may have one."""

    stored: list[Message] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)
    deferred: list[Deferral] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    uncertain: list[Uncertain] = field(default_factory=list)
    told: list[tuple[int, int]] = field(default_factory=list)
    transcripts: list[Transcript] = field(default_factory=list)
    tried_before: list[tuple[int, int]] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)  # journal places to clear once this is on disk
    files: list[str] = field(default_factory=list)  # ids of finished messages whose content is a file
