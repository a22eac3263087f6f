"""The tables: portable types, and numbers that are never used twice."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from relay.directory.models import Table


def test_every_table_can_be_made_on_both_databases() -> None:
    for table in Table.metadata.sorted_tables:
        for dialect in (sqlite.dialect(), postgresql.dialect()):
            assert str(CreateTable(table).compile(dialect=dialect)).strip().startswith("CREATE TABLE")


def test_numbers_that_mail_and_keys_remember_are_not_reused() -> None:
    for name in ("account", "identity", "dkim_key", "topic"):
        made = str(CreateTable(Table.metadata.tables[name]).compile(dialect=sqlite.dialect()))
        assert "AUTOINCREMENT" in made


def test_times_keep_their_fraction_on_postgresql() -> None:
    made = str(CreateTable(Table.metadata.tables["account"]).compile(dialect=postgresql.dialect()))
    assert "created_at FLOAT(53)" in made
