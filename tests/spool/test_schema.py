"""How a shard's database is opened, and that no statement of the hot path scans the backlog."""

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
