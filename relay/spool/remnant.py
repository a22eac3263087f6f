"""What is written of an outcome that cannot be written: a bug of ours, such as a text that is no UTF-8.

Without its rows an outcome would be forgotten and its recipients delivered again and again. So what needs no
text is written: who is settled, and when the others are due. Where a bounce belongs to it that cannot be
written either, its recipients are held: they do not go out again, nor vanish without the sender's knowing,
until the operator has looked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from relay.base.events import Change
from relay.spool import rows, schema

_REPLY = "held: its outcome could not be written, see the log"


def write(connection: sqlite3.Connection, changes: Iterable[Change]) -> list[str]:
    """As ``rows.write``, into the open transaction, without texts. Raises sqlite3.Error."""
    gone: list[str] = []
    for change in changes:
        if change.stored:
            _hold(connection, change)
        else:
            deferred = [replace(d, reply="") for d in change.deferred]
            parked = [replace(p, reply="") for p in change.parked]
            least = Change(settled=change.settled, finished=change.finished, deferred=deferred, parked=parked)
            gone += rows.write(connection, [least])
    return gone


def _hold(connection: sqlite3.Connection, change: Change) -> None:
    pairs = change.settled + [(d.key, d.number) for d in change.deferred]
    connection.executemany(
        "UPDATE recipient SET state = ?, reply = ? WHERE message = ? AND number = ?",
        [(schema.HELD, _REPLY, key, number) for key, number in pairs],
    )
