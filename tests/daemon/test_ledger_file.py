"""What the ledger remembers, and the time that it counts in."""

import sqlite3
from pathlib import Path

import pytest

from relay.daemon.supervisor.ledger_file import FILE, LedgerFile, LedgerTime, Moment, UsageRow, boot_id
from tests.fakes.clock import ManualClock

MOMENT = Moment(1000.0, 2000.0, 3.0, "boot")


def opened(folder: Path) -> LedgerFile:
    file = LedgerFile(folder)
    file.open()
    return file


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = opened(tmp_path)
    assert file.read() == ([], None)
    file.write([UsageRow(7, [(10, 3), (11, 4)], 5.5, 80), UsageRow(8, [], 0.0, 0)], MOMENT, 0)
    file.write([UsageRow(7, [(11, 5)], 6.5, 100)], Moment(1001.0, 2001.0, 4.0, "boot"), 11)
    file.close()
    file.close()
    again = opened(tmp_path)
    rows, moment = again.read()
    assert rows == [UsageRow(7, [(11, 5)], 6.5, 100), UsageRow(8, [], 0.0, 0)]
    assert moment == Moment(1001.0, 2001.0, 4.0, "boot")
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    again.close()


def test_each_write_waits_for_the_disk(tmp_path: Path) -> None:
    file = opened(tmp_path)
    connection = file._opened
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    file.close()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.write([UsageRow(7, [(10, 3)], 0.0, 0)], MOMENT, 0)
    with pytest.raises(sqlite3.Error):
        file.write([UsageRow(7, [(10, 4), (11, None)], 0.0, 0)], MOMENT, 0)  # type: ignore[list-item]
    assert file.read()[0] == [UsageRow(7, [(10, 3)], 0.0, 0)]
    file.write([UsageRow(7, [(10, 5)], 0.0, 0)], MOMENT, 0)
    file.close()


@pytest.mark.parametrize("damage", ["no database", "a torn page", "no version of ours"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    file = opened(tmp_path)
    minutes = [(minute, 1) for minute in range(3000)]
    file.write([UsageRow(7, minutes, 0.0, 0)], MOMENT, 0)
    if damage == "no version of ours":
        file._opened.execute("PRAGMA user_version=-1")
    file._opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    if damage == "no database":
        content[:4096] = b"x" * 4096
    elif damage == "a torn page":
        content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    again = opened(tmp_path)
    assert again.was_damaged
    assert again.read() == ([], None)
    assert (tmp_path / "corrupt" / f"{FILE}-1").read_bytes() == content
    assert "damaged; set aside" in caplog.text
    again.close()


def test_a_file_of_a_newer_relay_is_left_where_it_is(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file._opened.execute("PRAGMA user_version=99")
    file.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(sqlite3.OperationalError, match="version 99; this relay knows 1"):
        LedgerFile(tmp_path).open()
    assert (tmp_path / FILE).read_bytes() == before


def test_a_file_that_cannot_be_had_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    file = LedgerFile(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        file.open()
    assert not file.was_damaged


def test_time_starts_with_the_wall_clock_and_does_not_follow_it() -> None:
    clock = ManualClock(5000.0)
    time = LedgerTime(clock, "boot", None)
    assert time.now() == 5000.0
    clock.jump(-4000.0)
    assert time.now() == 5000.0
    clock.jump(1e9)
    clock.advance(2.5)
    assert time.now() == 5002.5
    assert time.moment() == Moment(5002.5, clock.now(), clock.monotonic(), "boot")


def test_time_goes_on_after_a_restart_whatever_the_wall_clock_says() -> None:
    clock = ManualClock(5000.0)
    last = LedgerTime(clock, "boot", None).moment()
    clock.jump(1e6)
    clock.advance(60.0)
    assert LedgerTime(clock, "boot", last).now() == 5060.0


@pytest.mark.parametrize(("jump", "then"), [(3600.0, 8600.0), (-3600.0, 5000.0)])
def test_after_a_reboot_the_wall_clock_tells_how_long_it_took(jump: float, then: float) -> None:
    clock = ManualClock(5000.0)
    last = LedgerTime(clock, "boot", None).moment()
    clock.jump(jump)
    assert LedgerTime(clock, "another boot", last).now() == then


def test_the_machine_has_a_boot_id() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36
