"""What the events of a failure and of a delay tell, as JSON. Pure; not on the hot path.

Contract: one event for each recipient. ``bounce_event`` is a Bounce, or a Complaint where nothing was sent
since the recipient has complained before and is on its account's suppression list: SES tells that as a
complaint without a report. ``delay_event`` is a DeliveryDelay. Members that only SES's notifications
have are in their words (bounceType, diagnosticCode); empty is what is not known. Consumers gather adjacent
events of one message that are alike into one notification: those who make many sort them by ``kin``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from relay.base.control import add_to
from relay.base.events import Event, EventKind
from relay.base.feedback import Action, BounceClass
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Failed, Reason
from relay.base.suppression import ON_ACCOUNT_LIST_FOR_COMPLAINT
from relay.codec.status import diagnostic_of, status_at, status_of
from relay.verdict.delay_type import delay_type_of

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Setting:
    """What all events of one attempt have in common. ``hostname`` is ours; ``is_simulated``: the mailbox
    simulator said it."""

    message: Message
    now: float
    hostname: str = ""
    is_simulated: bool = False


def bounce_event(
    setting: Setting, recipient: Recipient, outcome: Failed | Deferred, found: BounceClass, bounce_id: str
) -> Event:
    """The event of a recipient that was given up. ``bounce_id``: of the mail that tells it, or ""."""
    message, now = setting.message, setting.now
    if is_old_complaint(recipient):
        return _event(EventKind.COMPLAINT, setting, {
            "recipient": recipient.address, "feedbackType": "", "userAgent": "", "arrivalDate": None,
            "subType": found.subtype.value, "reportedAt": round(now, 3), "identity": message.identity,
            "source": _source(setting, outcome), "bounce": bounce_id,
        })  # fmt: skip
    return _event(EventKind.BOUNCE, setting, {
        "recipient": recipient.address,
        "reason": outcome.reason.value,
        "scope": outcome.scope.value,
        "reply": describe(outcome),
        "expired": isinstance(outcome, Deferred),
        "bounce": bounce_id,
        "bounceType": found.type.value,
        "bounceSubType": found.subtype.value,
        "action": Action.FAILED.value,
        "status": status_at(message, outcome, now, True),
        "diagnosticCode": diagnostic_of(outcome),
        "host": outcome.peer.host,
        "address": outcome.peer.address,
        "reportingMTA": setting.hostname,
        "identity": message.identity,
        "source": _source(setting, outcome),
        "reportedAt": round(now, 3),
    })  # fmt: skip


def delay_event(setting: Setting, recipient: Recipient, outcome: Deferred, notice_id: str) -> Event:
    """The event of a recipient that waits for too long. ``notice_id``: of the mail that tells it, or ""."""
    message = setting.message
    return _event(EventKind.DELIVERY_DELAY, setting, {
        "recipient": recipient.address,
        "reason": outcome.reason.value,
        "status": status_of(outcome),
        "reply": describe(outcome),
        "expires": round(message.gives_up_at),
        "notice": notice_id,
        "delayType": delay_type_of(outcome).value,
        "diagnosticCode": diagnostic_of(outcome),
        "host": outcome.peer.host,
        "address": outcome.peer.address,
        "reportingMTA": setting.hostname,
        "identity": message.identity,
    })  # fmt: skip


def kin(recipient: Recipient, found: BounceClass) -> tuple[bool, str, str]:
    """What events of one attempt must have in common to be told together."""
    return is_old_complaint(recipient), found.type.value, found.subtype.value


def is_old_complaint(recipient: Recipient) -> bool:
    """Nothing was sent to it, since it has complained before."""
    return recipient.domain == ON_ACCOUNT_LIST_FOR_COMPLAINT


def describe(outcome: Deferred | Failed) -> str:
    """The peer's reply, or else the reason and its detail, as one line for people."""
    text = str(outcome.reply) if outcome.reply is not None else f"{outcome.reason}: {outcome.detail}"
    return " ".join(text.split())[:500]


def _source(setting: Setting, outcome: Failed | Deferred) -> str:
    if setting.is_simulated:
        return "simulator"
    if outcome.reason in (Reason.SUPPRESSED, Reason.ON_ACCOUNT_LIST):
        return "suppression-list"
    return "smtp"


def _event(kind: EventKind, setting: Setting, detail: dict[str, Any]) -> Event:
    message = setting.message
    text = add_to(_text(detail), message.control)
    return Event(setting.now, kind, message.id, message.account_id, text)
