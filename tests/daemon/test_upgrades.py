"""A relay of a new version meets databases of an old one, and an old relay those of a new one."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import namedtuple
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from relay.base.errors import ConfigError, StartError
from relay.daemon import first, upgrades
from relay.daemon.settings.config import Config, load
from relay.daemon.stores import Store, stores_of
from relay.daemon.supervisor.startup import prepare
from relay.directory.database import HEAD, Database
from relay.spool import copies, recover, schema
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes import old_stores
from tests.fakes.clock import ManualClock
from tests.fakes.command_line import typed

NOW = 1_800_000_000.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    file = tmp_path / "relay.toml"
    first.secrets.create_key_file(tmp_path / "relay.key")
    file.write_text("[spool]\npath = 'spool'\ndisk_reserve = '1 MB'\n[directory]\nkey_file = 'relay.key'\n")
    (tmp_path / "spool").mkdir(mode=0o710)
    return load(file)


def shard_file(settings: Config) -> Path:
    return recover.shard_folder(settings.spool.path, 1) / schema.DATABASE


def kept(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.glob("*.bak"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every database and log, but for logs without content and their index."""
    files = [one for one in folder.rglob("*.db*") if not one.name.endswith("-shm") and one.stat().st_size]
    return {str(one.relative_to(folder)): one.read_bytes() for one in files}


def version(file: Path) -> int | None:
    return copies.schema_of(file)


@pytest.mark.parametrize("old", [1, 2, 3])
async def test_a_shard_is_upgraded_and_a_copy_of_the_old_one_kept(settings: Config, old: int) -> None:
    file = shard_file(settings)
    ids = old_stores.shard(file, old)
    (copy,) = upgrades.check(settings, NOW)
    assert copy == file.with_name(f"spool.db.schema-{old}.20270115T080000Z.bak")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert version(file) == old  # its owner migrates it, when it opens it
    async with AsyncExitStack() as stack:
        shard = await Shard.open(settings.spool.path, 1, SpoolLimits(0), ManualClock(), stack)
        due = await shard.due(NOW + 1, 9, set())
        assert [one.id for one in due] == ids
        assert set((await shard.contents(due)).values()) == {old_stores.CONTENT}
    assert version(file) == schema.VERSION
    assert upgrades.check(settings, NOW) == []  # once
    with closing(copies.frozen(copy)) as connection:  # as the old one reads it
        found = connection.execute(
            "SELECT m.id, r.reply FROM message m JOIN recipient r ON r.message = m.key"
        )
        assert found.fetchall() == [(one, "450 later") for one in ids]
        names = [row[1] for row in connection.execute("PRAGMA table_info(message)")]
        assert ("return_path" in names, "deadline" in names, "identity" in names) == (old > 1, old > 2, False)
    assert copies.check(copy) == "ok"


async def test_the_copy_put_back_as_the_text_says_is_the_old_spool(settings: Config) -> None:
    file = shard_file(settings)
    old_stores.shard(file, 3)
    before = file.read_bytes()
    (copy,) = upgrades.check(settings, NOW)
    schema.open_writer(file.parent).close()
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    copy.rename(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert (version(file), file.stat().st_size) == (3, len(before))


@pytest.mark.parametrize("old", ["0001", "0002", "0003"])
def test_a_directory_is_upgraded_and_a_copy_of_the_old_one_kept(settings: Config, old: str) -> None:
    file = settings.directory.key_file.with_name("directory.db")
    old_stores.directory(file, old)
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    os.close(prepare(settings))
    (name,) = kept(file.parent)
    assert name.startswith(f"directory.db.schema-{int(old)}.")
    with closing(copies.frozen(file.with_name(name))) as connection:
        assert connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall() == tables
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(old,)]
    assert version(file) == int(HEAD)
    os.close(prepare(settings))
    assert kept(file.parent) == [name]


def test_nothing_is_copied_where_nothing_is_old(settings: Config) -> None:
    os.close(prepare(settings))
    os.close(prepare(settings))
    assert upgrades.all_copies(settings) == []
    assert (settings.spool.path / upgrades.LAST_RUN_BY).read_text().strip()


@pytest.mark.parametrize("name", ["limits.db", "notifications.db"])
def test_the_books_are_copied_as_well(settings: Config, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one schema of each so far: here this version knows one more."""
    file = settings.spool.path / name
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version=1")
        connection.execute("CREATE TABLE sent (account INTEGER)")
    one_more = [Store(one.file, one.known + 1, one.setting) for one in stores_of(settings)]
    monkeypatch.setattr(upgrades, "stores_of", lambda _: one_more)
    (copy,) = upgrades.check(settings, NOW)
    assert copy.name == f"{name}.schema-1.20270115T080000Z.bak"
    assert copies.check(copy) == "ok"


KILLED_BEFORE = """
import os, signal, sys
from pathlib import Path
from relay.daemon import upgrades
from relay.daemon.settings.config import load
upgrades.check(load(Path(sys.argv[1])), 1_800_000_000.0)
os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED_WITHIN = """
import os, signal, sqlite3, sys
from pathlib import Path
from relay.daemon import upgrades
from relay.daemon.settings.config import load
from relay.spool import schema
config = load(Path(sys.argv[1]))
upgrades.check(config, 1_800_000_000.0)
connect = sqlite3.connect
def deadly(*words, **names):
    connection = connect(*words, **names)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return connection
sqlite3.connect = deadly
schema._UPGRADES[3] += "SELECT die();"
schema.open_writer(config.spool.path / "shard-000001")
"""

KILLED_COPYING = """
import os, signal, sys
from pathlib import Path
from relay.daemon import upgrades
from relay.daemon.settings.config import load
from relay.spool import copies
def half(source, target, pace=None):
    target.write_bytes(source.read_bytes()[:20000])
    os.kill(os.getpid(), signal.SIGKILL)
copies.copy_database = half
upgrades.check(load(Path(sys.argv[1])), 1_800_000_000.0)
"""


@pytest.mark.parametrize("program", [KILLED_BEFORE, KILLED_WITHIN, KILLED_COPYING])
def test_killed_on_the_way_it_is_old_or_new_and_goes_on(settings: Config, program: str) -> None:
    file = shard_file(settings)
    ids = old_stores.shard(file, 2)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program, str(settings.path)], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        assert version(file) == 2
        assert len(kept(file.parent)) == (0 if program is KILLED_COPYING else 1)
    upgrades.check(settings, NOW + 60)
    (copy,) = kept(file.parent)  # the same one: nothing was written since
    with closing(copies.frozen(file.with_name(copy))) as connection:
        assert [row[0] for row in connection.execute("SELECT id FROM message")] == ids
    assert not file.with_name("spool.db.copying").exists()
    schema.open_writer(file.parent).close()
    assert version(file) == schema.VERSION


def test_a_second_upgrade_from_the_same_schema_has_a_copy_of_its_own(settings: Config) -> None:
    file = shard_file(settings)
    old_stores.shard(file, 3)
    upgrades.check(settings, NOW)
    with closing(sqlite3.connect(file)) as connection, connection:  # the old version ran once more
        connection.execute("DELETE FROM recipient WHERE message = 1")
    for _ in range(2):
        upgrades.check(settings, NOW)
    assert kept(file.parent) == [
        "spool.db.schema-3.20270115T080000Z-1.bak",
        "spool.db.schema-3.20270115T080000Z.bak",
    ]


def newer(settings: Config, name: str) -> Path:
    """One of the databases, of a version to come."""
    if name == "directory.db":
        file = settings.directory.key_file.with_name(name)
        database = Database(f"sqlite:///{file}")
        database.migrate()
        database.close()
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '0099'")
        return file
    file = settings.spool.path / name
    file.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE what_is_to_come (a)")
        connection.execute("PRAGMA user_version=99")
    return file


ALL = [
    "shard-000001/spool.db",
    "limits.db",
    "notifications.db",
    "statistics.db",
    "positions.db",
    "tls-sessions.db",
    "directory.db",
]


@pytest.mark.parametrize("name", ALL)
def test_a_newer_one_is_refused_and_nothing_changed(settings: Config, name: str, tmp_path: Path) -> None:
    file = newer(settings, name)
    (settings.spool.path / upgrades.LAST_RUN_BY).write_text("0.9.7\n")
    before = contents(tmp_path)
    with pytest.raises(ConfigError) as refused:
        prepare(settings)
    assert f"{file} has schema 99, this relay" in str(refused.value)
    assert "a newer version wrote it; install relay 0.9.7 again" in str(refused.value)
    assert contents(tmp_path) == before


def test_refused_by_the_command_with_78(settings: Config, tmp_path: Path) -> None:
    for name in ("limits.db", "directory.db"):
        newer(settings, name)
    file = shard_file(settings)
    old_stores.shard(file, 3)
    (copy,) = upgrades._keep([(Store(file, 4, ""), 3)], 0, NOW)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version=5")
    before = contents(tmp_path)
    done = typed(["run"], {**os.environ, "RELAY_CONFIG": str(settings.path)}, b"")
    said = done.stderr.decode()
    assert done.returncode == 78, said
    assert f"{file} has schema 5, this relay" in said
    assert "knows up to 4" in said
    assert f"or put back the copy that it kept, {copy}: first move spool.db, -wal and -shm aside" in said
    assert f"{settings.spool.path}/limits.db has schema 99" in said
    assert "directory.db has schema 99" in said
    assert "Traceback" not in said
    assert contents(tmp_path) == before


def test_a_revision_that_is_no_number_is_newer(settings: Config) -> None:
    file = newer(settings, "directory.db")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'a1b2c3'")
    with pytest.raises(ConfigError, match="has a schema, this relay"):
        upgrades.check(settings, NOW)


def test_copies_that_are_old_are_found_by_their_names(settings: Config) -> None:
    file = shard_file(settings)
    old_stores.shard(file, 3)
    (first_one,) = upgrades.check(settings, NOW)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM uncertain")
        connection.execute("DELETE FROM recipient WHERE message = 1")
    (second,) = upgrades.check(settings, NOW + 86_400)
    assert upgrades.all_copies(settings) == [first_one, second]
    assert upgrades.aged_copies(settings, NOW) == []
    assert upgrades.aged_copies(settings, NOW + 1) == [first_one]
    assert upgrades.aged_copies(settings, NOW + 86_401) == [first_one, second]


def test_a_directory_that_init_finds_is_kept_as_well(tmp_path: Path) -> None:
    old_stores.directory(tmp_path / "directory.db", "0003")
    first.make(tmp_path, first.Choices("relay.example.com"))
    (name,) = kept(tmp_path)
    assert copies.frozen_schema_of(tmp_path / name) == 3
    assert version(tmp_path / "directory.db") == int(HEAD)


def test_systemd_is_told_that_a_copy_takes_its_time(
    settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_stores.shard(shard_file(settings), 3)
    asked: list[float] = []
    monkeypatch.setattr(upgrades.systemd, "extend", asked.append)
    upgrades.check(settings, NOW)
    upgrades.check(settings, NOW)
    (seconds,) = asked
    assert seconds > 60


def test_no_room_for_the_copy(settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shard_file(settings)
    old_stores.shard(file, 3)
    size = file.stat().st_size
    room = namedtuple("room", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room(0, 0, size + 999_999))
    with pytest.raises(StartError, match=r"the upgrade keeps a copy of .* make room .* nothing was changed"):
        upgrades.check(settings, NOW)
    assert kept(file.parent) == []
    assert version(file) == 3
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room(0, 0, size + 1_000_000))
    assert len(upgrades.check(settings, NOW)) == 1


def test_a_disk_that_fails_while_it_is_copied(settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shard_file(settings)
    old_stores.shard(file, 3)

    def full(*_: object) -> None:
        file.with_name("spool.db.copying").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "copy_database", full)
    with pytest.raises(StartError, match=r"cannot be made: .*No space left on device; nothing was changed"):
        upgrades.check(settings, NOW)
    assert not file.with_name("spool.db.copying").exists()
    assert version(file) == 3


def test_a_worker_of_a_killed_relay_is_waited_for(settings: Config) -> None:
    file = shard_file(settings)
    old_stores.shard(file, 3)
    lock = recover.lock(file.parent)
    with pytest.raises(StartError, match="in use by another process"):
        upgrades.check(settings, NOW)
    os.close(lock)
    assert len(upgrades.check(settings, NOW)) == 1


def test_a_restore_that_was_cut_off_is_not_run_from(settings: Config) -> None:
    (settings.spool.path / upgrades.RESTORING).mkdir()
    with pytest.raises(ConfigError, match="a restore was cut off here: run `relay restore` again"):
        upgrades.check(settings, NOW)


def test_a_damaged_one_is_its_owners_affair(settings: Config) -> None:
    (settings.spool.path / "limits.db").write_bytes(b"nonsense" * 1000)
    assert upgrades.check(settings, NOW) == []
