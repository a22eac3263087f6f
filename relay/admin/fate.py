"""What became of each recipient of a message, from the events that are kept of it.

A decision, pure: ``fates`` gives one ``Fate`` a recipient, in the order of the envelope. The last word of the
receiver counts: who was delivered to and whose mail came back has bounced; a complaint follows a delivery and
does not undo it. Of a recipient that no event names and that does not wait, nothing is known: an operator has
removed it, or its event is not kept any more.

Who still waits is known to the queue, not to events: see ``relay.admin.explanation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.base.events import EventKind

DELIVERED, FAILED, COMPLAINED, REJECTED, UNKNOWN = "delivered", "failed", "complained", "rejected", "unknown"
SUPPRESSED, CAME_BACK = "suppressed", "came back"

Told = tuple[EventKind, float, Mapping[str, Any]]
"""An event of the message: its kind, when, and its detail."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One recipient: how it stands, since when, and what was said. ``at`` is 0 where nobody knows."""

    recipient: str
    state: str
    at: float = 0.0
    said: str = ""


def fates(recipients: Sequence[str], events: Iterable[Told]) -> list[Fate]:
    """See the module. ``recipients`` are those of the envelope; events may name others, too."""
    found = {one: Fate(one, UNKNOWN) for one in recipients}
    for kind, at, detail in events:
        if kind is EventKind.REJECT:
            for one in found:
                found[one] = Fate(one, REJECTED, at, str(detail.get("reason", "")))
            continue
        recipient = str(detail.get("recipient", ""))
        if not recipient:
            continue
        before = found.get(recipient)
        after = _after(kind, at, detail, before, recipient)
        if after is not None:
            found[recipient] = after
    return list(found.values())


def _after(
    kind: EventKind, at: float, detail: Mapping[str, Any], before: Fate | None, recipient: str
) -> Fate | None:
    if kind is EventKind.DELIVERY:
        if before is not None and before.state in (FAILED, CAME_BACK, COMPLAINED):
            return None  # what came back was written down before the delivery that it followed
        return Fate(recipient, DELIVERED, at, str(detail.get("reply", "")))
    if kind is EventKind.BOUNCE:
        if detail.get("autoReply"):
            return None
        return Fate(recipient, _kind_of_bounce(detail), at, _said(detail))
    if kind is EventKind.COMPLAINT:
        return Fate(recipient, COMPLAINED, at, str(detail.get("feedbackType") or "no reason given"))
    return None


def _kind_of_bounce(detail: Mapping[str, Any]) -> str:
    if "Suppress" in str(detail.get("bounceSubType", "")):
        return SUPPRESSED
    return CAME_BACK if detail.get("source") == "dsn" else FAILED


def _said(detail: Mapping[str, Any]) -> str:
    kind = "/".join(str(detail[name]) for name in ("bounceType", "bounceSubType") if detail.get(name))
    said = str(detail.get("reply") or detail.get("diagnosticCode") or detail.get("reason") or "")
    return f"{kind}: {said}" if kind and said else kind or said
