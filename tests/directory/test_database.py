"""The database: tables are made, writers wait for one another, errors say what to do."""

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import alembic.config
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from relay.base.errors import DirectoryError
from relay.directory import database as database_module
from relay.directory.database import Database
from relay.directory.models import RevisionTable, Table


@pytest.fixture
def database(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'd.db'}")
    database.migrate()
    yield database
    database.close()


def test_migrating_twice_is_migrating_once(database: Database) -> None:
    database.migrate()
    assert database.revision() == 1


def test_the_migrations_make_the_tables_of_the_models(database: Database) -> None:
    with database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_the_file_is_ours_alone_and_durable(database: Database, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "d.db").stat().st_mode) == 0o600
    with database.reading() as session:
        answers = {
            pragma: session.execute(text(f"PRAGMA {pragma}")).scalar_one()
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert answers == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_change_raises_the_revision_and_a_failed_one_does_not(database: Database) -> None:
    with database.writing():
        pass
    assert database.revision() == 2
    with pytest.raises(RuntimeError), database.writing():
        raise RuntimeError
    assert database.revision() == 2


def test_a_reader_sees_one_state_while_another_writes(database: Database) -> None:
    with database.reading() as session:
        before = session.execute(select(RevisionTable.value)).scalar_one()
        with database.writing():
            pass
        assert session.execute(select(RevisionTable.value)).scalar_one() == before
    assert database.revision() == before + 1


def test_writers_wait_for_one_another(database: Database) -> None:
    def write() -> None:
        for _ in range(10):
            with database.writing():
                pass

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.revision() == 41


def test_what_cannot_be_a_directory_says_what_to_do(tmp_path: Path) -> None:
    cases = [
        (lambda: Database("nonsense"), "use sqlite:////path"),
        (lambda: Database("nosuch://x/y"), "use sqlite:////path"),
        (lambda: Database("sqlite://"), "names no file"),
        (lambda: Database("sqlite:///:memory:"), "names no file"),
        (lambda: Database("mysql+nosuch://x/y"), "use sqlite:////path"),
        (lambda: Database(f"sqlite:///{tmp_path}/none.db").revision(), "make it with `relay init`"),
        (lambda: Database(f"sqlite:///{tmp_path}/no/d.db").migrate(), "make its folder"),
    ]
    for call, remedy in cases:
        with pytest.raises(DirectoryError, match=remedy):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_tables_or_of_another_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(DirectoryError, match="no tables: make them with `relay init`"):
        Database(f"sqlite:///{tmp_path}/empty.db").revision()
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 30)
    with pytest.raises(DirectoryError, match="cannot be used: file is not a database"):
        Database(f"sqlite:///{tmp_path}/text.db").revision()


def test_a_directory_of_a_newer_relay_is_left_alone(database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "d.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DirectoryError, match="newer version of the relay"):
        database.migrate()


def test_a_password_in_the_url_is_not_shown() -> None:
    pytest.importorskip("psycopg")
    assert "hunter2" not in str(Database("postgresql://relay:hunter2@localhost/relay"))


def test_the_newest_migration_is_the_one_that_is_taken_for_it() -> None:
    scripts = alembic.config.Config()
    scripts.set_main_option("script_location", str(Path(database_module.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(scripts).get_current_head() == database_module.HEAD


def test_alembic_is_not_loaded_where_there_is_nothing_to_do(database: Database) -> None:
    program = (
        "import sys; from relay.directory.database import Database;"
        f"Database({f'sqlite:///{database._file}'!r}).migrate(); print('alembic' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
