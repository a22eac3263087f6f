"""What becomes of the statistics file with time: quarters are closed, days summed up, old days dropped.

Contract: ``tidy`` does within the caller's transaction what is due at ``now``, and says whether there was
anything: once in a quarter of an hour. An hour after its end a quarter is closed: of each account the domains
with the most mail keep their rows, those of the others become one. After two weeks quarters become part of
their day, after a year days are dropped. A clock that was set back closes nothing twice.

Every statement has names that are fixed here in its text, and values as parameters.
"""
# ruff: noqa: S608

from __future__ import annotations

import sqlite3

from relay.base.counts import COLUMNS, DAY_S, OTHER, QUARTER_S

DOMAINS = 20  # of an account in a quarter or a day
CLOSED_AFTER_S = 3600
POINTS_S = 14 * DAY_S
DAYS_S = 366 * DAY_S

_NAMES = ", ".join(COLUMNS)
_SUMS = ", ".join(f"sum({name})" for name in COLUMNS)
_MERGE = "ON CONFLICT (account, span, start, identity, domain) DO UPDATE SET " + ", ".join(
    f"{name} = {name} + excluded.{name}" for name in COLUMNS
)
_INTO = f"INSERT INTO point (account, span, start, identity, domain, {_NAMES})"
_OLD = "WHERE account = ? AND span = ? AND start < ?"
_DAY = f"start - start % {DAY_S}"

ADD = f"{_INTO} VALUES ({', '.join('?' * (5 + len(COLUMNS)))}) {_MERGE}"
ADD_VOLUME = (
    "INSERT INTO volume VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, span, start) DO UPDATE SET"
    " mails = mails + excluded.mails, bounced = bounced + excluded.bounced,"
    " complained = complained + excluded.complained"
)
_YOUNG = "SELECT DISTINCT start FROM point WHERE account = ? AND span = ? AND start >= ? AND start < ?"
_SMALL = (
    "SELECT domain FROM point WHERE account = ? AND span = ? AND start = ? AND domain NOT IN ('', ?)"
    " GROUP BY domain ORDER BY sum(sent + delivered + hard + soft + mails) DESC, domain LIMIT -1 OFFSET ?"
)
_FOLD = (
    f"{_INTO} SELECT account, span, start, identity, ?, {_NAMES} FROM point"
    f" WHERE account = ? AND span = ? AND start = ? AND domain = ? {_MERGE}"
)
_SUM_UP = (
    f"{_INTO} SELECT account, {DAY_S}, {_DAY}, identity, domain, {_SUMS} FROM point"
    f" {_OLD} GROUP BY {_DAY}, identity, domain {_MERGE}"
)
_VOLUMES = (
    f"SELECT account, {DAY_S}, {_DAY}, sum(mails), sum(bounced), sum(complained) FROM volume"
    f" {_OLD} GROUP BY {_DAY}"
)
_DROP = {table: f"DELETE FROM {table} {_OLD}" for table in ("point", "volume")}


def tidy(connection: sqlite3.Connection, now: float) -> bool:
    """See the module. Raises sqlite3.Error."""
    closed = int(now - CLOSED_AFTER_S) // QUARTER_S * QUARTER_S
    points = int(now - POINTS_S) // QUARTER_S * QUARTER_S
    before = dict(connection.execute("SELECT what, until FROM tidied").fetchall()).get("closed", 0)
    if closed <= before:
        return False
    for account in accounts_in(connection):
        for (start,) in connection.execute(_YOUNG, (account, QUARTER_S, before, closed)).fetchall():
            _fold(connection, account, QUARTER_S, start)
        _sum_up(connection, account, points)
        for sql in _DROP.values():
            connection.execute(sql, (account, DAY_S, now - DAYS_S))
    row = "INSERT OR REPLACE INTO tidied VALUES (?, ?)"
    connection.executemany(row, [("closed", closed), ("points", points)])
    return True


def accounts_in(connection: sqlite3.Connection) -> list[int]:
    """The accounts of which anything is known; one look into the index for each."""
    found: list[int] = []
    sql = "SELECT min(account) FROM point WHERE account > ?"
    ((least,),) = connection.execute("SELECT min(account) FROM point").fetchall()
    while least is not None:
        found.append(least)
        ((least,),) = connection.execute(sql, (least,)).fetchall()
    return found


def _fold(connection: sqlite3.Connection, account: int, span: int, start: int) -> None:
    """Keep the domains with the most mail, sum the others up."""
    here = (account, span, start)
    drop = "DELETE FROM point WHERE account = ? AND span = ? AND start = ? AND domain = ?"
    for (domain,) in connection.execute(_SMALL, (*here, OTHER, DOMAINS)).fetchall():
        connection.execute(_FOLD, (OTHER, *here, domain))
        connection.execute(drop, (*here, domain))


def _sum_up(connection: sqlite3.Connection, account: int, until: int) -> None:
    """Quarters that began before ``until`` become part of their day."""
    old = (account, QUARTER_S, until)
    days = connection.execute(f"SELECT DISTINCT {_DAY} FROM point {_OLD}", old).fetchall()
    if not days:
        return
    connection.execute(_SUM_UP, old)
    connection.executemany(ADD_VOLUME, connection.execute(_VOLUMES, old).fetchall())
    for sql in _DROP.values():
        connection.execute(sql, old)
    for (start,) in days:
        _fold(connection, account, DAY_S, start)
