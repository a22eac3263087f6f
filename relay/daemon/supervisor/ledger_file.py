"""The ledger's memory on disk: what each account has used, minute by minute, in ``limits.db`` in the spool.

Contract: when ``write`` returns, its rows are there after a power cut (SQLite in WAL mode with
``synchronous=FULL``; one transaction, one fsync). Rows are whole values, so writing one twice is harmless. A
file that is damaged is set aside into ``corrupt/``, logged, and begun anew: the ledger then counts from the
events of the shards (``relay.spool.sent``).

The ledger's time goes on over restarts: by the machine's monotonic clock as long as the machine has not been
started anew, else by the wall clock, and never backwards. So no jump of the wall clock makes an account's
usage older or younger than it is, but for a clock that is wrong after a reboot.

Blocking; for the keeper's thread. Not here: any decision.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from relay.base.clock import Clock

log = logging.getLogger(__name__)

FILE = "limits.db"
_VERSION = 1
_TABLES = """
CREATE TABLE sent (
  account INTEGER NOT NULL, minute INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (account, minute)
) WITHOUT ROWID;
CREATE TABLE account (account INTEGER PRIMARY KEY, idle_until REAL NOT NULL, warned INTEGER NOT NULL);
CREATE TABLE clock (
  one INTEGER PRIMARY KEY CHECK (one = 1), time REAL NOT NULL, wall REAL NOT NULL, monotonic REAL NOT NULL,
  boot TEXT NOT NULL
);
"""


class UsageRow(NamedTuple):
    """What is stored of one account: see ``Ledger.changes`` and ``Ledger.restore``."""

    account_id: int
    minutes: Sequence[tuple[int, int]]
    idle_until: float
    warned: int


@dataclass(frozen=True, slots=True)
class Moment:
    """The ledger's time, and what the clocks said then."""

    time: float
    wall: float
    monotonic: float
    boot: str


class LedgerTime:
    """The ledger's own time; see the module."""

    def __init__(self, clock: Clock, boot: str, last: Moment | None) -> None:
        self._clock = clock
        self._boot = boot
        self._since = clock.monotonic()
        if last is None:
            self._base = clock.now()
        elif last.boot == boot and self._since >= last.monotonic:
            self._base = last.time + self._since - last.monotonic
        else:
            self._base = last.time + max(clock.now() - last.wall, 0.0)

    def now(self) -> float:
        """Seconds; they never go back."""
        return self._base + self._clock.monotonic() - self._since

    def moment(self) -> Moment:
        """What is stored."""
        return Moment(self.now(), self._clock.now(), self._clock.monotonic(), self._boot)


def boot_id() -> str:
    """Another one after each start of the machine; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class LedgerFile:
    """The open file. Owned by one thread at a time."""

    def __init__(self, spool: Path) -> None:
        self._path = spool / FILE
        self._aside = spool / "corrupt"
        self.was_damaged = False
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises OSError or sqlite3.Error if there can be no file, not for one that is damaged."""
        try:
            self._connection = _connect(self._path)
        except sqlite3.OperationalError:
            raise  # the disk is full, or does not let us: the file may be a good one
        except sqlite3.DatabaseError as error:
            self.was_damaged = True
            place = self._set_aside()
            log.error("the ledger of limits is damaged; set aside", extra={"file": place, "why": str(error)})
            self._connection = _connect(self._path)

    def read(self) -> tuple[list[UsageRow], Moment | None]:
        """All that is stored."""
        connection = self._opened
        minutes: dict[int, list[tuple[int, int]]] = {}
        for account, minute, count in connection.execute("SELECT account, minute, count FROM sent"):
            minutes.setdefault(account, []).append((minute, count))
        rows = [
            UsageRow(account, minutes.get(account, []), idle_until, warned)
            for account, idle_until, warned in connection.execute(
                "SELECT account, idle_until, warned FROM account"
            )
        ]
        moment = connection.execute("SELECT time, wall, monotonic, boot FROM clock").fetchone()
        return rows, Moment(*moment) if moment else None

    def write(self, rows: Sequence[UsageRow], moment: Moment, oldest_minute: int) -> None:
        """Store; on disk on return. ``oldest_minute``: what is older is forgotten. Raises sqlite3.Error."""
        connection = self._opened
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "REPLACE INTO account VALUES (?, ?, ?)",
                [(row.account_id, row.idle_until, row.warned) for row in rows],
            )
            connection.executemany(
                "REPLACE INTO sent VALUES (?, ?, ?)",
                [(row.account_id, *one) for row in rows for one in row.minutes],
            )
            for row in rows:
                connection.execute(
                    "DELETE FROM sent WHERE account = ? AND minute < ?", (row.account_id, oldest_minute)
                )
            connection.execute(
                "REPLACE INTO clock VALUES (1, ?, ?, ?, ?)",
                (moment.time, moment.wall, moment.monotonic, moment.boot),
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _opened(self) -> sqlite3.Connection:
        assert self._connection is not None, "used before it was opened"
        return self._connection

    def _set_aside(self) -> str:
        self._aside.mkdir(mode=0o700, exist_ok=True)
        number = 1
        while (target := self._aside / f"{FILE}-{number}").exists():
            number += 1
        for suffix in ("-wal", "-shm"):
            log_file = Path(f"{self._path}{suffix}")
            if log_file.exists():
                log_file.rename(f"{target}{suffix}")
        self._path.rename(target)
        return str(target)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        os.chmod(path, 0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_size_limit=-1")  # as in relay.spool.schema
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version={_VERSION};COMMIT;")
        elif version > _VERSION:  # no damage: that version's, which may come back
            raise sqlite3.OperationalError(f"version {version}; this relay knows {_VERSION}")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"version {version}; this relay knows {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
