"""What became of an account's mail, by the quarter of an hour, from the events of all shards.

As far back as events are kept ([spool] keep_events). Read-only, while workers own the shards. Attempts are
recipients accepted for delivery, bounces those refused for good (an address whose time ran out is none),
rejects messages that were accepted and dropped. Raises SpoolError if a shard cannot be read: figures that
lack a part would be taken for all.

Cost: one pass over the events since ``since``. Not here: complaints, of which there are no events yet.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from relay.base.errors import SpoolError
from relay.base.events import EventKind
from relay.spool import schema
from relay.spool.recover import shard_folder, shards_in
from relay.spool.sent import first_since

INTERVAL_S = 900

_COUNT = """
SELECT CAST(at / :interval AS INTEGER),
  SUM(CASE kind WHEN :send THEN json_array_length(detail, '$.destination') ELSE 0 END),
  SUM(kind = :delivery),
  SUM(kind = :bounce AND NOT coalesce(json_extract(detail, '$.expired'), 0)),
  SUM(kind = :reject)
FROM event WHERE offset >= :first AND account = :account AND at >= :since
  AND kind IN (:send, :delivery, :bounce, :reject) GROUP BY 1
"""


class Interval(NamedTuple):
    """A quarter of an hour, from ``at`` on (wall-clock seconds)."""

    at: float
    attempts: int
    deliveries: int
    bounces: int
    rejects: int


def statistics(spool: Path, account_id: int, since: float) -> list[Interval]:
    """Those in which something happened, oldest first."""
    question = {
        "interval": INTERVAL_S,
        "send": EventKind.SEND.value,
        "delivery": EventKind.DELIVERY.value,
        "bounce": EventKind.BOUNCE.value,
        "reject": EventKind.REJECT.value,
        "account": account_id,
        "since": since,
    }
    sums: dict[int, list[int]] = {}
    for shard in shards_in(spool):
        try:
            with closing(schema.open_reader(shard_folder(spool, shard))) as connection:
                question["first"] = first_since(connection, since)
                for number, *counts in connection.execute(_COUNT, question):
                    known = sums.setdefault(number, [0] * len(counts))
                    sums[number] = [a + (b or 0) for a, b in zip(known, counts, strict=True)]
        except sqlite3.Error as error:
            raise SpoolError(f"{shard_folder(spool, shard)}: {error}") from error
    return [Interval(float(number * INTERVAL_S), *counts) for number, counts in sorted(sums.items())]
