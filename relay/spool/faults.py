"""What an error of the disk or of SQLite means for the changes that met it. A decision: no I/O.

The table::

    FULL     no space, or over quota          new mail is refused (452), outcomes are kept and tried again
    DISK     I/O error, locked, no memory     new mail is refused (451), outcomes are kept and tried again
    DAMAGE   the file is not what it was      the database is rebuilt from what can be read, then as DISK
    CHANGE   anything else: a bug of ours     the one change that cannot be written is found and told apart

Only FULL, DISK and DAMAGE say something about the spool; CHANGE must not take other changes with it.
"""

from __future__ import annotations

import errno
import sqlite3
from enum import StrEnum

from relay.base.errors import SpoolError, SpoolFull
from relay.base.events import Change


class Fault(StrEnum):
    """Whose fault it is that a transaction failed."""

    FULL = "full"
    DISK = "disk"
    DAMAGE = "damage"
    CHANGE = "change"


_FULL_ERRNO = frozenset((errno.ENOSPC, errno.EDQUOT))
_DAMAGE_CODES = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_DISK_CODES = frozenset(
    (
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_INTERRUPT,
    )
)  # fmt: skip


def fault_of(error: BaseException) -> Fault:
    """Whose fault the error is."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended code is the code
        if code == sqlite3.SQLITE_FULL:
            return Fault.FULL
        if code in _DAMAGE_CODES:
            return Fault.DAMAGE
        return Fault.DISK if code in _DISK_CODES else Fault.CHANGE
    if isinstance(error, OSError):
        return Fault.FULL if error.errno in _FULL_ERRNO else Fault.DISK
    return Fault.DISK if isinstance(error, MemoryError) else Fault.CHANGE


def as_spool_error(error: BaseException) -> SpoolError:
    """What those who wait for the promise are told."""
    is_full = fault_of(error) is Fault.FULL
    return SpoolFull(str(error)) if is_full else SpoolError(f"{type(error).__name__}: {error}")


def may_be_refused(change: Change) -> bool:
    """New mail, whose client keeps it if we do not take it. An outcome has happened and cannot be refused."""
    return bool(change.stored) and not (change.settled or change.deferred or change.slots)
