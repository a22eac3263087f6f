"""How a shard's database is opened, and that no statement of the hot path scans the backlog."""

import os
import sqlite3
from pathlib import Path

import pytest

from relay.spool import rows, schema


def test_durable_by_setting(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    told = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "page_size", "user_version", "wal_autocheckpoint")
    ]
    assert told == ["wal", 2, 16384, schema.VERSION, 0]
    connection.close()


def test_opened_twice_is_the_same(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    connection.execute("INSERT INTO body VALUES (1, x'00')")
    connection.close()
    connection = schema.open_writer(tmp_path)
    assert connection.execute("SELECT count(*) FROM body").fetchone() == (1,)
    connection.close()


def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(sqlite3.DatabaseError, match="has version 99"):
        schema.open_writer(tmp_path)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    schema.open_writer(tmp_path).close()
    reader = schema.open_reader(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM body")
    reader.close()


STATEMENTS = {
    f"{name[1:]} {size}": sql
    for name, by_size in vars(rows).items()
    if isinstance(by_size, dict) and 64 in by_size and isinstance(by_size[64], str)
    for size, sql in by_size.items()
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_scans_the_queue(name: str, tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    sql = STATEMENTS[name]
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [0] * sql.count("?"))]
    connection.close()
    tables = ("message", "body", "recipient", "event", "uncertain")
    assert not [step for step in plan if step.startswith(tuple(f"SCAN {table}" for table in tables))]


def test_what_is_due_comes_from_its_index(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    plan = [
        row[3]
        for row in connection.execute(
            "EXPLAIN QUERY PLAN SELECT r.number FROM recipient r JOIN message m ON m.key = r.message"
            " WHERE r.state = 1 AND r.due <= 9 ORDER BY r.due LIMIT 9"
        )
    ]
    connection.close()
    assert plan[0] == "SEARCH r USING INDEX recipient_due (due<?)"
    assert not [step for step in plan if "TEMP B-TREE" in step]


def test_looking_at_the_log_leaves_the_locks_alone(tmp_path: Path) -> None:
    """Were a lock lost, the process that joins next would take itself for the first, and cut the log's index
    to nothing while this one has it mapped: SIGBUS."""
    writer = schema.open_writer(tmp_path)
    writer.execute("INSERT INTO body VALUES (1, x'00')")
    index = tmp_path / "spool.db-shm"
    before = held(index)
    assert before
    assert schema.log_bytes(tmp_path) > 0
    assert held(index) == before
    writer.close()


def held(file: Path) -> list[str]:
    """The locks on the file, as the kernel lists them."""
    inode = f":{os.stat(file).st_ino} "
    return sorted(
        line.split(" ", 1)[1] for line in Path("/proc/locks").read_text().splitlines() if inode in line
    )


def test_the_log_is_measured_whatever_was_in_its_file_before(tmp_path: Path) -> None:
    writer = schema.open_writer(tmp_path)
    for round_number in range(4):
        rows = 30 >> round_number
        for key in range(rows):
            writer.execute("INSERT OR REPLACE INTO body VALUES (?, ?)", (key, bytes(40_000)))
        (_, frames, _) = writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert schema.log_bytes(tmp_path) == frames * (16384 + 24)
    writer.close()
