"""Events that make one notification: adjacent ones of one message that say the same of several recipients.

Contract, pure: ``gather`` keeps the order; each event is in one group, and the groups one after the other are
the events. Together are bounces of one type and subtype, complaints of one report, deliveries with one reply,
delays of one type, each of one message and one moment: what one attempt or one mail that came back meant.
SES does the same and promises no more (notification-contents.md): that a group is cut where a batch of events
ends, or after ``longest``, is no fault.

Cost, measured: 4 microseconds an event, for the most part its JSON. Beside the path of mail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from relay.base.events import Event, EventKind

LONGEST = 100  # recipients in a notification

Detail = Mapping[str, Any]

_PLAIN = (str, bool, NoneType)
_NUMBER = (int, float, NoneType)
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "destination": list,
    "headers": list,
    "commonHeaders": dict,
    "tags": dict,
    "milliseconds": _NUMBER,
    "sizeBytes": _NUMBER,
    "expires": _NUMBER,
    "reportedAt": _NUMBER,
    "arrivalDate": _NUMBER,
}

_SAME: Mapping[EventKind, tuple[str, ...]] = {
    EventKind.BOUNCE: ("bounceType", "bounceSubType", "source", "address", "reportingMTA", "reportedAt"),
    EventKind.COMPLAINT: ("feedbackType", "userAgent", "arrivalDate", "subType", "source", "reportedAt"),
    EventKind.DELIVERY: ("reply", "address"),
    EventKind.DELIVERY_DELAY: ("delayType", "expires", "address", "reportedAt"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Adjacent events that make one notification, at least one, and their details, read."""

    events: tuple[Event, ...]
    details: tuple[Detail, ...]

    @property
    def first(self) -> Event:
        """The event that says message, account, kind and moment for all of them."""
        return self.events[0]


def detail_of(event: Event) -> Detail:
    """The detail of an event, read; nothing of one that is damaged, and no member that is not of its kind:
    one bad event must not hold up all that come after it."""
    try:
        detail = json.loads(event.detail)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(detail, dict):
        return {}
    return {name: value for name, value in detail.items() if isinstance(value, _KINDS.get(name, _PLAIN))}


def gather(events: Iterable[Event], longest: int = LONGEST) -> Iterator[Group]:
    """The groups of these events, in their order."""
    together: list[Event] = []
    details: list[Detail] = []
    for event in events:
        detail = detail_of(event)
        is_next = len(together) < longest and together and _is_same(together[0], details[0], event, detail)
        if together and not is_next:
            yield Group(tuple(together), tuple(details))
            together, details = [], []
        together.append(event)
        details.append(detail)
    if together:
        yield Group(tuple(together), tuple(details))


def _is_same(one: Event, its: Detail, other: Event, others: Detail) -> bool:
    members = _SAME.get(one.kind)
    return (
        members is not None
        and one.kind is other.kind
        and one.message_id == other.message_id
        and one.at == other.at
        and all(its.get(member) == others.get(member) for member in members)
    )
