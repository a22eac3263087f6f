"""Events as the stages write them, for the tests of notifications."""

import json
from collections.abc import Mapping
from typing import Any

from relay.base.events import Event, EventKind
from relay.codec.notification import Service
from relay.codec.notification_groups import Group, gather

ID = "0000019a8c3b1f20-3e1f8f4e-5c0f-4d1c-9d9e-0a1b2c3d4e5f-000001"
SENT_AT = 1763000000.608
AT = 1763000002.25
SERVICE = Service("eu-west-1", "mx.relay.example", "relay.example")

HEADERS = {
    "headersTruncated": False,
    "headers": [
        {"name": "From", "value": "Joe <joe@example.org>"},
        {"name": "X-SES-MESSAGE-TAGS", "value": "a=b"},
    ],
    "commonHeaders": {"from": ["Joe <joe@example.org>"]},
}
SEND: dict[str, Any] = {
    "source": "joe@example.org",
    "destination": ["ann@example.com", "bob@example.com"],
    "sourceIp": "192.0.2.1",
    "credential": "RLAYAAAAAAAAAAAAAAAA",
    "identity": "example.org",
    "sizeBytes": 1234,
}
BOUNCE: dict[str, Any] = {
    "recipient": "ann@example.com",
    "reason": "refused",
    "scope": "recipient",
    "reply": "550 5.1.1 unknown",
    "expired": False,
    "bounce": "",
    "bounceType": "Permanent",
    "bounceSubType": "NoEmail",
    "action": "failed",
    "status": "5.1.1",
    "diagnosticCode": "smtp; 550 5.1.1 unknown",
    "host": "mx.example.com",
    "address": "192.0.2.25",
    "reportingMTA": "mx.relay.example",
    "identity": "example.org",
    "source": "smtp",
    "reportedAt": AT,
}
COMPLAINT: dict[str, Any] = {
    "recipient": "ann@example.com",
    "feedbackType": "abuse",
    "userAgent": "Example Loop/1.0",
    "arrivalDate": 1763000001.0,
    "subType": None,
    "reportedAt": 1763000001.5,
    "identity": "example.org",
    "source": "arf",
}
DELIVERY: dict[str, Any] = {
    "recipient": "ann@example.com",
    "reply": "250 2.0.0 taken",
    "host": "mx.example.com",
    "address": "2001:db8::25",
    "tls": "",
    "milliseconds": 1642,
}
DELAY: dict[str, Any] = {
    "recipient": "ann@example.com",
    "reason": "refused",
    "status": "4.2.2",
    "reply": "452 4.2.2 full",
    "expires": 1763050400,
    "notice": "",
    "identity": "example.org",
    "delayType": "MailboxFull",
    "host": "mx.example.com",
    "address": "192.0.2.25",
}
DETAILS: dict[EventKind, dict[str, Any]] = {
    EventKind.BOUNCE: BOUNCE,
    EventKind.COMPLAINT: COMPLAINT,
    EventKind.DELIVERY: DELIVERY,
    EventKind.SEND: SEND,
    EventKind.REJECT: {"reason": "Bad content"},
    EventKind.DELIVERY_DELAY: DELAY,
}


def event(
    kind: EventKind, detail: Mapping[str, Any] | None = None, at: float = AT, message_id: str = ID
) -> Event:
    return Event(at, kind, message_id, 7, json.dumps(DETAILS[kind] if detail is None else detail))


def send(**more: Any) -> Event:
    return event(EventKind.SEND, {**SEND, **more}, SENT_AT)


def group(kind: EventKind, *details: Mapping[str, Any]) -> Group:
    [found] = gather([event(kind, one) for one in details] or [event(kind)])
    return found
