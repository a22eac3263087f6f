"""What each event adds to the statistics: a decision about one event, summed over many.

    tally = Tally(identity_of, is_judged)
    tally.add(event)
    tally.counts  # by account, quarter of an hour, identity and receiver domain

Contract, after SES (notification-contents.md, faqs-enforcement.md "Bounce FAQ"):

- a Send is a delivery attempt for each recipient; a Reject is one message;
- a bounce is hard if its type is Permanent. One from the service's suppression list is hard too; one from
  the account's own list is neither hard nor soft, and its mail counts as not sent where rates are concerned;
- an automatic reply counts as nothing, and so does a report that a message was *not* spam;
- a bounce without a type (of an earlier version) is hard unless the time was up, but touches no rate: what is
  not known for certain is held against nobody.

Everything happens at the time of its event. Rates look at the mail instead: its hard bounces and complaints
are counted where it was sent, if ``is_judged`` says that it counts at all.

Pure: what it has to ask is handed in. Cost, beside the workers and not in them, measured: 5 microseconds an
event, most of it reading JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from relay.base.address import domain_of
from relay.base.counts import QUARTER_S, Counts, Place
from relay.base.events import Event, EventKind
from relay.base.feedback import BounceSubType, BounceType
from relay.base.ids import arrival_of

KINDS = (EventKind.SEND, EventKind.DELIVERY, EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.REJECT)

_NO_COMPLAINTS = {"not-spam", "auth-failure"}  # feedback types that blame nobody for having sent the mail


class Tally:
    """Sums events up."""

    def __init__(
        self, identity_of: Callable[[str], str], is_judged: Callable[[int, str, float], bool]
    ) -> None:
        """``identity_of`` a message, for events that do not say; ``is_judged`` tells of an account, a
        recipient's address and the time of sending whether that mail counts towards the rates."""
        self.counts: dict[Place, Counts] = {}
        self.identities: dict[str, str] = {}  # by message, of the Sends that were seen
        self.bounces = dict.fromkeys(BounceType, 0)
        self.complaints = 0
        self._ask_identity = identity_of
        self._is_judged = is_judged

    def add(self, event: Event) -> None:
        """Count one event."""
        count = _COUNTED.get(event.kind)
        if count is not None:
            count(self, event, _read(event.detail))

    def _send(self, event: Event, detail: Mapping[str, Any]) -> None:
        identity, account = str(detail.get("identity") or ""), event.account_id
        sent_at = _sent_at(event) or event.at
        self.identities[event.message_id] = identity
        for address in detail.get("destination") or ():
            counts = self._at(event.at, account, identity, address)
            counts.sent += 1
            if self._is_judged(account, address, sent_at):
                counts.mails += 1

    def _delivery(self, event: Event, detail: Mapping[str, Any]) -> None:
        self._here(event, detail).delivered += 1

    def _reject(self, event: Event, _: Mapping[str, Any]) -> None:
        self._at(event.at, event.account_id, self._identity_of(event.message_id), "").rejects += 1

    def _bounce(self, event: Event, detail: Mapping[str, Any]) -> None:
        if detail.get("autoReply") or detail.get("source") == "auto-reply":
            return
        kind, subtype = detail.get("bounceType"), detail.get("bounceSubType")
        counts = self._here(event, detail)
        if subtype == BounceSubType.ON_ACCOUNT_SUPPRESSION_LIST:
            counts.suppressed += 1
            self._unsend(event, detail)
            return
        if subtype == BounceSubType.SUPPRESSED:
            counts.suppressed += 1
        if kind in self.bounces:
            self.bounces[kind] += 1
        if kind == BounceType.PERMANENT:
            counts.hard += 1
            sent = self._of_mail(event, detail)
            if sent is not None:
                sent.bounced += 1
        elif kind or detail.get("expired"):
            counts.soft += 1
        else:
            counts.hard += 1

    def _complaint(self, event: Event, detail: Mapping[str, Any]) -> None:
        if str(detail.get("feedbackType")).lower() in _NO_COMPLAINTS:
            return
        counts = self._here(event, detail)
        if detail.get("subType") == BounceSubType.ON_ACCOUNT_SUPPRESSION_LIST:
            counts.suppressed += 1
            self._unsend(event, detail)
            return
        counts.complaints += 1
        self.complaints += 1
        sent = self._of_mail(event, detail)
        if sent is not None:
            sent.complained += 1

    def _unsend(self, event: Event, detail: Mapping[str, Any]) -> None:
        """It was counted when it was accepted; it never left."""
        sent = self._of_mail(event, detail)
        if sent is not None:
            sent.mails -= 1

    def _of_mail(self, event: Event, detail: Mapping[str, Any]) -> Counts | None:
        """Where the mail was counted that the event is about; None if it counts towards no rate."""
        address = str(detail.get("recipient") or "")
        sent_at = _sent_at(event)
        if not sent_at or not self._is_judged(event.account_id, address, sent_at):
            return None
        return self._at(sent_at, event.account_id, self._identity(event, detail), address)

    def _here(self, event: Event, detail: Mapping[str, Any]) -> Counts:
        address = str(detail.get("recipient") or "")
        return self._at(event.at, event.account_id, self._identity(event, detail), address)

    def _identity(self, event: Event, detail: Mapping[str, Any]) -> str:
        identity = detail.get("identity")
        return self._identity_of(event.message_id) if identity is None else str(identity)

    def _identity_of(self, message_id: str) -> str:
        known = self.identities.get(message_id)
        return self._ask_identity(message_id) if known is None else known

    def _at(self, at: float, account_id: int, identity: str, address: str) -> Counts:
        try:
            domain = domain_of(address)
        except ValueError:
            domain = ""
        place = Place(account_id, int(at // QUARTER_S) * QUARTER_S, identity, domain)
        counts = self.counts.get(place)
        if counts is None:
            counts = self.counts[place] = Counts()
        return counts


def _sent_at(event: Event) -> float:
    try:
        return arrival_of(event.message_id)
    except ValueError:
        return 0.0


def _read(detail: str) -> Mapping[str, Any]:
    try:
        found = json.loads(detail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_COUNTED: dict[EventKind, Callable[[Tally, Event, Mapping[str, Any]], None]] = {
    EventKind.SEND: Tally._send,
    EventKind.DELIVERY: Tally._delivery,
    EventKind.BOUNCE: Tally._bounce,
    EventKind.COMPLAINT: Tally._complaint,
    EventKind.REJECT: Tally._reject,
}
