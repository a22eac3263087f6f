"""What waits, in a few numbers: per state how many recipients and how old the oldest is, and for whom most.

Contract: read-only, beside the workers or without them, and over within ``limit_s``: a queue that is too long
to be counted in that time is told as far as it was counted, with ``is_cut``. Raises SpoolError if a shard
cannot be read.

Cost: one pass over the recipients of each shard, without their messages.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from relay.base.clock import Clock, SystemClock
from relay.base.errors import SpoolError
from relay.spool import schema
from relay.spool.choosing import STATES
from relay.spool.recover import shard_folder, shards_in

_STEPS = 20_000  # of SQLite's machine between two looks at the clock
_NAMES = {number: name for name, number in STATES.items()}


@dataclass(frozen=True, slots=True)
class Counted:
    """See above: (state, recipients, when the oldest arrived, or 0), and (domain, recipients, a reply)."""

    states: tuple[tuple[str, int, float], ...]
    domains: tuple[tuple[str, int, str], ...]
    is_cut: bool
    counted_at: float = 0.0  # where it was counted by others, some time ago


def waiting(path: Path, top: int = 5, limit_s: float = 2.0, clock: Clock | None = None) -> Counted:
    """Count all shards below ``path``."""
    monotonic = (clock or SystemClock()).monotonic
    until = monotonic() + limit_s
    states: Counter[str] = Counter(dict.fromkeys(STATES, 0))
    oldest: dict[str, float] = {}
    domains: Counter[str] = Counter()
    replies: dict[str, str] = {}
    is_cut = False
    for shard in shards_in(path):
        folder = shard_folder(path, shard)
        try:
            connection = schema.open_reader(folder)
        except sqlite3.Error as error:
            raise SpoolError(f"cannot read {folder / schema.DATABASE}: {error}") from error
        try:
            connection.set_progress_handler(lambda: monotonic() > until, _STEPS)
            for state, count, key in connection.execute(
                "SELECT state, count(*), min(message) FROM recipient GROUP BY state"
            ).fetchall():
                states[_NAMES[state]] += count
                row = connection.execute("SELECT arrived FROM message WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    oldest[_NAMES[state]] = min(row[0], oldest.get(_NAMES[state], row[0]))
            for domain, count, reply in connection.execute(
                "SELECT domain, count(*), max(reply) FROM recipient"
                " GROUP BY domain ORDER BY 2 DESC LIMIT 1000"
            ).fetchall():
                domains[domain] += count
                replies[domain] = max(reply, replies.get(domain, ""))
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise SpoolError(f"cannot read {folder / schema.DATABASE}: {error}") from error
            is_cut = True
        except sqlite3.Error as error:
            raise SpoolError(f"cannot read {folder / schema.DATABASE}: {error}") from error
        finally:
            connection.close()
    return Counted(
        tuple((name, states[name], oldest.get(name, 0.0)) for name in STATES),
        tuple((domain, count, replies[domain]) for domain, count in domains.most_common(top)),
        is_cut,
    )
