"""The statistics file, ``statistics.db`` in the spool: what became of all mail, by the quarter of an hour.

Contract: ``add`` writes counts and the position in the event log that they reach to in one transaction, so
that each event counts exactly once, whatever is killed when. Points are kept by account, quarter, identity
and receiver domain: for two weeks as they are, for a year by the day. An account has at most 20 domains of
its own in each quarter or day, those with the most mail; the rest are summed up as OTHER. While a quarter is
young it may have 1,000, so that the largest are known when it is closed, an hour after its end. What comes
later for a domain that was summed up goes there too. ``tidy`` does this, sums days up and drops what is old.

After a crash the file is as the last transaction left it; a power cut may take the last ones, and their
events are counted again from the position that is left. If the file is lost, or damaged and therefore set
aside by ``position``, it is made anew from the events that are still kept; older counts are then gone, and
what was told of reputations may be told once more. Where that is found in use, everything raises SpoolCorrupt
until ``position`` is asked again.

One process writes (the notifier); any may read. An instance belongs to one thread at a time. Blocking.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from relay.base.counts import COLUMNS, DAY_S, OTHER, QUARTER_S, Counts, Place
from relay.base.errors import SpoolCorrupt, SpoolError
from relay.spool.aside import FOLDER
from relay.spool.statistics_upkeep import ADD, ADD_VOLUME, DOMAINS, tidy

log = logging.getLogger(__name__)

FILE = "statistics.db"
YOUNG_DOMAINS = 1000

_NUMBERS = ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in COLUMNS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS point (account INTEGER NOT NULL, span INTEGER NOT NULL, start INTEGER NOT NULL,
  identity TEXT NOT NULL, domain TEXT NOT NULL, {_NUMBERS},
  PRIMARY KEY (account, span, start, identity, domain)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS volume (account INTEGER NOT NULL, span INTEGER NOT NULL, start INTEGER NOT NULL,
  mails INTEGER NOT NULL, bounced INTEGER NOT NULL, complained INTEGER NOT NULL,
  PRIMARY KEY (account, span, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (account INTEGER PRIMARY KEY, judged_from REAL NOT NULL,
  detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (shard INTEGER PRIMARY KEY, reached INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tidied (what TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
"""


class Statistics:
    """The statistics of the spool at ``path``, to be written."""

    def __init__(self, path: Path) -> None:
        self._file = path / FILE
        self._connection: sqlite3.Connection | None = None
        self._known: dict[tuple[int, int], set[str]] = {}  # domains of young quarters; only grows by ours
        self._inode = 0
        self._damage = ""  # found in use: nothing more is done before ``position`` has seen to it
        self._is_gone = False  # somebody has removed the file, which then is the damage

    def close(self) -> None:
        """Close the file; the next question opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._known.clear()

    def position(self) -> dict[int, int]:
        """Up to where each shard's events are counted. A damaged file is set aside, also one that was found
        damaged by something else. Raises SpoolError."""
        try:
            damage, self._damage = self._damage, ""
            if damage and not self._is_gone:
                raise SpoolCorrupt(damage)
            if damage:
                log.error("the statistics were removed; counted anew from the events that are kept")
            self._is_gone = False
            return self._position()
        except SpoolCorrupt as damage:
            self._damage = ""
            self.close()
            place = self._set_aside()
            log.error(
                "the statistics are damaged; set aside, and counted anew from the events that are kept",
                extra={"file": place, "why": str(damage)},
            )
            return self._position()

    def _position(self) -> dict[int, int]:
        with self._transaction() as connection:
            return dict(connection.execute("SELECT shard, reached FROM position").fetchall())

    def add(self, counts: Mapping[Place, Counts], reached: Mapping[int, int]) -> None:
        """Add counts, and remember that the events up to ``reached`` are in. Raises SpoolError."""
        with self._transaction() as connection:
            until = dict(connection.execute("SELECT what, until FROM tidied").fetchall())
            for place, one in counts.items():
                values = [getattr(one, name) for name in COLUMNS]
                account, start, identity, _ = place
                span = QUARTER_S if start >= until.get("points", 0) else DAY_S
                is_open = start >= until.get("closed", 0)
                start -= start % span
                domain = self._domain(connection, place, span, start, is_open=is_open)
                connection.execute(ADD, (account, span, start, identity, domain, *values))
                if one.mails or one.bounced or one.complained:
                    row = (account, span, start, one.mails, one.bounced, one.complained)
                    connection.execute(ADD_VOLUME, row)
            connection.executemany("INSERT OR REPLACE INTO position VALUES (?, ?)", reached.items())

    def _domain(
        self, connection: sqlite3.Connection, place: Place, span: int, start: int, *, is_open: bool
    ) -> str:
        """Under which domain a count goes."""
        if not place.domain or place.domain == OTHER:
            return place.domain
        key = (place.account_id, start)
        known = self._known.get(key) if is_open else None
        if known is None:
            sql = "SELECT DISTINCT domain FROM point WHERE account = ? AND span = ? AND start = ?"
            known = {domain for (domain,) in connection.execute(sql, (place.account_id, span, start))}
            if is_open:
                self._known[key] = known
        if place.domain not in known:
            if len(known) >= (YOUNG_DOMAINS if is_open else DOMAINS):
                return OTHER
            known.add(place.domain)
        return place.domain

    def tidy(self, now: float) -> None:
        """Close quarters, sum days up, drop what is too old. Cheap when there is nothing to do. Raises
        SpoolError."""
        with self._transaction() as connection:
            if tidy(connection, now):
                self._known.clear()

    # -- what is known of an account's reputation ---------------------------------------------------------

    def standings(self) -> dict[int, tuple[float, str]]:
        """By account: since when its mail is judged, and what was put down last. Raises SpoolError."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT account, judged_from, detail FROM standing")
            return {account: (judged_from, detail) for account, judged_from, detail in rows}

    def put_standing(self, account_id: int, detail: str) -> None:
        """Put down how an account stands. Raises SpoolError."""
        sql = (
            "INSERT INTO standing VALUES (?, 0, ?)"
            " ON CONFLICT (account) DO UPDATE SET detail = excluded.detail"
        )
        with self._transaction() as connection:
            connection.execute(sql, (account_id, detail))

    def judge_anew(self, account_id: int, now: float, detail: str) -> None:
        """From now on only mail counts towards the rates that is sent from now on. Raises SpoolError."""
        zero = "UPDATE point SET mails = 0, bounced = 0, complained = 0 WHERE account = ?"
        with self._transaction() as connection:
            connection.execute(zero, (account_id,))
            connection.execute("DELETE FROM volume WHERE account = ?", (account_id,))
            connection.execute("INSERT OR REPLACE INTO standing VALUES (?, ?, ?)", (account_id, now, detail))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._damage:
            raise SpoolCorrupt(self._damage)
        try:
            if self._connection is None:
                self._connection = _open(self._file)
                self._inode = self._file.stat().st_ino
            elif not self._file.exists() or self._file.stat().st_ino != self._inode:
                self.close()
                self._is_gone, self._damage = True, f"{self._file} was removed while it was in use"
                raise SpoolCorrupt(self._damage)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._known.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            self.close()
            if type(error) is not sqlite3.DatabaseError:  # its subclasses are about the disk, or are bugs
                raise SpoolError(f"{self._file}: {error}") from error
            self._damage = f"{self._file}: {error}"
            raise SpoolCorrupt(self._damage) from error

    def _set_aside(self) -> str:
        """Into ``corrupt/``, where someone may look at it."""
        folder = self._file.parent / FOLDER
        number = 1
        while (target := folder / f"{FILE}-{number}").exists():
            number += 1
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for suffix in ("-wal", "-shm", ""):
                part = Path(f"{self._file}{suffix}")
                if part.exists():
                    part.rename(f"{target}{suffix}")
        except OSError as error:
            raise SpoolError(f"{self._file} is damaged and cannot be set aside: {error}") from error
        return str(target)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
