"""The field X-Relay-Deadline: until when a message is worth delivering.

Contract, pure: a number of seconds from its acceptance (``X-Relay-Deadline: 120``), or a moment as RFC 3339
writes it
(``2026-03-03T09:30:00Z``). Until then the message leaves before others of its account that have
more time; past it the message is given up, and its sender gets a bounce. Of a field that stands twice the
first counts. A value that is neither is passed over: the message has no deadline then. The field does not
leave the relay. A deadline past the age at which every message is given up changes nothing.

Cost on the hot path: one look for the field among those of the header.
"""

from __future__ import annotations

import re
from datetime import datetime

from relay.codec.headers import Header, unfold

FIELD = b"x-relay-deadline"

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{8,15}(?:[Zz]|[+-][0-9]{2}:[0-9]{2})")


def deadline_of(header: Header) -> tuple[float, float]:
    """(seconds from acceptance, seconds since the epoch); 0 for what is not asked for."""
    value = header.first(FIELD)
    if value is None:
        return 0.0, 0.0
    text = unfold(value).decode("ascii", "replace").strip(" \t")
    if _SECONDS.fullmatch(text):
        return float(text), 0.0
    if _MOMENT.fullmatch(text):
        try:
            return 0.0, max(1.0, datetime.fromisoformat(text.upper()).timestamp())
        except (ValueError, OverflowError):
            return 0.0, 0.0
    return 0.0, 0.0
