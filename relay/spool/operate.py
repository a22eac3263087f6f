"""What an operator may do to the queue: send now, hold, release, delete.

Contract: each function runs in the open transaction of a shard's writing connection, hence through
``Shard.control``, and raises sqlite3.Error. ``Chosen`` says which recipients; with nothing chosen it is all
of them. Recipients in the hands of a connection are not called back: what they become is written when their
attempt ends, and a held one that was delivered meanwhile is simply gone.

The caller tells the scheduler: after ``hold`` and ``delete`` it forgets ``keys`` or what was deleted, after
``flush`` and ``release`` it looks at the disk. The files of large messages that ``delete`` names are removed
after the transaction; until then a crash leaves files that the next start removes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from relay.spool import schema

_LARGE = 1
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which recipients: those that match everything that is given."""

    ids: Sequence[str] = ()  # message ids
    state: str = ""  # "fresh", "deferred", "held", "parked"
    domain: str = ""  # of the recipient, lower case, A-labels; ".example.org" takes its subdomains too
    account: int | None = None
    sender: str | None = None  # "" is the null reverse-path: our own bounces
    older_than: float | None = None  # arrived before, seconds since the epoch
    newer_than: float | None = None  # arrived at or after


STATES = {
    "fresh": schema.FRESH,
    "deferred": schema.DEFERRED,
    "held": schema.HELD,
    "parked": schema.PARKED,
}


def condition(chosen: Chosen) -> tuple[str, list[object]]:
    """SQL over ``message m`` joined with ``recipient r``, and its values. Raises ValueError for a state that
    is none."""
    parts: list[str] = []
    values: list[object] = []

    def also(sql: str, *more: object) -> None:
        parts.append(sql)
        values.extend(more)

    if chosen.ids:
        also(f"m.id IN ({','.join('?' * len(chosen.ids))})", *chosen.ids)
    if chosen.state:
        if chosen.state not in STATES:
            raise ValueError(f"{chosen.state!r} is no state; there are {', '.join(STATES)}")
        also("r.state = ?", STATES[chosen.state])
    if chosen.domain.startswith("."):
        also(
            "(r.domain = ? OR substr(r.domain, -?) = ?)", chosen.domain[1:], len(chosen.domain), chosen.domain
        )
    elif chosen.domain:
        also("r.domain = ?", chosen.domain)
    if chosen.account is not None:
        also("m.account = ?", chosen.account)
    if chosen.sender is not None:
        also("m.sender = ?", chosen.sender)
    if chosen.older_than is not None:
        also("m.arrived < ?", chosen.older_than)
    if chosen.newer_than is not None:
        also("m.arrived >= ?", chosen.newer_than)
    return " AND ".join(parts) or "1", values


def keys(connection: sqlite3.Connection, chosen: Chosen) -> set[int]:
    """The messages with a chosen recipient."""
    where, values = condition(chosen)
    return {
        key
        for (key,) in connection.execute(
            f"SELECT DISTINCT m.key FROM message m JOIN recipient r ON r.message = m.key WHERE {where}",  # noqa: S608
            values,
        )
    }


def flush(connection: sqlite3.Connection, now: float, chosen: Chosen) -> int:
    """Make the chosen that wait due now; returns how many recipients. Held ones stay held, parked ones come
    back to the queue of those that are due."""
    change = f"state = {schema.DEFERRED}, due = {float(now)!r}"
    return _update(connection, change, f"r.state IN ({schema.DEFERRED}, {schema.PARKED})", chosen)


def hold(connection: sqlite3.Connection, now: float, chosen: Chosen) -> int:
    """Let the chosen wait until they are released; returns how many recipients. They do not expire meanwhile,
    but an attempt after their release may be their last."""
    return _update(connection, f"state = {schema.HELD}", f"r.state != {schema.HELD}", chosen)


def release(connection: sqlite3.Connection, now: float, chosen: Chosen) -> int:
    """Make the chosen that are held due now; returns how many recipients."""
    change = f"state = {schema.DEFERRED}, due = {float(now)!r}"
    return _update(connection, change, f"r.state = {schema.HELD}", chosen)


def _update(connection: sqlite3.Connection, change: str, among: str, chosen: Chosen) -> int:
    where, values = condition(chosen)
    return connection.execute(
        f"UPDATE recipient SET {change} WHERE (message, number) IN (SELECT r.message, r.number"  # noqa: S608
        f" FROM recipient r JOIN message m ON m.key = r.message WHERE {among} AND {where})",
        values,
    ).rowcount


def delete(connection: sqlite3.Connection, chosen: Chosen) -> list[tuple[int, str, bool]]:
    """Take the chosen recipients out of the queue, without a word to anyone; returns (key, id, has a file of
    its own) of the messages that have no recipient left."""
    where, values = condition(chosen)
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS gone (message INTEGER, number INTEGER)")
    connection.execute("DELETE FROM temp.gone")
    connection.execute(
        "INSERT INTO temp.gone SELECT r.message, r.number FROM recipient r"  # noqa: S608
        f" JOIN message m ON m.key = r.message WHERE {where}",
        values,
    )
    connection.execute(
        "DELETE FROM recipient WHERE (message, number) IN (SELECT message, number FROM temp.gone)"
    )
    finished = connection.execute(
        "SELECT key, id, flags FROM message WHERE key IN (SELECT message FROM temp.gone)"
        " AND NOT EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.key)"
    ).fetchall()
    for at in range(0, len(finished), _CHUNK):
        some = [key for key, _, _ in finished[at : at + _CHUNK]]
        marks = ",".join("?" * len(some))
        connection.execute(f"DELETE FROM body WHERE key IN ({marks})", some)  # noqa: S608
        connection.execute(f"DELETE FROM message WHERE key IN ({marks})", some)  # noqa: S608
    connection.execute("DELETE FROM temp.gone")
    return [(key, message_id, bool(flags & _LARGE)) for key, message_id, flags in finished]
