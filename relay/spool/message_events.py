"""The events of one message in one shard, found without an index on all of them.

Where they are: what is rare (bounces, complaints, delays) has an index of its own; the Send event is where
the time in the message's id says, since offsets grow with time; deliveries are behind it, and are looked for
until there are as many as recipients.

Why: an index on all events would be one more page that each commit writes. Measured with messages of 4 KB: at
20 messages a commit 35.1 KB of log a message in place of 30.8, at one 105.8 in place of 85.9; the partial
index costs nothing that could be measured.

Cost in a log of a million events (``python -m bench.events``): 0.6 ms, deliveries included where no recipient
waits. Where some do, the log is looked through from the Send event on, 0.11 s a million events: only for
people who ask.

Not found is a Send event that a clock put out of order by more than ``_NEAR`` events. To find that there is
none costs some 30 ms: who asks for ids that anybody can make up asks without ``is_thorough``, and is told at
once of those alone that are in their place.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, TypeAlias

from relay.base.ids import arrival_of
from relay.spool.schema import RARE
from relay.spool.sent import first_since

Row: TypeAlias = tuple[Any, ...]

COLUMNS = "SELECT offset, at, kind, message_id, account, detail FROM event"
_MARGINS_S = (0.1, 2.0)  # between the time in an id and those of events beside its own
_NEAR = 200_000  # events
_SEND = f"{COLUMNS} WHERE offset BETWEEN ? AND ? AND message_id = ? AND kind = 'Send' LIMIT 1"
_RARE = f"{COLUMNS} WHERE message_id = ? AND {RARE} ORDER BY offset"
_DELIVERIES = f"{COLUMNS} WHERE offset > ? AND message_id = ? AND kind = 'Delivery' ORDER BY offset LIMIT ?"
_ALL = -1


def rare_events(connection: sqlite3.Connection, message_id: str) -> list[Row]:
    """All but Send and Delivery, by offset. Raises sqlite3.Error."""
    return connection.execute(_RARE, (message_id,)).fetchall()


def home_events(
    connection: sqlite3.Connection, message_id: str, has_deliveries: bool, is_thorough: bool = True
) -> list[Row]:
    """The events in the message's own shard, by offset. Raises sqlite3.Error."""
    found = rare_events(connection, message_id)
    send = _send(connection, message_id, is_thorough)
    if send is not None:
        found.append(send)
    if has_deliveries:
        first, most = (send[0], len(json.loads(send[5]).get("destination", ()))) if send else (0, _ALL)
        found += connection.execute(_DELIVERIES, (first, message_id, most or _ALL)).fetchall()
    return sorted(found)


def _send(connection: sqlite3.Connection, message_id: str, is_thorough: bool) -> Row | None:
    arrival = arrival_of(message_id)
    first = last = 0
    for margin_s in _MARGINS_S:
        first = first_since(connection, arrival - margin_s)
        last = first_since(connection, arrival + margin_s)
        row: Row | None = connection.execute(_SEND, (first, last, message_id)).fetchone()
        if row is not None:
            return row
    for low, high in ((last + 1, last + _NEAR), (first - _NEAR, first - 1)) if is_thorough else ():
        row = connection.execute(_SEND, (low, high, message_id)).fetchone()
        if row is not None:
            return row
    return None
