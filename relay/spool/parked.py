"""Reading those who are parked: in the order of their places, group by group.

A *group* is what is parked for one domain and account. Contract, each a function on a reading connection:
``groups`` lists them with the rank of their first row, by leaps through the index (a lookup a group, however
many rows each has); ``pages`` reads on in some of them; ``late`` finds those whose time is up. Recipients in
``known`` are in memory already and are passed over. Raises sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence

from relay.base.message import Message
from relay.base.parked import END, ParkedAsk, ParkedGroup, ParkedPage
from relay.spool import rows
from relay.spool.schema import PARKED

_BY_NOTIFY = 32
_PAGE = (
    f"SELECT {rows.RECIPIENT_COLUMNS}, r.rank, {rows.MESSAGE_COLUMNS}"  # noqa: S608
    " FROM recipient r INDEXED BY recipient_parked CROSS JOIN message m ON m.key = r.message"
    f" WHERE r.state = {PARKED} AND r.domain = ? AND r.account = ?"
)
_ON = f"{_PAGE} AND (r.rank, r.message, r.number) >= (?, ?, ?) ORDER BY r.rank, r.message, r.number"
_LATE = (
    f"{_PAGE} AND r.rank <= ? AND (m.expires <= ? OR m.deadline > 0 AND m.deadline <= ?"
    f" AND NOT m.flags & {_BY_NOTIFY}) ORDER BY r.rank"
)
_NEXT_GROUP = (
    f"SELECT domain, account, rank FROM recipient INDEXED BY recipient_parked WHERE state = {PARKED}"  # noqa: S608
    " AND (domain, account) > (?, ?) ORDER BY domain, account, rank LIMIT 1"
)


def groups(connection: sqlite3.Connection) -> list[ParkedGroup]:
    """All groups."""
    found: list[ParkedGroup] = []
    last: tuple[str, int] = ("", -1)
    while (row := connection.execute(_NEXT_GROUP, last).fetchone()) is not None:
        found.append(ParkedGroup(*row))
        last = row[:2]
    return found


def pages(
    connection: sqlite3.Connection,
    shard: int,
    asks: Sequence[ParkedAsk],
    known: Collection[tuple[int, int]],
) -> list[ParkedPage]:
    """A page for each wish, in their order."""
    return [
        _page(connection.execute(_ON, (ask.domain, ask.account_id, *ask.place)), shard, ask.limit, known)
        for ask in asks
    ]


def late(
    connection: sqlite3.Connection,
    shard: int,
    asks: Iterable[ParkedAsk],
    now: float,
    known: Collection[tuple[int, int]],
) -> list[Message]:
    """Those of the groups who are to be given up, at most ``limit`` of each; from what rank is no matter."""
    return [
        message
        for ask in asks
        for message in _page(
            connection.execute(_LATE, (ask.domain, ask.account_id, now, now, now)), shard, ask.limit, known
        ).messages
    ]


def _page(cursor: sqlite3.Cursor, shard: int, limit: int, known: Collection[tuple[int, int]]) -> ParkedPage:
    messages: dict[int, Message] = {}
    taken, place, is_end = 0, END, True
    for row in cursor:
        if taken >= limit:
            place, is_end = (row[11], row[10], row[0]), False
            break
        key = row[10]
        if (key, row[0]) in known:
            continue
        message = messages.get(key)
        if message is None:
            message = messages[key] = rows.message_of(row[12:], shard)
        message.recipients.append(rows.recipient_of(row[:11]))
        taken += 1
    cursor.close()
    return ParkedPage(list(messages.values()), place, is_end)
