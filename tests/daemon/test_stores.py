"""The list of databases is the list of what there is, and its numbers are those of the owners."""

import re
from pathlib import Path

from relay.daemon import stores
from relay.daemon.notifier import outbox
from relay.daemon.settings.config import load
from relay.daemon.supervisor import ledger_file
from relay.directory import database
from relay.spool import schema
from relay.spool.recover import shard_folder


def test_the_numbers_are_the_owners() -> None:
    assert (stores.LIMITS, stores.LIMITS_SCHEMA) == (ledger_file.FILE, ledger_file._VERSION)
    assert (stores.NOTIFICATIONS, stores.NOTIFICATIONS_SCHEMA) == (outbox.FILE, outbox._VERSION)
    assert stores.known_schema("spool.db") == schema.VERSION
    assert stores.known_schema("limits.db") == 1
    assert stores.known_schema("statistics.db") == 0
    assert stores.known_schema("directory.db") == int(database.HEAD)


def test_every_database_of_the_package_is_listed() -> None:
    package = Path(stores.__file__).parents[1]
    named = {
        name
        for module in package.rglob("*.py")
        for name in re.findall(r'^(?:FILE|DATABASE) = "([^"]+\.db)"', module.read_text(), re.MULTILINE)
    }
    assert named == {"spool.db", *stores.BOOKS, stores.LIMITS}


def test_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(
        "[spool]\npath = 'mail'\n[directory]\nkey_file = 'state/relay.key'\n"
    )
    config = load(tmp_path / "relay.toml")
    schema.open_writer(_made(shard_folder(tmp_path / "mail", 7))).close()
    found = {str(one.file.relative_to(tmp_path)): one.known for one in stores.stores_of(config)}
    assert found["mail/shard-000007/spool.db"] == schema.VERSION
    assert found["state/directory.db"] == int(database.HEAD)
    assert len(found) == 7
    url = config.directory.model_copy(update={"url": "postgresql://relay@db.example.com/relay"})
    on_a_server = stores.stores_of(config.model_copy(update={"directory": url}))
    assert len(on_a_server) == 6


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
