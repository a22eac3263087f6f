"""What the outbox of notifications has about one message, read beside the notifier.

Contract: ``about`` returns what no topic has taken yet (what was taken leaves no row), and how far in the
event log notifications have been made, so that who asks can tell "taken" from "not made yet". Read-only;
works with no relay running. Raises SpoolError.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from relay.base.errors import SpoolError
from relay.daemon.notifier.outbox import FILE


class Untaken(NamedTuple):
    """A notification that waits: for which topic, since when, how often it was tried, when it is again.
    ``is_aside``: no more by itself, since the topic was dropped or refused it for too long."""

    topic_id: int
    since: float
    attempts: int
    due_at: float
    is_aside: bool
    said: str  # what the topic last answered, where it takes nothing


def about(spool: Path, message_id: str) -> tuple[list[Untaken], dict[int, int]]:
    """What waits about a message, and offsets by shard up to which notifications were made."""
    file = spool / FILE
    if not file.exists():
        return [], {}
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
            rows = connection.execute(
                "SELECT p.topic, p.since, p.attempts, p.due, p.aside > 0, coalesce(t.said, '') FROM pending p"
                " LEFT JOIN trouble t ON t.topic = p.topic WHERE p.message_id = ? ORDER BY p.number",
                (message_id,),
            ).fetchall()
            position = dict(connection.execute("SELECT shard, offset FROM position").fetchall())
    except sqlite3.Error as error:
        raise SpoolError(f"{file}: {error}") from error
    found = [
        Untaken(topic, since, attempts, due, bool(is_aside), said)
        for topic, since, attempts, due, is_aside, said in rows
    ]
    return found, position
