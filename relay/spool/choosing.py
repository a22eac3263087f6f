"""Which recipients an operator means, found a chunk at a time beside the one who writes.

Contract: ``condition`` turns ``Chosen`` into SQL; ``Chooser`` finds what matches in the order of the rows, a
chunk at a time, and counts it, with a connection of its own that only reads. A search of a million rows for
one that matches blocks neither a commit nor the loader. What a chunk names may have changed by the time that
something is done to it, so ``operate`` looks again at what it depends on. Raises SpoolError.

Cost, measured on a million recipients: 0.3 s to count them by domain, 0.8 s by account.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from relay.base.errors import SpoolError
from relay.base.message import Message
from relay.spool import rows, schema

STATES = {
    "fresh": schema.FRESH,
    "deferred": schema.DEFERRED,
    "held": schema.HELD,
    "parked": schema.PARKED,
}

Pair = tuple[int, int]
"""A recipient: the key of its message, and its number."""

BEFORE_ALL: Pair = (-1, -1)

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which recipients: those that match everything that is given."""

    ids: Sequence[str] = ()  # message ids
    state: str = ""  # a key of STATES
    domain: str = ""  # of the recipient, lower case, A-labels; ".example.org" takes its subdomains too
    domains: Sequence[str] | None = None  # one of these (those behind a site, say)
    account: int | None = None
    sender: str | None = None  # "" is the null reverse-path: our own bounces
    older_than: float | None = None  # arrived before, seconds since the epoch
    newer_than: float | None = None  # arrived at or after


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
    if chosen.domains is not None:
        also("r.domain IN (SELECT value FROM json_each(?))", json.dumps(list(chosen.domains)))
    if chosen.account is not None:
        also("m.account = ?", chosen.account)
    if chosen.sender is not None:
        also("m.sender = ?", chosen.sender)
    if chosen.older_than is not None:
        also("m.arrived < ?", chosen.older_than)
    if chosen.newer_than is not None:
        also("m.arrived >= ?", chosen.newer_than)
    return " AND ".join(parts) or "1", values


def _from(where: str) -> str:
    """The tables that a condition needs."""
    return "recipient r JOIN message m ON m.key = r.message" if "m." in where else "recipient r"


class Chooser:
    """Looks into one shard; blocking, for a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def chunk(self, chosen: Chosen, among: str, after: Pair, limit: int) -> list[Pair]:
        """The next ``limit`` of the chosen behind ``after``, in the order of the rows. ``among`` is SQL over
        ``recipient r``: what the operation can be done to (see ``operate.AMONG``)."""
        where, values = condition(chosen)
        sql = (
            f"SELECT r.message, r.number FROM {_from(where)} WHERE (r.message, r.number) > (?, ?)"  # noqa: S608
            f" AND {among} AND {where} ORDER BY r.message, r.number LIMIT ?"
        )
        return self._read(lambda one: one.execute(sql, [*after, *values, limit]).fetchall())

    def count(self, chosen: Chosen, among: str) -> int:
        """How many recipients an operation would concern now."""
        where, values = condition(chosen)
        sql = f"SELECT count(*) FROM {_from(where)} WHERE {among} AND {where}"  # noqa: S608
        return int(self._read(lambda one: one.execute(sql, values).fetchone()[0]))

    def domains(self) -> list[str]:
        """All domains that mail waits for."""
        sql = "SELECT DISTINCT domain FROM recipient"
        return self._read(lambda one: [domain for (domain,) in one.execute(sql)])

    def messages(self, shard: int, pairs: Sequence[Pair]) -> list[Message]:
        """Messages with those of the recipients that are still there, and without content."""
        messages: dict[int, Message] = {}
        sql = (
            f"SELECT {rows.RECIPIENT_COLUMNS}, {rows.MESSAGE_COLUMNS} FROM recipient r"  # noqa: S608
            " JOIN message m ON m.key = r.message WHERE r.message = ? AND r.number = ?"
        )

        def find(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            connection.execute("BEGIN")  # all see one moment
            found = [connection.execute(sql, pair).fetchone() for pair in pairs]
            return [row for row in found if row is not None]

        for row in self._read(find):
            message = messages.get(row[10])
            if message is None:
                message = messages[row[10]] = rows.message_of(row[11:], shard)
            message.recipients.append(rows.recipient_of(row[:11]))
        return list(messages.values())

    def _read(self, question: Callable[[sqlite3.Connection], _Found]) -> _Found:
        try:
            with closing(schema.open_reader(self._folder)) as connection:
                return question(connection)
        except sqlite3.Error as error:
            raise SpoolError(f"cannot read {self._folder / schema.DATABASE}: {error}") from error
