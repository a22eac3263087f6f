"""Where to begin reading the event log, as people and programs say it.

``beginning`` is the oldest event that is kept, ``end`` the moment of asking; ``2h`` is two hours ago,
``2026-11-22T06:00`` a time (UTC unless it says otherwise), ``1:20,2:7`` a cursor (``relay.spool.cursor``).

``parse_start`` is pure; ``offsets_of`` asks the log.
"""

from __future__ import annotations

from datetime import UTC, datetime

from relay.daemon.settings.units import parse_duration
from relay.spool.cursor import BEGINNING, parse_cursor
from relay.spool.event_log import EventLog

END = "end"
FORMS = '"beginning", "end", "2h", "2026-11-22T06:00", or the cursor of an event'

Start = float | dict[int, int] | None


def parse_start(text: str, now: float) -> Start:
    """A time in seconds since the epoch, or offsets by shard; None for the end. Raises ValueError."""
    if text == END:
        return None
    for parse in (_ago, parse_cursor, _time):
        try:
            found = parse(text)
        except ValueError:
            continue
        return now - found if parse is _ago and isinstance(found, float) else found
    raise ValueError(f"{text!r} is no place in the event log: write {FORMS}")


def offsets_of(start: Start, log: EventLog) -> dict[int, int]:
    """The offsets behind which reading begins. Raises ValueError if the log has no such shard, SpoolError."""
    if start is None:
        return log.last()
    if isinstance(start, float):
        return log.since(start)
    unknown = sorted(start.keys() - log.last().keys())
    if unknown:
        raise ValueError(f"this spool has no shard {unknown[0]}: the cursor is of another one; write {FORMS}")
    return start


def _ago(text: str) -> float:
    return parse_duration(text)


def _time(text: str) -> float:
    if len(text) < len("2026-11-22"):
        raise ValueError("no date")
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


__all__ = ["BEGINNING", "END", "FORMS", "Start", "offsets_of", "parse_start"]
