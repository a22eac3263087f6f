"""The whole life of one message, gathered from the spool: events, queue, header, notifications.

Contract: ``id_in`` finds the message that a text names; ``gather`` returns all that is kept about it, ready
for JSON, or None where nothing is; ``why_unknown`` says why that may be. Read-only, whether or not the relay
runs; what only a running worker knows (why it waits now) is added by the caller.

What is not kept cannot be told: of a recipient that waits, the dialogue of the last attempt alone; who posted
a notification when it was taken; nothing once the events are dropped ([events] keep_for, keep_size).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from relay.admin.fate import Told, fates
from relay.base.control import for_people
from relay.base.events import EventKind, Logged
from relay.base.ids import arrival_of, shard_of
from relay.base.message import Message
from relay.codec.headers import Header, unfold
from relay.daemon.event_lines import said_of
from relay.daemon.notifier import outbox_view
from relay.spool import views
from relay.spool.event_log import EventLog
from relay.spool.heads import head
from relay.spool.recover import shards_in

_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[0-9a-f]{6}")
_RETURN_PATH = re.compile(r"([0-9a-f]{16})-([0-9a-f]{32})-([0-9a-f]{6})-[a-z2-7]{7}")
_MAX_REPORTS = 20
_CONTROL = ("tags", "sourceArn", "fromArn", "returnPathArn", "ignored")


def id_in(text: str) -> str:
    """The id of the message that a text names: as in the 250, in a Message-ID of ours, or in a return path
    of ours. Raises ValueError."""
    lower = text.lower()
    if match := _ID.search(lower):
        return match.group()
    if match := _RETURN_PATH.search(lower):
        at, uuid, shard = match.groups()
        return f"{at}-{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}-{shard}"
    raise ValueError(
        f"{text!r} names no message of this relay: give the id as in `250 Ok <id>`, the Message-ID that "
        "receivers see, or the return path; a client's own Message-ID is replaced and not kept"
    )


def gather(path: Path, message_id: str) -> dict[str, Any] | None:
    """All that is kept about a message; None if that is nothing. Raises SpoolError, ValueError."""
    with closing(EventLog(path)) as log:
        events = log.of_message(message_id) if shard_of(message_id) in shards_in(path) else []
        message = views.show(path, message_id)
        if not events and message is None:
            return None
        moments = [_moment(one) for one in events]
        for report in _reports(events):
            moments += [{**_moment(one), "report": report} for one in log.of_message(report)]
    moments.sort(key=lambda one: one["at"])
    return {
        **_head(message_id, events, message),
        "recipients": _recipients(events, message),
        "timeline": moments,
        "uncertain": [
            {"recipient": one.address, "at": one.at, "why": one.why}
            for one in views.uncertain(path)
            if one.message_id == message_id
        ],
        **_signatures(path, message),
        **_news(path, message_id, events),
    }


def _detail(one: Logged) -> dict[str, Any]:
    try:
        found = json.loads(one.event.detail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _moment(one: Logged) -> dict[str, Any]:
    event = one.event
    return {
        "at": event.at,
        "kind": event.kind.value,
        "message_id": event.message_id,
        "said": said_of(event),
        "detail": _detail(one),
    }


def _reports(events: Iterable[Logged]) -> list[str]:
    """The mails that told the sender: bounces, notices of delay, what came back and was passed on."""
    named = [_detail(one).get(name) for one in events for name in ("bounce", "notice")]
    return [one for one in dict.fromkeys(named) if isinstance(one, str) and _ID.fullmatch(one)][:_MAX_REPORTS]


def _head(message_id: str, events: list[Logged], message: Message | None) -> dict[str, Any]:
    sent = next((_detail(one) for one in events if one.event.kind is EventKind.SEND), {})
    found: dict[str, Any] = {"id": message_id, "arrived_at": arrival_of(message_id)}
    found["account_id"] = message.account_id if message is not None else events[0].event.account_id
    sender = message.sender if message is not None else sent.get("source")
    found["sender"] = sender if sender is not None else "unknown"
    found["client"] = {
        name: sent[key]
        for name, key in (
            ("address", "sourceIp"), ("credential", "credential"), ("protocol", "protocol"), ("tls", "tls")
        )
        if sent.get(key)
    }  # fmt: skip
    if "sizeBytes" in sent:
        found["bytes_received"] = sent["sizeBytes"]
    if sent.get("identity"):
        found["identity"] = sent["identity"]
    control = {name: sent[name] for name in _CONTROL if name in sent}
    if message is not None:
        found |= {"bytes": message.size_bytes, "gives_up_at": message.gives_up_at}
        if message.return_path:
            found["return_path"] = message.return_path
    if control:
        found["control"] = for_people(json.dumps(control))
    if not sent:
        found["note"] = "its first events are not kept any more ([events] keep_for, keep_size)"
    return found


def _recipients(events: list[Logged], message: Message | None) -> list[dict[str, Any]]:
    """Those of the envelope; of those that wait, what the queue says."""
    sent = next((_detail(one) for one in events if one.event.kind is EventKind.SEND), {})
    told: list[Told] = [(one.event.kind, one.event.at, _detail(one)) for one in events]
    waiting = {one.address: one for one in message.recipients} if message is not None else {}
    named = [str(one) for one in sent.get("destination", ())]
    found = []
    for fate in fates(list(dict.fromkeys((*named, *waiting))), told):
        one = waiting.get(fate.recipient)
        if one is None:
            found.append(asdict(fate))
        else:
            due = {"next_at": one.due_at} if one.due_at else {}
            row = {"recipient": one.address, "state": one.state.value, "at": 0.0, "said": one.reply}
            found.append({**row, "attempts": one.attempts, **due})
    return found


def _signatures(path: Path, message: Message | None) -> dict[str, Any]:
    """Who has signed it, while it waits; what has left is not kept."""
    content = head(path, message) if message is not None else None
    if content is None:
        return {}
    try:
        header = Header.parse(content if b"\r\n\r\n" in content else content + b"\r\n\r\n")
    except ValueError:
        return {}
    found = []
    for raw in header.get_all(b"dkim-signature"):
        text = unfold(raw).decode("ascii", "replace")
        tags = dict(tag.strip().partition("=")[::2] for tag in text.split(";"))
        found.append(f"{tags.get('d', '?')} ({tags.get('s', '?')}, {tags.get('a', '?')})")
    received = header.first(b"received")
    if received is None:
        return {"signed_by": found}
    trace = " ".join(unfold(received).decode("utf-8", "replace").split())
    return {"signed_by": found, "received": trace}


def _news(path: Path, message_id: str, events: list[Logged]) -> dict[str, Any]:
    untaken, reached = outbox_view.about(path, message_id)
    behind = [one for one in events if one.offset > reached.get(one.shard, 0)]
    return {
        "notifications_waiting": [one._asdict() for one in untaken],
        "events_not_looked_at": len(behind) if reached else 0,
    }


def why_unknown(path: Path, message_id: str, keep_for_s: float, now: float) -> str:
    """Why nothing is known of a message whose id is well-formed."""
    shards, arrived = shards_in(path), arrival_of(message_id)
    if shard_of(message_id) not in shards:
        return f"it is of shard {shard_of(message_id)}, which is not in {path}: another relay took it"
    if arrived > now + 60.0:
        return "its id is of a time to come"
    days = f"{keep_for_s / 86400:g} days"
    if arrived < now - keep_for_s:
        return f"it is older than [events] keep_for ({days}): what was known of it is not kept any more"
    with closing(EventLog(path)) as log:
        oldest = [one.event.at for one in log.read({}, 1)[0]]
    if oldest and arrived < min(oldest):
        return "its events are not kept any more: [events] keep_size was reached before keep_for"
    return "no message of this id was accepted here, or the answer to it was not 250"
