"""A change as rows: the SQL of one transaction.

Each sqlite3 call releases and takes the interpreter lock several times, and the event loop is on the other
side of it; so rows go in as few statements as possible (64, 16, 4 or 1 at once), not with executemany.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from relay.base.events import Change
from relay.base.message import Message, Recipient, RecipientState, TlsWish
from relay.spool.content import checksum
from relay.spool.schema import DEFERRED, FRESH, HELD, PARKED

Write: TypeAlias = Callable[[sqlite3.Connection, Iterable[Change]], list[str]]

_CHUNKS = (64, 16, 4, 1)
_STATE = {
    RecipientState.FRESH: FRESH,
    RecipientState.DEFERRED: DEFERRED,
    RecipientState.HELD: HELD,
    RecipientState.PARKED: PARKED,
}
_STATE_OF = {number: state for state, number in _STATE.items()}
_LARGE, _EIGHT_BIT, _UTF8, _TLS, _TLS_OPTIONAL, _BY_NOTIFY = 1, 2, 4, 8, 16, 32

MESSAGE_COLUMNS = (
    "m.key, m.id, m.account, m.sender, m.size, m.arrived, m.expires, m.flags, m.ret, m.envid,"
    " m.return_path, m.control, m.deadline, m.identity"
)
RECIPIENT_COLUMNS = (
    "r.number, r.address, r.domain, r.notify, r.orcpt, r.state, r.attempts, r.due, r.reply, r.told, r.message"
)


def _statements(prefix: str, unit: str) -> dict[int, str]:
    return {n: prefix + ",".join([unit] * n) for n in _CHUNKS}


def _values(table: str, columns: int, verb: str = "INSERT") -> dict[int, str]:
    return _statements(f"{verb} INTO {table} VALUES ", f"({','.join('?' * columns)})")


def _deletes(table: str, column: str) -> dict[int, str]:
    return {n: f"DELETE FROM {table} WHERE {column} IN ({','.join('?' * n)})" for n in _CHUNKS}  # noqa: S608


_INSERT_MESSAGE = _values("message", 15)
_INSERT_BODY = _values("body", 2)
_INSERT_RECIPIENT = _values("recipient", 13)
_INSERT_EVENT = _values("event (at, kind, message_id, account, detail)", 5)
_INSERT_UNCERTAIN = _values("uncertain", 4, "INSERT OR IGNORE")
_DELETE_MESSAGE = _deletes("message", "key")
_DELETE_BODY = _deletes("body", "key")
_DELETE_RECIPIENTS = _deletes("recipient", "message")
# "(message, number) IN (VALUES ...)" scans the table from the second pair on; a named list does not
_DELETE_RECIPIENT = {
    n: f"WITH d (message, number) AS (VALUES {','.join(['(?,?)'] * n)}) "  # noqa: S608
    "DELETE FROM recipient WHERE (message, number) IN (SELECT message, number FROM d)"
    for n in _CHUNKS
}
_DEFER = {
    n: f"WITH d (message, number, attempts, due, reply, told) AS (VALUES {','.join(['(?,?,?,?,?,?)'] * n)}) "  # noqa: S608
    f"UPDATE recipient SET state = CASE state WHEN {HELD} THEN {HELD} ELSE {DEFERRED} END, "
    "attempts = d.attempts, due = d.due, reply = d.reply, told = d.told FROM d "
    "WHERE recipient.message = d.message AND recipient.number = d.number"
    for n in _CHUNKS
}

_PARK = {  # the operator may have held it meanwhile
    n: f"WITH d (message, number, reply) AS (VALUES {','.join(['(?,?,?)'] * n)}) "  # noqa: S608
    f"UPDATE recipient SET state = {PARKED}, reply = CASE d.reply WHEN '' THEN recipient.reply ELSE d.reply "
    "END FROM d WHERE recipient.message = d.message AND recipient.number = d.number "
    f"AND recipient.state IN ({FRESH}, {DEFERRED})"
    for n in _CHUNKS
}


_TELL = {
    n: f"WITH d (message, number) AS (VALUES {','.join(['(?,?)'] * n)}) "  # noqa: S608
    "UPDATE recipient SET told = 1 FROM d "
    "WHERE recipient.message = d.message AND recipient.number = d.number"
    for n in _CHUNKS
}


_KEEP_TRANSCRIPT = {  # unless the recipient is gone
    n: f"WITH d (message, number, at, dialogue) AS (VALUES {','.join(['(?,?,?,?)'] * n)}) "  # noqa: S608
    "INSERT OR REPLACE INTO transcript SELECT d.* FROM d "
    "JOIN recipient r ON r.message = d.message AND r.number = d.number"
    for n in _CHUNKS
}
_DELETE_TRANSCRIPT = {n: sql.replace("recipient", "transcript") for n, sql in _DELETE_RECIPIENT.items()}


def _run(
    connection: sqlite3.Connection, statements: dict[int, str], rows: Sequence[Sequence[Any]] | Sequence[Any]
) -> None:
    """Execute the statement over all rows, in the largest chunks that fit."""
    at, count = 0, len(rows)
    for size in _CHUNKS:
        while count - at >= size:
            chunk = rows[at : at + size]
            flat = [v for row in chunk for v in row] if isinstance(chunk[0], tuple) else chunk
            connection.execute(statements[size], flat)
            at += size


def write(connection: sqlite3.Connection, changes: Iterable[Change]) -> list[str]:
    """Write the changes into the open transaction of ``connection``; returns the ids of messages whose last
    recipient this settled and whose content is a file. Raises sqlite3.Error."""
    messages: list[tuple[Any, ...]] = []
    bodies: list[tuple[Any, ...]] = []
    recipients: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    finished: list[int] = []
    settled: list[tuple[int, int]] = []
    deferred: list[tuple[Any, ...]] = []
    parked: list[tuple[Any, ...]] = []
    uncertain: list[tuple[Any, ...]] = []
    told: list[tuple[int, int]] = []
    transcripts: list[tuple[Any, ...]] = []
    tried_before: list[tuple[int, int]] = []
    for change in changes:
        for message in change.stored:
            content = message.content
            assert content is not None, "a message is stored with its content"
            messages.append(_message_row(message, checksum(content)))
            if not message.is_large:
                bodies.append((message.key, content))
            for r in message.recipients:
                recipients.append(_recipient_row(message, r))
        for e in change.events:
            events.append((e.at, e.kind.value, e.message_id, e.account_id, e.detail))
        finished += change.finished
        if change.settled:
            gone = set(change.finished)
            settled += [pair for pair in change.settled if pair[0] not in gone]
        for d in change.deferred:
            deferred.append((d.key, d.number, d.attempts, d.due_at, d.reply, d.is_told))
        for p in change.parked:
            parked.append((p.key, p.number, p.reply))
        told += change.told
        tried_before += change.tried_before
        for t in change.transcripts:
            transcripts.append((t.key, t.number, t.at, t.dialogue))
        for u in change.uncertain:
            uncertain.append((u.message_id, u.address, u.at, u.why))
    _run(connection, _INSERT_MESSAGE, messages)
    _run(connection, _INSERT_BODY, bodies)
    _run(connection, _INSERT_RECIPIENT, recipients)
    _run(connection, _DEFER, deferred)
    _run(connection, _PARK, parked)
    _run(connection, _TELL, told)
    _run(connection, _KEEP_TRANSCRIPT, transcripts)
    _run(connection, _DELETE_TRANSCRIPT, tried_before)
    _run(connection, _DELETE_RECIPIENT, settled)
    _run(connection, _DELETE_RECIPIENTS, finished)
    _run(connection, _DELETE_BODY, finished)
    _run(connection, _DELETE_MESSAGE, finished)
    _run(connection, _INSERT_UNCERTAIN, uncertain)
    _run(connection, _INSERT_EVENT, events)
    return _finish(connection, sorted({key for key, _ in settled})) if settled else []


def _finish(connection: sqlite3.Connection, keys: list[int]) -> list[str]:
    """Remove those of the messages that have no recipient left. Needed where the caller had only some of a
    message's recipients in memory."""
    removed: list[tuple[Any, ...]] = []
    for at in range(0, len(keys), 256):
        chunk = keys[at : at + 256]
        removed += connection.execute(
            f"DELETE FROM message WHERE key IN ({','.join('?' * len(chunk))})"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM recipient WHERE recipient.message = message.key)"
            " RETURNING key, id, flags",
            chunk,
        ).fetchall()
    _run(connection, _DELETE_BODY, [key for key, _, _ in removed])
    return [message_id for _, message_id, flags in removed if flags & _LARGE]


def _message_row(m: Message, proof: int) -> tuple[Any, ...]:
    flags = m.is_large * _LARGE | m.is_8bit * _EIGHT_BIT | m.is_utf8 * _UTF8 | m.is_by_notify * _BY_NOTIFY
    if m.tls:
        flags |= _TLS if m.tls is TlsWish.REQUIRED else _TLS_OPTIONAL
    return (
        m.key, m.id, m.account_id, m.sender, m.size_bytes, proof, m.arrived_at, m.expires_at, flags, m.ret,
        m.envid, m.return_path, m.control, m.deadline, m.identity,
    )  # fmt: skip


def _recipient_row(m: Message, r: Recipient) -> tuple[Any, ...]:
    return (
        m.key, r.number, r.address, r.domain, _STATE[r.state], r.attempts, r.due_at, r.notify, r.orcpt,
        r.reply, r.is_told, m.account_id, m.rank,
    )  # fmt: skip


def message_of(row: Sequence[Any], shard: int) -> Message:
    """A message without recipients from a row of MESSAGE_COLUMNS."""
    key, message_id, account, sender, size, arrived, expires, flags, ret, envid, return_path, *rest = row
    control, deadline, identity = rest
    tls = TlsWish.NONE
    if flags & (_TLS | _TLS_OPTIONAL):
        tls = TlsWish.REQUIRED if flags & _TLS else TlsWish.OPTIONAL
    return Message(
        id=message_id, shard=shard, account_id=account, sender=sender, recipients=[], size_bytes=size,
        arrived_at=arrived, expires_at=expires, content=None, key=key, is_8bit=bool(flags & _EIGHT_BIT),
        is_utf8=bool(flags & _UTF8), ret=ret, envid=envid, is_large=bool(flags & _LARGE),
        return_path=return_path, control=control, deadline=deadline,
        is_by_notify=bool(flags & _BY_NOTIFY), tls=tls, identity=identity,
    )  # fmt: skip


def recipient_of(row: Sequence[Any]) -> Recipient:
    """A recipient from a row of RECIPIENT_COLUMNS."""
    number, address, domain, notify, orcpt, state, attempts, due, reply, told, _ = row
    return Recipient(
        number=number, address=address, domain=domain, notify=notify, orcpt=orcpt, state=_STATE_OF[state],
        attempts=attempts, due_at=due, reply=reply, is_told=bool(told),
    )  # fmt: skip
