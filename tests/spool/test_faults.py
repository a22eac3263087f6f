"""Whose fault: a table."""

import errno
import sqlite3

import pytest

from relay.base.errors import SpoolError, SpoolFull
from relay.base.events import Change, Deferral
from relay.spool.faults import Fault, as_spool_error, fault_of, may_be_refused
from tests.fakes.spool import message


def of_sqlite(kind: type[sqlite3.Error], code: int) -> sqlite3.Error:
    error = kind("text")
    error.sqlite_errorcode = code
    return error


TABLE = [
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_FULL), Fault.FULL),
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_IOERR), Fault.DISK),
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_IOERR_FSYNC), Fault.DISK),
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_BUSY), Fault.DISK),
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_CANTOPEN), Fault.DISK),
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_READONLY), Fault.DISK),
    (of_sqlite(sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT), Fault.DAMAGE),
    (of_sqlite(sqlite3.DatabaseError, sqlite3.SQLITE_NOTADB), Fault.DAMAGE),
    (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_ERROR), Fault.CHANGE),
    (of_sqlite(sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT), Fault.CHANGE),
    (sqlite3.ProgrammingError("closed"), Fault.CHANGE),
    (OSError(errno.ENOSPC, "no"), Fault.FULL),
    (OSError(errno.EDQUOT, "no"), Fault.FULL),
    (OSError(errno.EIO, "no"), Fault.DISK),
    (OSError(errno.EMFILE, "no"), Fault.DISK),
    (MemoryError(), Fault.DISK),
    (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), Fault.CHANGE),
    (AssertionError(), Fault.CHANGE),
]


@pytest.mark.parametrize(("error", "fault"), TABLE, ids=lambda value: repr(value)[:40])
def test_fault(error: BaseException, fault: Fault) -> None:
    assert fault_of(error) is fault
    assert type(as_spool_error(error)) is (SpoolFull if fault is Fault.FULL else SpoolError)


def test_only_new_mail_may_be_refused() -> None:
    one = message()
    assert may_be_refused(Change(stored=[one]))
    assert not may_be_refused(Change())
    assert not may_be_refused(Change(settled=[(1, 0)]))
    assert not may_be_refused(Change(stored=[one], settled=[(1, 0)]))
    assert not may_be_refused(Change(stored=[one], deferred=[Deferral(1, 0, 1, 0.0, "")]))
    assert not may_be_refused(Change(stored=[one], slots=[1]))
