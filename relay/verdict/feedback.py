"""What a mail that came back means: events on the message that it is about, and whether its sender gets it.

Contract, pure: ``judge`` takes the report as it was read, the message that it is about, what happened to that
before, and the time. The table::

    report          what it says          event                                   forwarded
    bounce          failed, or nothing    Bounce, once a recipient                 yes, unless all is known
    bounce          delayed               DeliveryDelay, once a recipient          the same
    bounce          delivered, relayed    none                                     yes
    complaint       any type              Complaint, once a recipient; not-spam    the same
                                          and auth-failure, each once beside it
    auto-reply                            Bounce Transient/General with            the same
                                          autoReply, once a recipient
    other                                 none                                     yes

Nothing in a report is believed but what fits the message: recipients that it did not have are counted and
dropped (``original.recipient_of``). A complaint that names nobody is taken to come from the recipients at the
complainer's domain, or from the only one. A recipient that bounced while we delivered does not bounce again.

What it does not know: who wrote the report. A recipient of a message with several may speak of the others.

Deliberately not here: finding the message, forwarding by mail, and who counts what.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from relay.base.control import add_to
from relay.base.events import Event, EventKind
from relay.base.feedback import (
    Action,
    BounceClass,
    BounceSubType,
    BounceType,
    Report,
    ReportedRecipient,
    ReportKind,
)
from relay.verdict.bounce_class import classify_reported
from relay.verdict.original import Original, at_domain, recipient_of, same_address

_NO_COMPLAINT = ("not-spam", "auth-failure")  # nobody complained (RFC 5965 7.3, RFC 6591)

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MAX_WORDS = 500  # characters of a stranger's text that an event keeps
_DELAY_TYPES = {
    BounceSubType.MAILBOX_FULL: "MailboxFull",
    BounceSubType.CONTENT_REJECTED: "SpamDetected",
}
_NO_EVENT = (Action.DELIVERED, Action.RELAYED, Action.EXPANDED)
_AWAY = BounceClass(BounceType.TRANSIENT, BounceSubType.GENERAL)


@dataclass(frozen=True, slots=True)
class Found:
    """One event to be: what it is of, and its detail. ``name`` is what is counted."""

    kind: EventKind
    name: str
    detail: dict[str, Any]

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two of a message the same."""
        return _key(self.kind, self.detail)


@dataclass(slots=True)
class Ruling:
    """What follows. ``counts`` are words for the metrics, one a thing that was said."""

    found: list[Found] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    is_forwarded: bool = False  # as far as its sender wants it

    def events(self, original: Original, now: float, forwarded: str) -> list[Event]:
        """The events; ``forwarded`` is the id of the mail that went to the sender, "" for none."""
        return [
            Event(
                now,
                one.kind,
                original.message_id,
                original.account_id,
                add_to(_text(_with_mail(one, forwarded)), original.control),
            )
            for one in self.found
        ]


def judge(
    report: Report, original: Original, earlier: Iterable[Event], now: float, source: str = ""
) -> Ruling:
    """What the report means; ``earlier`` are the events of the message until now. ``source`` names in the
    events where it came from, if it is not to be told from the kind of report."""
    if report.kind is ReportKind.BOUNCE:
        found, ruling = _bounced(report, original, now, source or "dsn")
    elif report.kind is ReportKind.COMPLAINT:
        found, ruling = _complained(report, original, now, source or "arf")
    elif report.kind is ReportKind.AUTO_REPLY:
        found, ruling = _replied(report, original, now, source or "auto-reply")
    else:
        return Ruling(counts=["other"], is_forwarded=True)
    known = {_key(one.kind, json.loads(one.detail)) for one in earlier if one.kind in _KINDS}
    for one in found:
        if one.key in known:
            ruling.counts.append("duplicate")
            continue
        known.add(one.key)
        ruling.found.append(one)
        ruling.counts.append(one.name)
    ruling.is_forwarded = ruling.is_forwarded or not found or bool(ruling.found)
    ruling.counts = ruling.counts or ["other"]  # a bounce that names nobody
    return ruling


_KINDS = (EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.DELIVERY_DELAY)


def _key(kind: EventKind, detail: dict[str, Any]) -> tuple[object, ...]:
    recipient = detail.get("recipient", "")
    if kind is EventKind.BOUNCE:
        return kind, recipient, bool(detail.get("autoReply"))
    if kind is EventKind.COMPLAINT:
        said = detail.get("feedbackType")
        return kind, recipient, said if said in _NO_COMPLAINT else "complaint"
    return kind, recipient, bool(detail.get("source"))  # ours has none: the sender heard of our own delay


def _with_mail(one: Found, forwarded: str) -> dict[str, Any]:
    if one.kind is EventKind.COMPLAINT:
        return one.detail
    return one.detail | {"notice" if one.kind is EventKind.DELIVERY_DELAY else "bounce": forwarded}


def _bounced(report: Report, original: Original, now: float, source: str) -> tuple[list[Found], Ruling]:
    found, ruling = [], Ruling()
    for one in report.recipients:
        if one.action in _NO_EVENT:
            ruling.counts.append("success")
            ruling.is_forwarded = True
            continue
        recipient = recipient_of(original, one.original, one.address)
        if not recipient:
            ruling.counts.append("stranger")
        elif one.action is Action.DELAYED:
            found.append(_delay(report, one, recipient, original, now, source))
        else:
            found.append(_bounce(report, one, recipient, original, now, source))
    return found, ruling


def _bounce(
    report: Report, one: ReportedRecipient, recipient: str, original: Original, now: float, source: str
) -> Found:
    judged = classify_reported(one)
    diagnostic = _short(one.diagnostic)
    if one.address and not same_address([recipient], one.address):  # a forward behind it
        diagnostic = f"{diagnostic or 'x-relay; no reason given'} (reported for {_short(one.address)})"
    detail = {
        "recipient": recipient,
        "reason": "refused",
        "scope": "recipient",
        "reply": _said(one),
        "expired": False,
        "bounce": "",
        "bounceType": judged.type.value,
        "bounceSubType": judged.subtype.value,
        "action": "failed",
        "status": _status(one),
        "diagnosticCode": diagnostic,
        "host": _short(one.remote_mta),
        "address": "",
        "reportingMTA": _short(report.reporting_mta),
        "identity": original.identity,
        "source": source,
        "reportedAt": _reported_at(report, now),
    }
    return Found(EventKind.BOUNCE, "bounce", detail)


def _delay(
    report: Report, one: ReportedRecipient, recipient: str, original: Original, now: float, source: str
) -> Found:
    detail = {
        "recipient": recipient,
        "reason": "refused",
        "status": _status(one),
        "reply": _said(one),
        "expires": 0,
        "notice": "",
        "identity": original.identity,
        "delayType": _DELAY_TYPES.get(classify_reported(one).subtype, "General"),
        "host": _short(one.remote_mta),
        "address": "",
        "reportingMTA": _short(report.reporting_mta),
        "source": source,
        "reportedAt": _reported_at(report, now),
    }
    return Found(EventKind.DELIVERY_DELAY, "delay", detail)


def _complained(report: Report, original: Original, now: float, source: str) -> tuple[list[Found], Ruling]:
    recipients = _complainers(report, original)
    doubt = {"isCertain": False} if len(recipients) > 1 else {}  # one of them complained, not all
    found = [
        Found(
            EventKind.COMPLAINT,
            "complaint",
            {
                "recipient": recipient,
                "feedbackType": report.feedback_type,
                "userAgent": _short(report.user_agent),
                "arrivalDate": round(report.arrived_at) if report.arrived_at else None,
                "subType": None,
                "reportedAt": _reported_at(report, now),
                "identity": original.identity,
                "source": source,
                **doubt,
            },
        )
        for recipient in recipients
    ]
    return found, Ruling(counts=[] if found else ["stranger"])


def _complainers(report: Report, original: Original) -> list[str]:
    """Whom the report names; where it names nobody, those at the domain that it comes from. In any case the
    only one there is: whoever else is named is behind a forward."""
    named = [same_address(original.destination, one.address) for one in report.recipients]
    if any(named):
        return list(dict.fromkeys(filter(None, named)))
    if len(original.destination) == 1:
        return list(original.destination)
    if named:
        return []
    for domain in (report.sender.rpartition("@")[2], report.reporting_mta):
        if found := at_domain(original.destination, domain):
            return found
    return []


def _replied(report: Report, original: Original, now: float, source: str) -> tuple[list[Found], Ruling]:
    recipient = recipient_of(original, report.sender)
    if not recipient:
        return [], Ruling(counts=["stranger"])
    detail = {
        "recipient": recipient,
        "reason": "auto-reply",
        "scope": "recipient",
        "reply": _short(report.subject),
        "expired": False,
        "bounce": "",
        "bounceType": _AWAY.type.value,
        "bounceSubType": _AWAY.subtype.value,
        "action": "",
        "status": "",
        "diagnosticCode": "",
        "host": "",
        "address": "",
        "reportingMTA": "",
        "identity": original.identity,
        "source": source,
        "reportedAt": _reported_at(report, now),
        "autoReply": True,
    }
    return [Found(EventKind.BOUNCE, "auto-reply", detail)], Ruling()


def _status(one: ReportedRecipient) -> str:
    return one.status or (f"{one.code // 100}.0.0" if one.code else "")


def _said(one: ReportedRecipient) -> str:
    """What the refusing server said, without the type of diagnostic before it."""
    kind, semicolon, words = one.diagnostic.partition(";")
    return _short(words if semicolon and " " not in kind.strip() else one.diagnostic)


def _short(text: str) -> str:
    return " ".join(text.split())[:_MAX_WORDS]


def _reported_at(report: Report, now: float) -> int:
    """When its server wrote it; what lies in the future, or is missing, is now."""
    return round(report.sent_at if 0.0 < report.sent_at <= now else now)
