"""What an event means for the suppression lists: whose address has given offence, and on which lists it goes.

A decision, pure. The table (SES.md 7, sending-email-suppression-list.md)::

    a permanent bounce                    the service-wide list; and the account's, if it suppresses bounces
    a complaint                           the account's, if it suppresses complaints; and the service-wide
                                          list, if the account uses its own at all
    not-spam, and failed authentication   none: nobody complained
    what a list has caused itself         none, or no address would ever come off
    automatic replies, the simulator,     none
    the relay's own mail

What is not said for certain puts nobody on a list: not an event that does not say what it is, and not a
complaint that may be that of several recipients (``certain``), of whom all but one never complained.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from relay.base.events import Event, EventKind
from relay.base.feedback import BounceSubType, BounceType
from relay.base.simulator import is_simulator
from relay.base.suppression import SERVICE, SuppressionReason, listed_form

KINDS = (EventKind.BOUNCE, EventKind.COMPLAINT)

_OF_A_LIST = frozenset(
    {BounceSubType.SUPPRESSED.value, BounceSubType.ON_ACCOUNT_SUPPRESSION_LIST.value}
)  # also in a complaint
_BOUNCED_BY_RECEIVERS = frozenset({"smtp", "dsn"})
_OURS = frozenset({"simulator", "suppression-list"})
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure"})  # RFC 5965 7.3, RFC 6591


@dataclass(frozen=True, slots=True)
class Offence:
    """An address that has bounced or complained: to whose mail, and when we heard of it."""

    account_id: int
    address: str  # in its listed form
    reason: SuppressionReason
    at: float
    message_id: str


def offence_of(event: Event, service_domain: str = "") -> Offence | None:
    """What an event tells against an address; None for nothing."""
    if event.account_id == SERVICE or event.kind not in KINDS:
        return None
    try:
        detail = json.loads(event.detail)
        address = detail["recipient"]
        if not _is_against(event.kind, detail) or is_simulator(address, service_domain):
            return None
        listed = listed_form(address)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    is_bounce = event.kind is EventKind.BOUNCE
    reason = SuppressionReason.BOUNCE if is_bounce else SuppressionReason.COMPLAINT
    return Offence(event.account_id, listed, reason, event.at, event.message_id)


def certain(offences: Iterable[Offence]) -> list[Offence]:
    """Without complaints that name several recipients of a message at once: whose they are nobody knows. Our
    events say so ("isCertain"), also where a batch ends between them; those of an older relay do not."""
    found = list(offences)
    named: dict[tuple[str, float], set[str]] = {}
    for one in found:
        if one.reason is SuppressionReason.COMPLAINT:
            named.setdefault((one.message_id, one.at), set()).add(one.address)
    doubtful = {key for key, addresses in named.items() if len(addresses) > 1}
    return [
        one
        for one in found
        if one.reason is SuppressionReason.BOUNCE or (one.message_id, one.at) not in doubtful
    ]


def _is_against(kind: EventKind, detail: dict[str, object]) -> bool:
    if kind is EventKind.BOUNCE:
        return (
            detail.get("bounceType") == BounceType.PERMANENT
            and detail.get("bounceSubType") not in _OF_A_LIST
            and detail.get("source") in _BOUNCED_BY_RECEIVERS
            and not detail.get("autoReply")
        )
    return (
        detail.get("isCertain") is not False
        and detail.get("subType") not in _OF_A_LIST
        and detail.get("source") not in _OURS
        and str(detail.get("feedbackType") or "").lower() not in _NO_COMPLAINT
    )


def lists_for(offence: Offence, suppressed: Collection[SuppressionReason] | None) -> list[int]:
    """The lists that the address goes onto. ``suppressed``: what puts an address on the account's list, None
    if there is no such account any more."""
    lists = []
    if offence.reason is SuppressionReason.BOUNCE or suppressed:
        lists.append(SERVICE)
    if suppressed and offence.reason in suppressed:
        lists.append(offence.account_id)
    return lists
