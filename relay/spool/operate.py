"""What an operator may do to the queue: send now, hold, release, send elsewhere, delete.

Contract: each function runs in the open transaction of a shard's writing connection, hence through
``Shard.control``, does its work on the recipients that are named (``choosing``), and raises sqlite3.Error.
What became another's in between is left alone: a recipient that is gone is not there, and ``AMONG`` is looked
at again. The caller names so few at once that mail which comes in meanwhile hardly waits: ``CHUNK``.

Recipients in the hands of a connection are not called back: what they become is written when their attempt
ends, and a held one that was delivered meanwhile is simply gone. The caller tells the scheduler: after
``hold``, ``reroute`` and ``delete`` it forgets them, after ``flush`` and ``release`` it looks at the disk.
The files of large messages that ``delete`` names are removed after the transaction; until then a crash
leaves files that the next start removes.

Cost, measured on a busy machine with 400,000 waiting: a chunk of 500 takes the commit thread 5 to 70 ms,
fsync included, most where each recipient stands on another page of the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from relay.base.address import domain_of
from relay.spool import schema
from relay.spool.choosing import Pair

_LARGE = 1
_AT_ONCE = 500
_IS_HOP = "(instr(r.domain, ':') > 0 AND r.domain NOT LIKE '[%]')"  # a colon outside of brackets

_IS_SENT = "r.domain NOT LIKE '.%'"  # not one on a suppression list (relay.base.suppression)

AMONG = {
    # "+": an index on the rows in one state would have to be sorted anew for each chunk
    "flush": f"+r.state IN ({schema.DEFERRED}, {schema.PARKED})",
    "hold": f"+r.state != {schema.HELD}",
    "release": f"+r.state = {schema.HELD}",
    "reroute": _IS_SENT,
    "back": _IS_HOP,
    "delete": "1",
    "bounce": "1",
}
"""By operation: SQL over ``recipient r`` that says to whom it can be done."""

CHUNK = {
    "flush": 500,
    "hold": 500,
    "release": 500,
    "reroute": 500,
    "back": 500,
    "delete": 500,
    "bounce": 50,
}
"""By operation: how many recipients at once."""


class Gone(NamedTuple):
    """What ``delete`` took out: so many recipients, and (key, id, has a file) of the messages without any."""

    recipients: int
    messages: list[tuple[int, str, bool]]


def flush(connection: sqlite3.Connection, now: float, pairs: Sequence[Pair]) -> int:
    """Make those that wait due now; returns how many. Held ones stay held, parked ones come back to the queue
    of those that are due."""
    return _update(connection, "state = ?, due = ?", [schema.DEFERRED, now], AMONG["flush"], pairs)


def hold(connection: sqlite3.Connection, now: float, pairs: Sequence[Pair]) -> int:
    """Let them wait until they are released; returns how many. They do not expire meanwhile, but an attempt
    after their release may be their last."""
    return _update(connection, "state = ?", [schema.HELD], AMONG["hold"], pairs)


def release(connection: sqlite3.Connection, now: float, pairs: Sequence[Pair]) -> int:
    """Make those that are held due now; returns how many."""
    return _update(connection, "state = ?, due = ?", [schema.DEFERRED, now], AMONG["release"], pairs)


def reroute(connection: sqlite3.Connection, now: float, pairs: Sequence[Pair], next_hop: str) -> int:
    """Send them to ``next_hop`` ("host:port") from now on, held ones once they are released; returns how
    many."""
    return _update(connection, f"domain = ?, {_DUE}", [next_hop, now], AMONG["reroute"], pairs)


def back(connection: sqlite3.Connection, now: float, pairs: Sequence[Pair]) -> int:
    """Send what was rerouted to where its addresses say; returns how many."""
    _pick(connection, pairs)
    found = connection.execute(
        "SELECT r.address, r.message, r.number FROM recipient r JOIN temp.picked p"  # noqa: S608
        f" ON r.message = p.message AND r.number = p.number WHERE {AMONG['back']}"
    ).fetchall()
    connection.executemany(
        f"UPDATE recipient SET domain = ?, {_DUE} WHERE message = ? AND number = ?",  # noqa: S608
        [(domain_of(address), now, key, number) for address, key, number in found],
    )
    return len(found)


_DUE = (
    f"state = CASE state WHEN {schema.HELD} THEN {schema.HELD} WHEN {schema.FRESH} THEN {schema.FRESH}"
    f" ELSE {schema.DEFERRED} END, due = ?"
)


def _update(
    connection: sqlite3.Connection, change: str, values: Sequence[object], among: str, pairs: Sequence[Pair]
) -> int:
    _pick(connection, pairs)
    return connection.execute(
        f"UPDATE recipient AS r SET {change} FROM temp.picked p"  # noqa: S608
        f" WHERE r.message = p.message AND r.number = p.number AND {among}",
        values,
    ).rowcount


def _pick(connection: sqlite3.Connection, pairs: Sequence[Pair]) -> None:
    """The recipients as a table: ``(message, number) IN (VALUES ...)`` would read them all."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS picked (message INTEGER, number INTEGER)")
    connection.execute("DELETE FROM temp.picked")
    connection.executemany("INSERT INTO temp.picked VALUES (?, ?)", pairs)


def delete(connection: sqlite3.Connection, pairs: Sequence[Pair]) -> Gone:
    """Take them out of the queue, without a word to anyone."""
    _pick(connection, pairs)
    for table in ("transcript", "recipient"):
        gone = connection.execute(
            f"DELETE FROM {table} WHERE (message, number) IN (SELECT message, number FROM temp.picked)"  # noqa: S608
        ).rowcount
    finished = connection.execute(
        "SELECT key, id, flags FROM message WHERE key IN (SELECT message FROM temp.picked)"
        " AND NOT EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.key)"
    ).fetchall()
    for at in range(0, len(finished), _AT_ONCE):
        some = [key for key, _, _ in finished[at : at + _AT_ONCE]]
        marks = ",".join("?" * len(some))
        connection.execute(f"DELETE FROM body WHERE key IN ({marks})", some)  # noqa: S608
        connection.execute(f"DELETE FROM message WHERE key IN ({marks})", some)  # noqa: S608
    return Gone(gone, [(key, message_id, bool(flags & _LARGE)) for key, message_id, flags in finished])
