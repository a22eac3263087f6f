"""Reading those who are parked, for long, and whose sender has not heard of it.

Contract: ``page`` looks at so many messages, in the order in which they came, and returns those with parked
recipients that arrived before a moment, or are past a deadline of the kind that is only told, each with these
recipients alone; and from where to go on, 0 at the end. Which of them are told of, the verdict knows.

Cost, in the reader's thread: a range of two tables that are clustered by message; no index is needed for what
is looked through now and then.
"""

from __future__ import annotations

import sqlite3

from relay.base.message import Message
from relay.spool import rows
from relay.spool.schema import PARKED

_BY_NOTIFY = 32
_LAST = "SELECT max(key), count(*) FROM (SELECT key FROM message WHERE key > ? ORDER BY key LIMIT ?)"
_PAGE = (
    f"SELECT {rows.RECIPIENT_COLUMNS}, {rows.MESSAGE_COLUMNS}"  # noqa: S608
    " FROM recipient r CROSS JOIN message m ON m.key = r.message"
    f" WHERE r.message > ? AND r.message <= ? AND r.state = {PARKED} AND NOT r.told AND m.sender != ''"
    f" AND (m.arrived <= ? OR m.flags & {_BY_NOTIFY} AND m.deadline <= ?) ORDER BY r.message, r.number"
)


def page(
    connection: sqlite3.Connection, shard: int, after: int, limit: int, arrived_before: float, now: float
) -> tuple[list[Message], int]:
    """See the module. Raises sqlite3.Error."""
    last, count = connection.execute(_LAST, (after, limit)).fetchone()
    if last is None:
        return [], 0
    messages: dict[int, Message] = {}
    for row in connection.execute(_PAGE, (after, last, arrived_before, now)):
        message = messages.get(row[10])
        if message is None:
            message = messages[row[10]] = rows.message_of(row[11:], shard)
        message.recipients.append(rows.recipient_of(row[:11]))
    return list(messages.values()), last if count == limit else 0
