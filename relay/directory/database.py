"""The database under the directory: connections, transactions, migrations, and errors in our words.

Contract: ``reading()`` sees one consistent state. ``writing()`` raises the revision first of all, in the same
transaction as the change, and by that row writers wait for one another; so what a writer checks (a name is
free, two credentials at most) still holds when it commits, and revisions appear in the order of commits.
Every exception of SQLAlchemy or Alembic leaves here as a DirectoryError.

After a crash: SQLite in WAL mode with ``synchronous=FULL``; what the CLI reported as done is on the disk.

Blocking, for threads and the CLI; the event loop calls it only through ``refresh``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event, make_url, select, text, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from relay.base.errors import DirectoryError
from relay.directory.models import RevisionTable

HEAD = "0004"  # the newest of migrations/versions

_BUSY_TIMEOUT_MS = 10_000
_NOTE_TIMEOUT_MS = 1_000
_WRITES = "relay_writes"
_MIGRATION_LOCK = 0x72656C61  # an arbitrary number that all our nodes know


def file_of(url: str) -> Path | None:
    """The file of a directory in SQLite; None for one on a server, or a URL that is none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)) if is_file else None


class Database:
    """One database, named by its SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        """Raises DirectoryError if the URL names no database that can be had; nothing is opened yet."""
        try:
            self._url = make_url(url)
            if self._url.drivername == "postgresql":
                self._url = self._url.set(drivername="postgresql+psycopg")
            self._is_sqlite = self._url.get_backend_name() == "sqlite"
            # A server that is gone must not hold the one polling thread for long.
            limits = {} if self._is_sqlite else {"connect_timeout": 5, "tcp_user_timeout": 10_000}
            self._engine = create_engine(self._url, connect_args=limits, pool_pre_ping=not self._is_sqlite)
        except (ArgumentError, NoSuchModuleError) as error:
            raise DirectoryError(
                f"directory.url {url!r} is not a database URL: use sqlite:////path/to/directory.db "
                f"or postgresql://user@host/name"
            ) from error
        except ModuleNotFoundError as error:
            raise DirectoryError(
                f"directory.url needs the module {error.name}: install it, e.g. pip install relay[postgresql]"
            ) from error
        self._file = self._url.database or ""
        if self._is_sqlite:
            if self._file in ("", ":memory:"):
                raise DirectoryError("directory.url names no file: the directory is shared, so it needs one")
            event.listen(self._engine, "do_connect", self._refuse_missing_file)
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def migrate(self) -> None:
        """Bring the tables to what this version needs; make them if there are none.

        Alembic is loaded only if there is something to do: that takes 0.15 s, which a restart does not have
        to spare.
        """
        if self.is_current():
            return
        import alembic.command
        import alembic.config
        from alembic.util import CommandError

        scripts = alembic.config.Config()
        scripts.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        if self._is_sqlite:
            self._make_private_file()
        try:
            with self._translated(), self._writer() as connection:
                if not self._is_sqlite:
                    # Two nodes that start at once on an empty database: one makes the tables.
                    connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
                scripts.attributes["connection"] = connection
                alembic.command.upgrade(scripts, "head")
        except CommandError as error:
            raise DirectoryError(
                f"the directory {self} was written by a newer version of the relay ({error}): run that one"
            ) from error

    def is_current(self) -> bool:
        """The tables are those of this version. False also if no one can say: migrate() then says why."""
        if self._is_sqlite and not os.path.exists(self._file):
            return False
        try:
            with self._engine.connect() as connection:
                found = connection.execute(text("SELECT version_num FROM alembic_version"))
                return list(found.scalars()) == [HEAD]
        except SQLAlchemyError:
            return False

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only transaction: one consistent state, no waiting for writers."""
        with self._translated(), self._engine.connect() as raw:
            connection = raw
            if not self._is_sqlite:
                connection = raw.execution_options(isolation_level="REPEATABLE READ")
            with Session(connection) as session:
                yield session

    @contextmanager
    def writing(self, *, is_visible: bool = True) -> Iterator[Session]:
        """A transaction that raises the revision; it commits unless the block raises.

        ``is_visible=False`` for what no snapshot shows (when something is looked at next): the revision
        stays, no worker reads the directory anew, and writers on a server do not wait for each other.
        """
        with self._translated(), self._writer() as connection, Session(connection) as session:
            if is_visible:
                session.execute(update(RevisionTable).values(value=RevisionTable.value + 1))
            yield session
            session.flush()

    @contextmanager
    def noting(self) -> Iterator[Session]:
        """A transaction for what no snapshot holds (when a credential was last used): the revision stays.

        It waits a second for other writers, not ten: such a note can be made again later.
        """
        with self._translated(), self._engine.connect() as raw:
            if self._is_sqlite:
                raw.exec_driver_sql(f"PRAGMA busy_timeout={_NOTE_TIMEOUT_MS}")
                raw.commit()
            connection = raw.execution_options(**{_WRITES: True})
            try:
                with connection.begin():
                    if not self._is_sqlite:
                        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_NOTE_TIMEOUT_MS}")
                    with Session(connection) as session:
                        yield session
                        session.flush()
            finally:
                if self._is_sqlite:
                    raw.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")

    def revision(self) -> int:
        """How often the directory has changed."""
        with self.reading() as session:
            return session.execute(select(RevisionTable.value)).scalar_one()

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        with self._engine.connect() as raw:
            connection = raw.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            if "no such table" in cause or "does not exist" in cause:
                raise DirectoryError(
                    f"the directory {self} has no tables: make them with `relay init`"
                ) from error
            raise DirectoryError(f"the directory {self} cannot be used: {cause}") from error

    def _make_private_file(self) -> None:
        """Make the database file for us alone; its journals inherit the mode."""
        try:
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise DirectoryError(
                f"the directory {self} cannot be made: {error.strerror}; make its folder for the relay's user"
            ) from error

    def _refuse_missing_file(self, *_: object) -> None:
        # Else a mistyped path becomes an empty database that anyone may read.
        if not os.path.exists(self._file):
            raise DirectoryError(f"the directory {self} does not exist: make it with `relay init`")


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a lock taken half-way can fail where waiting would have done.
    is_writer = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
