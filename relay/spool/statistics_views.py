"""What the statistics file tells: points, sums and volumes, for the CLI, the metrics and the reputation.

    with reading(spool) as views:
        views.points(account_id, since)

Contract: read-only, from any process, while the notifier writes; one view is one moment of the file. Without
a file there is nothing to tell. An account of None is all of them together; an identity or a domain narrows
every question down to it. Raises SpoolError if the file cannot be read.
"""
# ruff: noqa: S608  names that are fixed here, values as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.base.counts import COLUMNS, OTHER, QUARTER_S, Counts, Sent
from relay.base.errors import SpoolError
from relay.spool.statistics import FILE
from relay.spool.statistics_upkeep import accounts_in

_SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in COLUMNS)


@contextmanager
def reading(spool: Path) -> Iterator[Views]:
    """The statistics of a spool, as they are now. Raises SpoolError."""
    file = spool / FILE
    try:
        if not file.exists():
            yield Views(None)
            return
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA busy_timeout = 10000")
            connection.execute("BEGIN")
            yield Views(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SpoolError(f"{file}: {error}") from error


class Views:
    """One moment of the file."""

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection

    def accounts(self) -> list[int]:
        """Those of which there is anything."""
        return accounts_in(self._connection) if self._connection is not None else []

    def points(
        self, account_id: int | None, since: float, identity: str = "", domain: str = ""
    ) -> list[tuple[int, Counts]]:
        """By the quarter of an hour, oldest first; as far back as there are quarters (two weeks)."""
        found: dict[int, Counts] = {}
        only, values = _only(identity, domain)
        sql = (
            f"SELECT start, {_SUMS} FROM point WHERE account = ? AND span = ? AND start >= ?{only}"
            " GROUP BY start"
        )
        for account in self._of(account_id):
            for start, *numbers in self._rows(sql, (account, QUARTER_S, since - QUARTER_S + 1, *values)):
                found.setdefault(start, Counts()).add(Counts(*numbers))
        # a row may be there for the mail's sake alone: nothing happened then
        return [(start, one) for start, one in sorted(found.items()) if any(_happened(one))]

    def total(self, account_id: int | None, since: float, identity: str = "", domain: str = "") -> Counts:
        """All that happened since then; of days that are summed up, all or nothing."""
        found = Counts()
        only, values = _only(identity, domain)
        sql = f"SELECT {_SUMS} FROM point WHERE account = ? AND start + span > ?{only}"
        for account in self._of(account_id):
            for numbers in self._rows(sql, (account, since, *values)):
                found.add(Counts(*numbers))
        return found

    def domains(
        self, account_id: int | None, since: float, limit: int, identity: str = "", domain: str = ""
    ) -> list[tuple[str, Counts]]:
        """The receiver domains with the most mail since then, and what became of it; OTHER last."""
        found: dict[str, Counts] = {}
        only, values = _only(identity, domain)
        sql = (
            f"SELECT domain, {_SUMS} FROM point WHERE account = ? AND start + span > ? AND domain != ''"
            f"{only} GROUP BY domain"
        )
        for account in self._of(account_id):
            for name, *numbers in self._rows(sql, (account, since, *values)):
                found.setdefault(name, Counts()).add(Counts(*numbers))
        order = sorted(found.items(), key=lambda pair: (pair[0] == OTHER, -pair[1].sent, pair[0]))
        return order[:limit]

    def volume(self, account_id: int, identity: str = "", domain: str = "") -> list[Sent]:
        """What became of the mail that was sent, newest first. Whole accounts are quick to tell."""
        if not identity and not domain:
            sql = "SELECT start, mails, bounced, complained FROM volume WHERE account = ?"
            rows = self._rows(f"{sql} AND mails + bounced + complained > 0", (account_id,))
        else:
            only, values = _only(identity, domain)
            sql = (
                "SELECT start, sum(mails), sum(bounced), sum(complained) FROM point WHERE account = ?"
                f"{only} AND mails + bounced + complained > 0 GROUP BY span, start"
            )
            rows = self._rows(sql, (account_id, *values))
        return sorted((Sent(*row) for row in rows), reverse=True)

    def standings(self) -> dict[int, tuple[float, str]]:
        """By account: since when its mail is judged, and what was put down of it."""
        rows = self._rows("SELECT account, judged_from, detail FROM standing", ())
        return {account: (judged_from, detail) for account, judged_from, detail in rows}

    def position(self) -> dict[int, int]:
        """Up to where each shard's events are counted."""
        return dict(self._rows("SELECT shard, reached FROM position", ()))

    def _of(self, account_id: int | None) -> list[int]:
        return self.accounts() if account_id is None else [account_id]

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[tuple]:  # type: ignore[type-arg]
        return self._connection.execute(sql, values).fetchall() if self._connection is not None else []


def _only(identity: str, domain: str) -> tuple[str, list[str]]:
    """The condition, and its values."""
    wanted = {"identity": identity, "domain": domain}
    return "".join(f" AND {name} = ?" for name, value in wanted.items() if value), [
        value for value in wanted.values() if value
    ]


def _happened(one: Counts) -> list[int]:
    return [one.sent, one.delivered, one.hard, one.soft, one.complaints, one.rejects, one.suppressed]
