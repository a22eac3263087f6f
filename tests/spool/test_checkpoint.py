"""The log is moved beside the commits, and starts again instead of growing."""

import os
from contextlib import closing
from pathlib import Path

from relay.base.events import Change
from relay.spool import schema, upkeep
from relay.spool.checkpoint import Checkpoint
from relay.spool.retention import Keep, Retention
from tests.fakes.clock import ManualClock

MB = 1 << 20


def log_bytes(folder: Path) -> int:
    return os.stat(folder / "spool.db-wal").st_size


def test_what_was_committed_is_in_the_database_after_it(tmp_path: Path):
    with closing(schema.open_writer(tmp_path)) as connection:
        connection.execute("INSERT INTO body VALUES (1, ?)", (bytes(4 * MB),))
        assert os.stat(tmp_path / schema.DATABASE).st_size < 1 * MB
        checkpoint = Checkpoint(tmp_path)
        checkpoint.begin()
        checkpoint.wait()
        assert os.stat(tmp_path / schema.DATABASE).st_size > 4 * MB


def test_the_writer_goes_on_meanwhile(tmp_path: Path):
    with closing(schema.open_writer(tmp_path)) as connection:
        connection.execute("INSERT INTO body VALUES (0, ?)", (bytes(16 * MB),))
        checkpoint = Checkpoint(tmp_path)
        checkpoint.begin()
        key = 0
        while checkpoint.is_running:
            key += 1
            connection.execute("INSERT INTO body VALUES (?, x'00')", (key,))
        assert checkpoint.is_over
        checkpoint.forget()
        assert not checkpoint.is_over
        (count,) = connection.execute("SELECT count(*) FROM body").fetchone()
        assert count == key + 1


def test_the_log_starts_again_instead_of_growing(tmp_path: Path):
    with closing(schema.open_writer(tmp_path)) as connection:
        keeper = upkeep.Upkeep(tmp_path, Retention(tmp_path, 1, Keep(), ManualClock()))
        for key in range(300):
            connection.execute("INSERT OR REPLACE INTO body VALUES (?, ?)", (key % 5, bytes(MB)))
            keeper.wrote([Change()])
            keeper._written_bytes += MB
            keeper.keep(connection)
            if keeper.checkpoint.is_running and key % 2 == 0:
                keeper.checkpoint._thread.join()
        keeper.checkpoint.wait()
        assert log_bytes(tmp_path) < 192 * MB


def test_a_database_that_is_gone_is_a_line_in_the_log(tmp_path: Path, caplog):
    checkpoint = Checkpoint(tmp_path / "nowhere")
    checkpoint.begin()
    checkpoint.wait()
    assert "checkpoint failed" in caplog.text
