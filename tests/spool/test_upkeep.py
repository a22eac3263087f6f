"""When the log is moved, and what counts as room, on disks with much and with little of it."""

import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from relay.base.events import Change
from relay.spool import schema, upkeep
from relay.spool.retention import Keep, Retention
from tests.fakes.clock import ManualClock

MB = 1 << 20


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A file system with as much room as ``disk.room`` says."""
    one = SimpleNamespace(room=100_000 * MB)
    monkeypatch.setattr(
        upkeep.os, "statvfs", lambda _: SimpleNamespace(f_bavail=one.room // 4096, f_frsize=4096)
    )
    return one


def upkeep_of(folder: Path) -> upkeep.Upkeep:
    return upkeep.Upkeep(folder, Retention(folder, 1, Keep(), ManualClock()))


def write(connection, keeper: upkeep.Upkeep, size: int, key: int) -> None:
    connection.execute("INSERT INTO body VALUES (?, ?)", (key, bytes(size)))
    keeper.wrote([Change()])
    keeper.keep(connection)


def log_bytes(folder: Path) -> int:
    return os.stat(folder / "spool.db-wal").st_size


def test_with_much_room_the_log_grows(tmp_path: Path, disk: SimpleNamespace):
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep_of(tmp_path)
        for key in range(100):
            write(connection, keeper, 100_000, key)
        assert log_bytes(tmp_path) > 10 * MB
        assert keeper.reusable_bytes == 0


def test_with_little_room_the_log_never_takes_more_than_half_of_what_is_left(
    tmp_path: Path, disk: SimpleNamespace
):
    disk.room = 8 * MB
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep_of(tmp_path)
        for key in range(100):
            write(connection, keeper, 100_000, key)
            assert log_bytes(tmp_path) <= 4 * MB
        assert os.stat(tmp_path / schema.DATABASE).st_size > 8 * MB


def test_what_the_database_has_free_counts_as_room(tmp_path: Path, disk: SimpleNamespace):
    disk.room = 8 * MB
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep_of(tmp_path)
        for key in range(100):
            write(connection, keeper, 100_000, key)
        before = keeper.reusable_bytes
        connection.execute("DELETE FROM body WHERE key < 50")
        keeper.wrote([Change()])
        keeper.keep(connection)
        assert keeper.reusable_bytes >= before + 4 * MB


def test_the_file_of_the_log_keeps_its_size_and_what_is_in_use_is_known(tmp_path: Path):
    with closing(schema.open_writer(tmp_path)) as connection:
        for key in range(50):
            connection.execute("INSERT INTO body VALUES (?, ?)", (key, bytes(100_000)))
        grown = log_bytes(tmp_path)
        assert 0 <= grown - schema.log_bytes(tmp_path) < 100  # the file has a header of its own
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.execute("INSERT INTO body VALUES (?, ?)", (50, b""))
        assert log_bytes(tmp_path) == grown
        assert 0 < schema.log_bytes(tmp_path) < 1 * MB


def test_a_log_full_of_retries_is_moved_though_no_content_came(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(upkeep, "_LARGEST_LOG_BYTES", 2 * MB)
    monkeypatch.setattr(upkeep, "_LOOK_EVERY", 1)
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep_of(tmp_path)
        for key in range(100):
            write(connection, keeper, 100_000, key)
            keeper.checkpoint._thread and keeper.checkpoint._thread.join()
            assert schema.log_bytes(tmp_path) < 3 * MB
