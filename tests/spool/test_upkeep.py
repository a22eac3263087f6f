"""When the log is moved, and what counts as room, on disks with much and with little of it."""

import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from relay.base.events import Change
from relay.spool import schema, upkeep

MB = 1 << 20


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A file system with as much room as ``disk.room`` says."""
    one = SimpleNamespace(room=100_000 * MB)
    monkeypatch.setattr(
        upkeep.os, "statvfs", lambda _: SimpleNamespace(f_bavail=one.room // 4096, f_frsize=4096)
    )
    return one


def write(connection, keeper: upkeep.Upkeep, size: int, key: int) -> None:
    connection.execute("INSERT INTO body VALUES (?, ?)", (key, bytes(size)))
    keeper.wrote([Change()])
    keeper.keep(connection)


def log_bytes(folder: Path) -> int:
    return os.stat(folder / "spool.db-wal").st_size


def test_with_much_room_the_log_grows(tmp_path: Path, disk: SimpleNamespace):
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep.Upkeep(tmp_path, 10)
        for key in range(100):
            write(connection, keeper, 100_000, key)
        assert log_bytes(tmp_path) > 10 * MB
        assert keeper.reusable_bytes == 0


def test_with_little_room_the_log_never_takes_more_than_half_of_what_is_left(
    tmp_path: Path, disk: SimpleNamespace
):
    disk.room = 8 * MB
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep.Upkeep(tmp_path, 10)
        for key in range(100):
            write(connection, keeper, 100_000, key)
            assert log_bytes(tmp_path) <= 4 * MB
        assert os.stat(tmp_path / schema.DATABASE).st_size > 8 * MB


def test_what_the_database_has_free_counts_as_room(tmp_path: Path, disk: SimpleNamespace):
    disk.room = 8 * MB
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep.Upkeep(tmp_path, 10)
        for key in range(100):
            write(connection, keeper, 100_000, key)
        before = keeper.reusable_bytes
        connection.execute("DELETE FROM body WHERE key < 50")
        keeper.wrote([Change()])
        keeper.keep(connection)
        assert keeper.reusable_bytes >= before + 4 * MB


def test_the_oldest_events_go_and_the_newest_stays(tmp_path: Path):
    with closing(schema.open_writer(tmp_path)) as connection:
        connection.executemany(
            "INSERT INTO event VALUES (?, 0, 'Send', '', 0, '{}')", [(n,) for n in range(1, 2001)]
        )
        keeper = upkeep.Upkeep(tmp_path, 10)
        keeper.look(connection)
        keeper.keep(connection)
        (first, last) = connection.execute("SELECT min(offset), max(offset) FROM event").fetchone()
        assert (first, last) == (1991, 2000)
