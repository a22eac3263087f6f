"""Counts and reports to make, on disk: added by several, claimed by one, bounded, anew if damaged."""

from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType, TlsSession
from relay.transport.tls_records import FILE, ReportDue, TlsRecords

STS = TlsPolicy("a.example", TlsPolicyType.STS, ("version: STSv1", "mx: ü"), ("mx.a.example",))
GOOD = TlsSession(STS)
EXPIRED = TlsSession(STS, TlsFailure.CERTIFICATE_EXPIRED, "mx.a.example", "192.0.2.1", "::1", "has expired")
OTHER = TlsSession(TlsPolicy("b.example"))


def test_counts_of_several_workers_add_up(tmp_path: Path) -> None:
    one, other = TlsRecords(tmp_path / "spool"), TlsRecords(tmp_path / "spool")
    one.add({(7, GOOD): 2, (7, EXPIRED): 1, (7, OTHER): 5})
    other.add({(7, GOOD): 3, (7, EXPIRED): 1, (8, GOOD): 1})
    assert one.sessions(7, "a.example") == [(GOOD, 5), (EXPIRED, 2)]
    assert other.sessions(8, "a.example") == [(GOOD, 1)]
    assert one.sessions(9, "a.example") == []


def test_a_report_from_its_day_to_its_end(tmp_path: Path) -> None:
    records = TlsRecords(tmp_path)
    assert list(records.claim(0.0, 10, 1.0)) == []
    assert not (tmp_path / FILE).exists()
    records.add({(7, GOOD): 1, (8, OTHER): 1})
    assert records.plan(7, lambda: 100.0) == 0
    assert records.plan(8, lambda: 100.0) == 1
    assert records.plan(8, lambda: 100.0) == 0
    assert list(records.claim(99.0, 10, 500.0)) == []
    due = ReportDue(7, "a.example", 0, ())
    assert list(records.claim(100.0, 10, 500.0)) == [due]
    assert list(records.claim(499.0, 10, 900.0)) == []
    again = ReportDue(7, "a.example", 1, ())
    assert list(records.claim(500.0, 10, 900.0)) == [again]  # whoever claimed it died
    records.settle(again, ["mailto:x@a.example"], 700.0)
    last = ReportDue(7, "a.example", 2, ("mailto:x@a.example",))
    assert list(records.claim(700.0, 10, 900.0)) == [last]
    records.settle(last, [], None)
    assert list(records.claim(9000.0, 10, 9900.0)) == []
    assert records.plan(8, lambda: 0.0) == 0
    assert records.sessions(7, "a.example") == []
    assert records.sessions(8, "b.example") == [(OTHER, 1)]


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    records = TlsRecords(tmp_path)
    records.add({(7, TlsSession(TlsPolicy(f"{number}.example"))): 1 for number in range(5)})
    times = iter([5.0, 4.0, 3.0, 2.0, 1.0])
    assert records.plan(8, lambda: next(times)) == 5
    assert [one.domain for one in records.claim(9.0, 2, 100.0)] == ["4.example", "3.example"]
    assert [one.domain for one in records.claim(9.0, 9, 100.0)] == ["2.example", "1.example", "0.example"]


def test_one_domain_does_not_fill_it(tmp_path: Path) -> None:
    records = TlsRecords(tmp_path, details=3)
    many = {(7, TlsSession(STS, TlsFailure.VALIDATION_FAILURE, detail=str(n))): 2 for n in range(10)}
    records.add({**many, (7, GOOD): 1})
    found = records.sessions(7, "a.example")
    assert len(found) == 5
    assert sum(count for session, count in found if session.failure) == 20
    assert (TlsSession(STS, TlsFailure.VALIDATION_FAILURE), 14) in found


def test_many_domains_do_not_fill_it(tmp_path: Path) -> None:
    records = TlsRecords(tmp_path, rows=3)
    records.add({(7, TlsSession(TlsPolicy(f"{number}.example"))): 1 for number in range(10)})
    records.add({(7, TlsSession(TlsPolicy("1.example"))): 4})
    assert records.sessions(7, "1.example") == [(TlsSession(TlsPolicy("1.example")), 5)]
    assert records.sessions(7, "5.example") == []
    assert records.sessions(7, "") == [(TlsSession(TlsPolicy("")), 7)]
    assert records.plan(8, lambda: 0.0) == 3  # of the rest nobody is told
    assert records.sessions(7, "") == []


def test_old_days_go(tmp_path: Path) -> None:
    records = TlsRecords(tmp_path)
    records.add({(7, GOOD): 1})
    records.plan(8, lambda: 0.0)
    records.add({(14, GOOD): 1})
    assert records.sessions(7, "a.example") != []
    records.add({(15, GOOD): 1})
    assert records.sessions(7, "a.example") == []
    assert list(records.claim(9.0, 9, 100.0)) == []


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    records = TlsRecords(tmp_path)
    (tmp_path / FILE).write_bytes(b"not a database, " * 1000)
    with pytest.raises(SpoolError, match=FILE):
        records.add({(7, GOOD): 1})
    records.add({(7, GOOD): 1})
    assert records.sessions(7, "a.example") == [(GOOD, 1)]
    assert (tmp_path / (FILE + ".damaged")).exists()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="file"):
        TlsRecords(tmp_path / "file").add({(7, GOOD): 1})
