"""Copies are one moment of what is written to, and say what they are."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from relay.spool import copies, schema


class Writer(threading.Thread):
    """Moves a unit between two rows, and adds a row, again and again: their sum is always the same."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.is_over, self.rounds = folder, threading.Event(), 0
        with closing(schema.open_writer(folder)) as connection:
            connection.execute("CREATE TABLE purse (name TEXT PRIMARY KEY, units INTEGER)")
            connection.execute("INSERT INTO purse VALUES ('a', 500000), ('b', 500000)")
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO body VALUES (?, ?)", [(-key, os.urandom(9000)) for key in range(1, 1500)]
            )
            connection.execute("COMMIT")

    def run(self) -> None:
        with closing(schema.open_writer(self.folder)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            while not self.is_over.is_set():
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE purse SET units = units - 1 WHERE name = 'a'")
                connection.execute("INSERT INTO body VALUES (?, ?)", (self.rounds, os.urandom(3000)))
                connection.execute("UPDATE purse SET units = units + 1 WHERE name = 'b'")
                connection.execute("COMMIT")
                self.rounds += 1
                if self.rounds % 50 == 0:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def test_a_copy_is_one_moment_though_it_is_written_to(tmp_path: Path) -> None:
    """Another connection commits all the time, so that a backup which begins anew would never end."""
    writer = Writer(tmp_path)
    writer.start()
    try:
        for number in range(3):
            target = tmp_path / f"copy-{number}.db"
            at_first = writer.rounds
            copies.copy_database(tmp_path / schema.DATABASE, target, copies.Pace(0.5))
            assert copies.check(target) == "ok"
            assert target.stat().st_mode & 0o777 == 0o600
            with closing(copies.frozen(target)) as connection:
                units = dict(connection.execute("SELECT name, units FROM purse"))
                (rows,) = connection.execute("SELECT count(*) FROM body WHERE key >= 0").fetchone()
            assert sum(units.values()) == 1_000_000
            assert units["b"] - 500_000 == rows
            assert at_first <= rows <= writer.rounds
            assert copies.frozen_schema_of(target) == schema.VERSION
    finally:
        writer.is_over.set()
        writer.join()
    assert sorted(one.name for one in tmp_path.glob("copy*")) == [f"copy-{n}.db" for n in range(3)]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    schema.open_writer(tmp_path).close()
    (tmp_path / "there").write_text("something")
    with pytest.raises(FileExistsError):
        copies.copy_database(tmp_path / schema.DATABASE, tmp_path / "there")
    with pytest.raises(FileExistsError):
        copies.copy_file(tmp_path / schema.DATABASE, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "something"


def test_a_file_is_copied_whole_or_it_is_told(tmp_path: Path) -> None:
    content = os.urandom(2_500_000)
    (tmp_path / "a").write_bytes(content)
    copies.copy_file(tmp_path / "a", tmp_path / "b", copies.Pace(1.0))
    copies.sync(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content
    assert copies.digest(tmp_path / "b") == copies.digest(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        copies.copy_file(tmp_path / "gone", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_what_is_no_database_has_no_schema_and_is_not_ok(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be looked at" * 40)
    (tmp_path / "empty").touch()
    assert copies.schema_of(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()
    assert copies.schema_of(tmp_path / "text") is None
    assert copies.frozen_schema_of(tmp_path / "text") is None
    assert copies.schema_of(tmp_path / "empty") == 0
    assert "not a database" in copies.check(tmp_path / "text")
    with pytest.raises(sqlite3.DatabaseError):
        copies.copy_database(tmp_path / "text", tmp_path / "copy")


def test_a_torn_copy_is_not_ok(tmp_path: Path) -> None:
    with closing(schema.open_writer(tmp_path)) as connection:
        for key in range(50):
            connection.execute("INSERT INTO body VALUES (?, ?)", (key, bytes(20_000)))
    copies.empty_log(tmp_path / schema.DATABASE)
    content = bytearray((tmp_path / schema.DATABASE).read_bytes())
    content[16384 * 3 : 16384 * 9] = b"\xff" * (16384 * 6)
    (tmp_path / "torn").write_bytes(content)
    assert copies.check(tmp_path / "torn") != "ok"
