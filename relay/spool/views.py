"""What the operator may see of the queue: read-only, while a worker owns the shard or none does.

Contract: every function takes the spool's path and looks into all of its shards (``show`` into the one that
the id names). What comes in any number is an iterator, read a page at a time, each page in a snapshot of its
own: a listing of a million messages holds a few hundred in memory, and never keeps the worker from moving its
log. Hence a long listing is not one moment's truth. Raises SpoolError if a shard cannot be read.

Not here: changing anything (``operate``), what has happened (``event_log``), and what is only in a worker's
memory.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from relay.base.errors import SpoolError
from relay.base.events import Uncertain
from relay.base.ids import shard_of
from relay.base.message import Message
from relay.spool import rows, schema
from relay.spool.choosing import STATES, Chosen, condition
from relay.spool.recover import shard_folder, shards_in

_PAGE = 500
_STATE_NAMES = {number: name for name, number in STATES.items()}
_EVERYTHING = Chosen()


@dataclass(frozen=True, slots=True)
class Listed:
    """A message in a listing. Counts and times are those of its recipients that match."""

    id: str
    shard: int
    account_id: int
    sender: str
    size_bytes: int
    arrived_at: float
    expires_at: float
    recipients: int
    state: str  # the first of "fresh", "deferred", "held", "parked" that one of them has
    due_at: float  # the earliest; 0 for fresh ones
    attempts: int  # the most
    address: str  # one of them
    reply: str  # one of the last replies


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits."""

    messages: int
    recipients: int
    bytes: int  # of content
    uncertain: int
    by_state: Mapping[str, int]  # recipients
    by_domain: list[tuple[str, int]]  # recipients, most first


def list_messages(
    path: Path, chosen: Chosen = _EVERYTHING, limit: int | None = 100, offset: int = 0, order: str = "oldest"
) -> Iterator[Listed]:
    """Messages with a recipient that matches, by ``order``: "oldest", "newest" or "due" (which needs a
    limit). Raises ValueError for an order that is none."""
    if order not in ("oldest", "newest", "due"):
        raise ValueError(f"{order!r} is no order; there are oldest, newest, due")
    if order == "due":
        if limit is None:
            raise ValueError("an order by due needs a limit")
        parts = [_by_due(path, shard, chosen, limit + offset) for shard in shards_in(path)]
        merged = heapq.merge(*parts, key=lambda one: one.due_at)
    else:
        newest = order == "newest"
        parts = [_by_key(path, shard, chosen, newest) for shard in shards_in(path)]
        merged = heapq.merge(*parts, key=lambda one: one.arrived_at, reverse=newest)
    return islice(merged, offset, None if limit is None else offset + limit)


_LISTED = (
    "SELECT m.key, m.id, m.account, m.sender, m.size, m.arrived, m.expires, count(*), min(r.state),"
    " min(r.due), max(r.attempts), min(r.address), max(r.reply)"
    " FROM message m JOIN recipient r ON r.message = m.key"
)


def _by_key(path: Path, shard: int, chosen: Chosen, newest: bool) -> Iterator[Listed]:
    """Keys grow with arrival, so that a page goes on where the last one ended."""
    where, values = condition(chosen)
    beyond, order, last = ("<", "DESC", 2**63 - 1) if newest else (">", "ASC", -1)
    sql = f"{_LISTED} WHERE m.key {beyond} ? AND {where} GROUP BY m.key ORDER BY m.key {order} LIMIT {_PAGE}"
    while page := _rows(path, shard, sql, [last, *values]):
        for row in page:
            yield _listed(row, shard)
        last = page[-1][0]


def _by_due(path: Path, shard: int, chosen: Chosen, limit: int) -> Iterator[Listed]:
    where, values = condition(chosen)
    sql = f"{_LISTED} WHERE {where} GROUP BY m.key ORDER BY min(r.due) LIMIT ?"
    for row in _rows(path, shard, sql, [*values, limit]):
        yield _listed(row, shard)


def _listed(row: tuple[object, ...], shard: int) -> Listed:
    _, message_id, account, sender, size, arrived, expires, recipients, state, *rest = row
    return Listed(
        message_id, shard, account, sender, size, arrived, expires, recipients, _STATE_NAMES[state], *rest  # type: ignore[arg-type, index]
    )  # fmt: skip


def counts(path: Path, top: int = 20, chosen: Chosen = _EVERYTHING) -> Counts:
    """Sums over all shards; of domains the ``top`` ones (each shard contributes its own thousand)."""
    where, values = condition(chosen)
    join = f"FROM recipient r JOIN message m ON m.key = r.message WHERE {where}"
    states: Counter[str] = Counter(dict.fromkeys(STATES, 0))
    domains: Counter[str] = Counter()
    messages = size = uncertain_found = 0
    for shard in shards_in(path):
        for state, count in _rows(path, shard, f"SELECT r.state, count(*) {join} GROUP BY r.state", values):
            states[_STATE_NAMES[state]] += count
        sql = f"SELECT r.domain, count(*) {join} GROUP BY r.domain ORDER BY count(*) DESC LIMIT ?"
        for domain, count in _rows(path, shard, sql, [*values, max(1000, top)]):
            domains[domain] += count
        sql = (
            "SELECT count(*), coalesce(sum(size), 0) FROM message m WHERE EXISTS (SELECT 1 FROM recipient r"  # noqa: S608
            f" WHERE r.message = m.key AND {where})"
        )
        ((of_shard, its_bytes),) = _rows(path, shard, sql, values)
        ((unsure,),) = _rows(path, shard, "SELECT count(*) FROM uncertain", [])
        messages, size, uncertain_found = messages + of_shard, size + its_bytes, uncertain_found + unsure
    return Counts(messages, states.total(), size, uncertain_found, dict(states), domains.most_common(top))


def show(path: Path, message_id: str) -> Message | None:
    """A message without content, with the recipients that are not done and their last replies; None if it is
    not there (any more). Raises ValueError if the text is no message id."""
    shard = shard_of(message_id)
    if shard not in shards_in(path):
        return None
    with _reading(path, shard) as connection:
        connection.execute("BEGIN")  # both queries see one moment
        row = connection.execute(
            f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id = ?",  # noqa: S608
            (message_id,),
        ).fetchone()
        if row is None:
            return None
        message = rows.message_of(row, shard)
        recipients = connection.execute(
            f"SELECT {rows.RECIPIENT_COLUMNS} FROM recipient r WHERE r.message = ? ORDER BY r.number",  # noqa: S608
            (message.key,),
        )
        message.recipients = [rows.recipient_of(one) for one in recipients]
    return message


def transcripts(path: Path, message: Message) -> dict[int, dict[str, object]]:
    """What was said when each recipient was last tried, by number: ``transcript`` and ``transcript_at``."""
    sql = "SELECT number, at, dialogue FROM transcript WHERE message = ?"
    found = _rows(path, message.shard, sql, [message.key])
    return {number: {"transcript_at": at, "transcript": dialogue} for number, at, dialogue in found}


def uncertain(path: Path) -> Iterator[Uncertain]:
    """Recipients whose last dot was sent and whose reply no one knows, by message id."""
    for shard in shards_in(path):
        last = ("", "")
        sql = (
            "SELECT message_id, address, at, why FROM uncertain WHERE (message_id, address) > (?, ?)"  # noqa: S608
            f" ORDER BY message_id, address LIMIT {_PAGE}"
        )
        while page := _rows(path, shard, sql, list(last)):
            yield from (Uncertain(*row) for row in page)
            last = page[-1][:2]


def _rows(path: Path, shard: int, sql: str, values: list[object]) -> list[tuple]:  # type: ignore[type-arg]
    with _reading(path, shard) as connection:
        return connection.execute(sql, values).fetchall()


@contextmanager
def _reading(path: Path, shard: int) -> Iterator[sqlite3.Connection]:
    folder = shard_folder(path, shard)
    try:
        connection = schema.open_reader(folder)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SpoolError(f"cannot read {folder / schema.DATABASE}: {error}") from error
