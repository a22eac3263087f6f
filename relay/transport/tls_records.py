"""How sessions' TLS fared, on disk: counts by day and domain, and which days are still to be reported.

One SQLite file beside the shards, for all workers: each adds its counts in a short transaction of its own
once a minute, and worker 0 takes from it what is due. Contract: ``add`` adds counts; ``plan`` makes a report
due for each domain of a day that has ended; ``claim`` gives reports that are due, and puts each off, so that
a crash in between leads to another try; ``settle`` says where a report has gone, and ends it with all its
counts when nothing is left to do. Blocking. SpoolError is raised for what SQLite or the disk refuses.

After a crash at most what was not added is lost: these are statistics for others, so nothing waits for the
disk (synchronous=OFF). A file that is damaged is put aside and begun anew.

Bounds: ``rows`` in all, past it what is new is counted under the domain "", which nobody is told of; of one
domain and day ``details`` kinds of failures, past it only their kind is kept. Days older than a week go.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay.base.errors import SpoolError
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType, TlsSession

FILE = "tls-sessions.db"
_KEEP_DAYS = 7
_TABLES = """
CREATE TABLE IF NOT EXISTS session (
    day INTEGER, domain TEXT, type TEXT, lines TEXT, mx TEXT,
    failure TEXT, host TEXT, address TEXT, source TEXT, detail TEXT, count INTEGER,
    PRIMARY KEY (day, domain, type, lines, mx, failure, host, address, source, detail)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report (
    day INTEGER, domain TEXT, due REAL, tries INTEGER, done TEXT,
    PRIMARY KEY (day, domain)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS report_due ON report (due);
"""
_ADD = """
INSERT INTO session VALUES (?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_KNOWN = """
SELECT 1 FROM session WHERE (day, domain, type, lines, mx, failure, host, address, source, detail)
= (?,?,?,?,?,?,?,?,?,?)
"""


@dataclass(frozen=True, slots=True)
class ReportDue:
    """A report to make: of which day and domain, how often it was tried, and where it has gone already."""

    day: int
    domain: str
    tries: int
    done: tuple[str, ...]


class TlsRecords:
    """The file, opened for each call; safe in any thread and process."""

    __slots__ = ("_details", "_file", "_rows")

    def __init__(self, folder: Path, rows: int = 500_000, details: int = 200) -> None:
        self._file = folder / FILE
        self._rows = rows
        self._details = details

    def add(self, counts: Mapping[tuple[int, TlsSession], int]) -> None:
        """Add what was counted, by day since the epoch and session."""
        with self._open() as connection:
            (rows,) = connection.execute("SELECT count(*) FROM session").fetchone()
            for (day, session), count in counts.items():
                row = _row(session)
                if session.failure is not None and self._is_full(connection, day, session.policy.domain):
                    row = (*row[:5], "", "", "", "")
                known = connection.execute(
                    _KNOWN,
                    (day, *row),
                ).fetchone()
                if known is None:
                    if rows >= self._rows:
                        row = ("", TlsPolicyType.NONE.value, "[]", "[]", row[4], "", "", "", "")
                    rows += 1
                connection.execute(_ADD, (day, *row, count))
            last = max(day for day, _ in counts)
            connection.execute("DELETE FROM session WHERE day < ?", (last - _KEEP_DAYS,))
            connection.execute("DELETE FROM report WHERE day < ?", (last - _KEEP_DAYS,))

    def _is_full(self, connection: sqlite3.Connection, day: int, domain: str) -> bool:
        (found,) = connection.execute(
            "SELECT count(*) FROM session WHERE day = ? AND domain = ? AND failure != ''", (day, domain)
        ).fetchone()
        return bool(found >= self._details)

    def sessions(self, day: int, domain: str) -> list[tuple[TlsSession, int]]:
        """What was counted of a domain on a day."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT type, lines, mx, failure, host, address, source, detail, count FROM session"
                " WHERE day = ? AND domain = ? ORDER BY type, lines, mx, failure, count DESC",
                (day, domain),
            ).fetchall()
        found = []
        for kind, lines, mx, failure, host, address, source, detail, count in rows:
            policy = TlsPolicy(domain, TlsPolicyType(kind), tuple(json.loads(lines)), tuple(json.loads(mx)))
            why = TlsFailure(failure) if failure else None
            found.append((TlsSession(policy, why, host, address, source, detail), count))
        return found

    def plan(self, today: int, due_at: Callable[[], float]) -> int:
        """Reports for all days before ``today`` become due, each at ``due_at()``; how many are new."""
        with self._open() as connection:
            connection.execute("DELETE FROM session WHERE day < ? AND domain = ''", (today,))
            new = connection.execute(
                "SELECT DISTINCT day, domain FROM session AS s WHERE day < ? AND NOT EXISTS"
                " (SELECT 1 FROM report AS r WHERE r.day = s.day AND r.domain = s.domain)",
                (today,),
            ).fetchall()
            for day, domain in new:
                connection.execute("INSERT INTO report VALUES (?,?,?,0,'[]')", (day, domain, due_at()))
        return len(new)

    def claim(self, now: float, limit: int, again_at: float) -> Sequence[ReportDue]:
        """Reports that are due now; each is due again at ``again_at``, unless it is settled before."""
        if not self._file.exists():
            return []
        with self._open() as connection:
            rows = connection.execute(
                "SELECT day, domain, tries, done FROM report WHERE due <= ? ORDER BY due LIMIT ?",
                (now, limit),
            ).fetchall()
            for day, domain, *_ in rows:
                connection.execute(
                    "UPDATE report SET due = ?, tries = tries + 1 WHERE day = ? AND domain = ?",
                    (again_at, day, domain),
                )
        return [ReportDue(day, domain, tries, tuple(json.loads(done))) for day, domain, tries, done in rows]

    def settle(self, report: ReportDue, done: Sequence[str], due_at: float | None) -> None:
        """Where a report has gone; it is due again at ``due_at``, or ended if that is None."""
        key = (report.day, report.domain)
        with self._open() as connection:
            if due_at is None:
                connection.execute("DELETE FROM session WHERE day = ? AND domain = ?", key)
                connection.execute("DELETE FROM report WHERE day = ? AND domain = ?", key)
            else:
                connection.execute(
                    "UPDATE report SET due = ?, done = ? WHERE day = ? AND domain = ?",
                    (due_at, json.dumps(list(done)), *key),
                )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=10, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")
                connection.executescript(_TABLES)
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as fault:
            if not isinstance(fault, sqlite3.OperationalError):
                self._put_aside()
            raise SpoolError(f"{self._file}: {fault}") from fault
        except OSError as fault:
            raise SpoolError(f"{self._file}: {fault}") from fault

    def _put_aside(self) -> None:
        for end in ("-wal", "-shm"):
            self._file.with_name(FILE + end).unlink(missing_ok=True)
        if self._file.exists():
            self._file.replace(self._file.with_name(FILE + ".damaged"))


def _row(session: TlsSession) -> tuple[str, ...]:
    policy = session.policy
    return (
        policy.domain,
        policy.type.value,
        json.dumps(list(policy.lines)),
        json.dumps(list(policy.mx)),
        session.failure.value if session.failure is not None else "",
        session.host,
        session.address,
        session.source_address,
        session.detail,
    )
