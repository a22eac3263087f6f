"""Offsets of the event log that were never used: a rebuild leaves such a gap (``rebuild``).

Cost: an index finds the gaps; there are as many as rebuilds whose events are still kept.
"""

from __future__ import annotations

import sqlite3

from relay.base.events import EventKind
from relay.spool.schema import RARE

_GAPS = f"SELECT offset FROM event WHERE message_id = '' AND {RARE} AND kind = ? AND offset > ?"  # noqa: S608
_BEFORE = "SELECT coalesce(max(offset), 0) FROM event WHERE offset < ?"


def unused(connection: sqlite3.Connection, after: int) -> int:
    """How many offsets behind ``after`` belong to no event, below the newest. Raises sqlite3.Error."""
    count = 0
    for (gap,) in connection.execute(_GAPS, (EventKind.GAP.value, after)).fetchall():
        (before,) = connection.execute(_BEFORE, (gap,)).fetchone()
        count += gap - max(before, after) - 1
    return count
