"""Notifications: events as the JSON that SES sends (notification-contents.md for what an identity tells its
topics, event-publishing-retrieving-sns-contents.md for event publishing).

Contract, pure: ``notification`` makes one object of a group of events (``notification_groups``) and the Send
event of their message. There are two forms: ``NOTIFICATION`` (``notificationType``), which SES has of
bounces, complaints and deliveries alone, and ``EVENT`` (``eventType``), which has tags. ``form_of`` says
which one a topic of an identity gets. A member that nothing is known of is left out, as SES does; only
``complaintSubType`` is null. The same group gives the same bytes, ``feedbackId`` included, so that whoever
gets it twice can tell.

Where the Send event is gone (retention), ``mail`` tells what the id and the group say: when, and to whom.

``reportingMTA`` is written as SES writes it: ``dsn; <our host>`` of a bounce in our own dialogue, ``dns;
<name>`` as in the report that came back or, for suppressed recipients, the service domain; the plain host
name of a delivery.

Cost, measured: 20 microseconds with its bytes. Beside the path of mail.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from relay.base.events import Event, EventKind
from relay.codec.notification_groups import Detail, Group, detail_of
from relay.codec.notification_mail import Mail, milliseconds, moment

_BAD_CONTENT = "Bad content"
_UNDETERMINED = "Undetermined"
_LISTED = ("Suppressed", "OnAccountSuppressionList")
_REPLY = re.compile(r"[245]\d\d(?:[ -]|$)")
_FEEDBACK = uuid.UUID("6d8f8a52-6f38-4d3b-9a4e-0a5f5c1f7b10")  # of feedback ids; any, but always this one

# with message, kind and moment, what sets the groups of one moment apart
_APART = ("recipient", "source", "bounceType", "bounceSubType", "feedbackType")

_bytes = json.JSONEncoder(separators=(",", ":")).encode


class Form(StrEnum):
    """Which of SES's two forms; the value is the member that names the kind."""

    NOTIFICATION = "notificationType"
    EVENT = "eventType"


@dataclass(frozen=True, slots=True)
class Service:
    """Who tells: the region of ARNs, our host's name, and the service domain."""

    region: str
    host: str
    domain: str = ""


_OBJECTS: Mapping[EventKind, str] = {
    EventKind.BOUNCE: "bounce",
    EventKind.COMPLAINT: "complaint",
    EventKind.DELIVERY: "delivery",
    EventKind.SEND: "send",
    EventKind.REJECT: "reject",
    EventKind.DELIVERY_DELAY: "deliveryDelay",
}
_NOTIFIED = (EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.DELIVERY)


def form_of(kind: EventKind) -> Form:
    """The form in which an identity tells its topics of a kind."""
    return Form.NOTIFICATION if kind in _NOTIFIED else Form.EVENT


def notification(
    group: Group, send: Event | None, service: Service, *, has_headers: bool = False, form: Form | None = None
) -> dict[str, Any]:
    """The object that tells of the group; ``form`` None is that of an identity's topics.

    Raises ValueError for what SES has no form of.
    """
    kind = group.first.kind
    form = form or form_of(kind)
    if kind not in _OBJECTS or (form is Form.NOTIFICATION and kind not in _NOTIFIED):
        raise ValueError(f"there is no {form} of a {kind} event")
    mail = Mail.of(group, send)
    is_event = form is Form.EVENT
    tell = mail.as_event if is_event else mail.as_notified
    told = tell(service.region, has_headers)
    if kind is EventKind.BOUNCE:
        what = _bounce(group, service, is_event)
    elif kind is EventKind.COMPLAINT:
        what = _complaint(group)
    elif kind is EventKind.DELIVERY:
        what = _delivery(group, service, is_event)
    elif kind is EventKind.DELIVERY_DELAY:
        what = _delay(group)
    elif kind is EventKind.REJECT:
        what = {"reason": group.details[0].get("reason") or _BAD_CONTENT}
    else:
        what = {}
    return {form.value: kind.value, "mail": told, _OBJECTS[kind]: what}


def to_bytes(told: Mapping[str, Any]) -> bytes:
    """The notification as it is posted: one line of ASCII."""
    return _bytes(told).encode("ascii")


def identity_of(send: Event | None, group: Group) -> str:
    """The identity as which the message was sent, whose settings say who is told; "" if no one knows."""
    told = detail_of(send) if send is not None else {}
    return str(told.get("identity") or group.details[0].get("identity") or "")


def _bounce(group: Group, service: Service, is_event: bool) -> dict[str, Any]:
    detail, at = group.details[0], group.first.at
    return _known(
        {
            "bounceType": detail.get("bounceType") or _UNDETERMINED,
            "bounceSubType": detail.get("bounceSubType") or _UNDETERMINED,
            "bouncedRecipients": [
                _known(
                    {
                        "emailAddress": one.get("recipient") or "",
                        "action": one.get("action"),
                        "status": one.get("status"),
                        "diagnosticCode": one.get("diagnosticCode"),
                    }
                )
                for one in group.details
            ],
            "timestamp": moment(detail.get("reportedAt"), at),
            "feedbackId": _feedback_id(group),
            "remoteMtaIp": None if is_event else detail.get("address"),
            "reportingMTA": _reporting_mta(detail, service),
        }
    )


def _complaint(group: Group) -> dict[str, Any]:
    detail, at = group.details[0], group.first.at
    arrived = detail.get("arrivalDate")
    told = _known(
        {
            "complainedRecipients": [{"emailAddress": one.get("recipient") or ""} for one in group.details],
            "timestamp": moment(detail.get("reportedAt"), at),
            "feedbackId": _feedback_id(group),
            "userAgent": detail.get("userAgent"),
            "complaintFeedbackType": detail.get("feedbackType"),
            "arrivalDate": moment(arrived, at) if arrived else None,
        }
    )
    return {**told, "complaintSubType": detail.get("subType") or None}


def _delivery(group: Group, service: Service, is_event: bool) -> dict[str, Any]:
    detail = group.details[0]
    return _known(
        {
            "timestamp": moment(group.first.at),
            "processingTimeMillis": milliseconds(detail.get("milliseconds")),
            "recipients": [one.get("recipient") or "" for one in group.details],
            "smtpResponse": detail.get("reply") or "",
            "remoteMtaIp": None if is_event else detail.get("address"),
            "reportingMTA": detail.get("reportingMTA") or service.host,
        }
    )


def _delay(group: Group) -> dict[str, Any]:
    detail, at = group.details[0], group.first.at
    return _known(
        {
            "timestamp": moment(detail.get("reportedAt"), at),
            "delayType": detail.get("delayType") or _UNDETERMINED,
            # when another server gives up, which has told us of the delay, nobody knows
            "expirationTime": moment(detail["expires"], at) if detail.get("expires") else None,
            "delayedRecipients": [
                _known(
                    {
                        "emailAddress": one.get("recipient") or "",
                        "status": one.get("status"),
                        "diagnosticCode": one.get("diagnosticCode") or _diagnostic(one),
                    }
                )
                for one in group.details
            ],
            "reportingMTA": detail.get("address"),
        }
    )


def _known(members: Mapping[str, Any]) -> dict[str, Any]:
    """Those of which something is known."""
    return {name: value for name, value in members.items() if value is not None and value != ""}


def _diagnostic(detail: Detail) -> str:
    """What was said, as RFC 3464 2.3.6 writes it; the words are ours where no server said anything."""
    reply = str(detail.get("reply") or "")
    if _REPLY.match(reply):
        return f"smtp; {reply}"
    return f"x-relay; {reply}" if reply and detail.get("source") != "dsn" else reply


def _reporting_mta(detail: Detail, service: Service) -> str:
    named, source = str(detail.get("reportingMTA") or ""), detail.get("source") or "smtp"
    if ";" in named:
        return named
    if source == "auto-reply":
        return ""  # not a report of a server
    if source == "dsn":
        return f"dns; {named}" if named else ""
    if source == "suppression-list" or detail.get("bounceSubType") in _LISTED:
        return f"dns; {service.domain or named or service.host}"  # no host was asked
    return f"dsn; {named or service.host}"


def _feedback_id(group: Group) -> str:
    """Of this group and no other, however often it is told."""
    event, detail = group.first, group.details[0]
    said = [detail.get(member) for member in _APART]
    made = uuid.uuid5(_FEEDBACK, _bytes([event.message_id, event.kind.value, event.at, said]))
    return f"{milliseconds(event.at * 1000):016x}-{made}-{event.message_id[-6:] or '000000'}"
