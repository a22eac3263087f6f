"""How many recipients an account has sent to, minute by minute, from the events of all shards.

For a ledger of limits that does not know an account: because its file was lost, or because the account had no
limits until now. It is as good as the events that are kept; what was accepted and held counts too, and what
went to the simulator does not, as in the ledger. Read-only, while workers own the shards; a shard that cannot
be read is left out, and logged.

Cost: one pass over the events since ``since``, none over older ones. Never on the hot path.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from relay.base.events import EventKind
from relay.spool import schema
from relay.spool.recover import shard_folder, shards_in

log = logging.getLogger(__name__)

_COUNT = """
SELECT CAST((at + :shift) / 60 AS INTEGER), SUM(json_array_length(detail, '$.destination') - (
  SELECT COUNT(*) FROM json_each(detail, '$.destination')
  WHERE :simulator <> '' AND substr(lower(value), -length(:simulator)) = :simulator))
FROM event WHERE offset >= :first AND account = :account AND kind = :kind AND at >= :since GROUP BY 1
"""


def sent_by_minute(
    spool: Path, account_id: int, since: float, shift_s: float = 0.0, simulator: str = ""
) -> list[tuple[int, int]]:
    """Pairs of minute and recipients, oldest first. ``shift_s`` is added to the time of each event;
    ``simulator`` is the domain of the simulator, in lower case."""
    found: Counter[int] = Counter()
    for shard in shards_in(spool):
        try:
            with closing(schema.open_reader(shard_folder(spool, shard))) as connection:
                question = {
                    "shift": shift_s,
                    "first": first_since(connection, since),
                    "account": account_id,
                    "kind": EventKind.SEND.value,
                    "since": since,
                    "simulator": f"@{simulator}" if simulator else "",
                }
                for minute, count in connection.execute(_COUNT, question):
                    found[minute] += count or 0
        except (sqlite3.Error, OSError) as error:
            log.error("events left out of an account's usage", extra={"shard": shard, "why": str(error)})
    return sorted(found.items())


def first_since(connection: sqlite3.Connection, since: float) -> int:
    """The offset of an event at or before the first one since then: events are in the order of their time,
    but for what a clock that was set back did, and there is no index on it."""
    low, high = connection.execute(
        # each by itself: asked for both at once, SQLite looks through the whole table
        "SELECT coalesce((SELECT min(offset) FROM event), 0), coalesce((SELECT max(offset) FROM event), 0)"
    ).fetchone()
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT at FROM event WHERE offset >= ? ORDER BY offset LIMIT 1", (middle,)
        ).fetchone()
        if row is None or row[0] >= since:
            high = middle
        else:
            low = middle + 1
    return int(low)
