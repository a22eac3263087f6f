"""Events as lines: a JSON object for programs, a sentence for people.

``as_json`` has the event as it is in the log, and ``cursor``: whoever hands it to ``--from`` goes on behind
this event. ``as_line`` says what matters; what a stranger's server said is shown without control characters,
which a terminal would obey.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from relay.base.events import Event, EventKind, Logged

_text = json.JSONEncoder(ensure_ascii=False).encode
_SHOWN = 3  # recipients of a message


def as_json(one: Logged, cursor: str) -> str:
    """The event as a JSON object."""
    event = one.event
    return _text({
        "shard": one.shard, "offset": one.offset, "at": event.at, "kind": event.kind.value,
        "message_id": event.message_id, "account_id": event.account_id, "detail": json.loads(event.detail),
        "cursor": cursor,
    })  # fmt: skip


def as_line(one: Logged) -> str:
    """The event in one line: time, kind, message, what happened."""
    event = one.event
    when = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{when} {event.kind.value:<13} {event.message_id or '-'} {said_of(event)}".rstrip()


def said_of(event: Event) -> str:
    """What happened, in words."""
    try:
        said = _WORDS[event.kind](json.loads(event.detail))
    except (ValueError, KeyError, TypeError, AttributeError):  # of an older relay: as it is
        said = event.detail
    return "".join(c if c.isprintable() else "?" for c in said).rstrip()


def _send(detail: dict[str, Any]) -> str:
    to = [str(one) for one in detail["destination"]]
    more = f" and {len(to) - _SHOWN} more" if len(to) > _SHOWN else ""
    by = [detail.get(name) for name in ("credential", "sourceIp") if detail.get(name)]
    return f"{detail.get('source') or '<>'} to {', '.join(to[:_SHOWN])}{more}" + _in_brackets(*by)


def _delivery(detail: dict[str, Any]) -> str:
    seconds = f"after {detail['milliseconds'] / 1000:g} s" if "milliseconds" in detail else ""
    return f"{detail['recipient']}: {detail['reply']}" + _in_brackets(_peer(detail), detail["tls"], seconds)


def _bounce(detail: dict[str, Any]) -> str:
    kind = "/".join(detail[name] for name in ("bounceType", "bounceSubType") if detail.get(name))
    if detail.get("autoReply"):
        kind = "automatic reply"
    said = detail.get("reply") or detail.get("diagnosticCode") or detail.get("reason", "")
    expired = "ran out of time" if detail.get("expired") else ""
    came = {"dsn": "came back", "simulator": "simulated"}.get(detail.get("source", ""), "")
    what = f"{kind}: {said}" if kind and said else kind or said
    return f"{detail['recipient']}: {what}" + _in_brackets(_peer(detail), expired, came)


def _complaint(detail: dict[str, Any]) -> str:
    kind = detail.get("feedbackType") or detail.get("subType") or "no reason given"
    return f"{detail['recipient']}: {kind}" + _in_brackets(detail.get("userAgent"))


def _delay(detail: dict[str, Any]) -> str:
    until = ""
    if detail.get("expires"):
        until = datetime.fromtimestamp(detail["expires"], UTC).strftime("until %Y-%m-%dT%H:%M:%SZ")
    kind = detail.get("delayType") or detail.get("reason", "")
    return f"{detail['recipient']}: {kind}: {detail.get('reply', '')}" + _in_brackets(_peer(detail), until)


def _notice(detail: dict[str, Any]) -> str:
    to = f"to {detail['contact']}" if detail.get("contact") else ""
    return f"{detail['notice']} {detail.get('about', '')}".rstrip() + _in_brackets(to)


def _reject(detail: dict[str, Any]) -> str:
    return str(detail["reason"])


def _gap(detail: dict[str, Any]) -> str:
    return "the spool's database was rebuilt; events before this one may be lost"


_WORDS: dict[EventKind, Callable[[dict[str, Any]], str]] = {
    EventKind.SEND: _send,
    EventKind.DELIVERY: _delivery,
    EventKind.BOUNCE: _bounce,
    EventKind.COMPLAINT: _complaint,
    EventKind.DELIVERY_DELAY: _delay,
    EventKind.REJECT: _reject,
    EventKind.NOTICE: _notice,
    EventKind.GAP: _gap,
}


def _peer(detail: dict[str, Any]) -> str:
    host, address = detail.get("host", ""), detail.get("address", "")
    return f"{host} [{address}]" if host and address and host != address else host or address


def _in_brackets(*parts: object) -> str:
    shown = ", ".join(str(one) for one in parts if one)
    return f" ({shown})" if shown else ""
