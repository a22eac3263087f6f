"""A backup comes back: to where it was or elsewhere, held, with nothing deleted, and only where it may."""

import os
import shutil
import sqlite3
from collections import namedtuple
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from relay.base.errors import BackupError, ConfigError
from relay.daemon import upgrades
from relay.daemon.backup import making, restoring, verifying
from relay.daemon.backup.archive_reader import opened
from relay.daemon.backup.places import Places, part_of
from relay.daemon.backup.restoring import Restored
from relay.daemon.settings.config import load
from relay.daemon.supervisor import startup
from relay.directory.store import Directory
from relay.spool import recover, schema
from tests.fakes import old_stores
from tests.fakes.clock import ManualClock
from tests.fakes.spool import done
from tests.fakes.stopped_relay import StoppedRelay, waiting

NOW = 1_800_000_000.0
STAMP = "20270115T080000Z"
HELD = schema.HELD


@pytest.fixture
async def stopped(tmp_path: Path) -> StoppedRelay:
    relay = StoppedRelay(tmp_path / "relay")
    await relay.fill()
    directory = relay.directory()
    directory.accounts.create("shop", "a@example.com")
    directory.credentials.create("shop")
    directory.close()
    making.make(relay.config, tmp_path / "backup", ManualClock(), share=1.0)
    return relay


def restore(
    backup: Path, only: tuple[str, ...] = (), hold: bool = True, force: bool = False, **to: Path
) -> Restored:
    with opened(backup) as archive:
        places = Places.of(archive.manifest, **to)
        return restoring.restore(archive, places, part_of(list(only)), NOW, hold=hold, force=force)


def everything(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, but for the logs that SQLite makes for whoever reads, and the lock."""
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file() and not one.name.endswith(("-shm", "-wal", "lock"))
    }


async def test_on_an_empty_machine_it_is_as_it_was(stopped: StoppedRelay, tmp_path: Path) -> None:
    before, modes = everything(stopped.folder), (stopped.folder.stat().st_mode, stopped.spool.stat().st_mode)
    mail = waiting(stopped.spool)
    shutil.rmtree(stopped.folder)
    told = restore(tmp_path / "backup")
    assert (told.held, told.held_before, told.aside) == (8, 0, [])
    after = everything(stopped.folder)
    assert set(after) == set(before)
    same = [name for name in before if not name.endswith(".db")]
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (stopped.folder.stat().st_mode, stopped.spool.stat().st_mode) == modes
    assert (stopped.folder / "relay.key").stat().st_mode & 0o777 == 0o600
    assert waiting(stopped.spool) == {one: dict.fromkeys(of, HELD) for one, of in mail.items()}
    config = load(stopped.config.path)
    os.close(startup.prepare(config))  # a relay starts on it
    section = config.directory
    directory = Directory(section.url, section.key_file, section.region)
    assert [one.name for one in directory.accounts.list()] == ["shop"]
    assert len(directory.credentials.list()) == 1
    directory.close()


async def test_released_it_goes_at_once(stopped: StoppedRelay, tmp_path: Path) -> None:
    shutil.rmtree(stopped.folder)
    assert restore(tmp_path / "backup", hold=False).held == 0
    async with AsyncExitStack() as stack:
        shard = await stopped.opened(1, stack)
        due = await shard.due(NOW + 9e9, 99, set())
        assert len(due) == 3
        assert not [one for one in (await shard.contents(due)).values() if isinstance(one, Exception)]


async def test_elsewhere_for_a_drill_nothing_is_touched(stopped: StoppedRelay, tmp_path: Path) -> None:
    before = everything(stopped.folder)
    lock = startup.prepare(stopped.config)  # the real one may run
    told = restore(tmp_path / "backup", configuration=tmp_path / "drill")
    os.close(lock)
    assert told.spool == str(tmp_path / "drill/spool")
    assert {**everything(stopped.folder), upgrades.LAST_RUN_BY: b""}.keys() >= before.keys()
    config = load(tmp_path / "drill/relay.toml")
    assert config.spool.path == tmp_path / "drill/spool"
    os.close(startup.prepare(config))
    assert set(waiting(config.spool.path)) == set(stopped.ids)


async def test_what_is_there_is_not_replaced_unless_asked(stopped: StoppedRelay, tmp_path: Path) -> None:
    directory = stopped.directory()
    directory.accounts.create("later", "b@example.com")
    directory.close()
    (stopped.folder / "relay.toml").write_text("# edited\n")
    before = everything(stopped.folder)
    with pytest.raises(
        BackupError, match=r" and 2 more would be replaced; --force moves aside what is there"
    ):
        restore(tmp_path / "backup")
    assert everything(stopped.folder) == before
    told = restore(tmp_path / "backup", force=True)
    after = everything(stopped.folder)
    for name, content in before.items():  # it all is somewhere
        inner = name.removeprefix("spool/")
        places = [name, f"{name}.before-{STAMP}", f"spool/before-{STAMP}/{inner}"]
        assert content in [after.get(one) for one in places], name
    assert after[f"relay.toml.before-{STAMP}"] == b"# edited\n"
    assert told.as_they_were == 4  # key file, certificate and its key, key of the service domain
    assert str(stopped.spool / f"before-{STAMP}") in told.aside
    assert len(told.aside) >= 3
    directory = stopped.directory()
    assert [one.name for one in directory.accounts.list()] == ["shop"]
    directory.close()
    with pytest.raises(BackupError, match="would be replaced"):
        restore(tmp_path / "backup")
    assert f"{stopped.spool}/before-{STAMP}-1" in restore(tmp_path / "backup", force=True).aside


async def test_a_part_alone(stopped: StoppedRelay, tmp_path: Path) -> None:
    shutil.rmtree(stopped.spool)
    (stopped.folder / "relay.toml").write_text("# edited\n")
    told = restore(tmp_path / "backup", only=("spool",))
    assert (told.files, told.as_they_were, told.held) == (0, 0, 8)
    assert (stopped.folder / "relay.toml").read_text() == "# edited\n"
    told = restore(tmp_path / "backup", only=("configuration",), force=True)
    assert (told.files, told.as_they_were, told.held) == (1, 3, 0)
    assert set(waiting(stopped.spool)) == set(stopped.ids)


async def test_not_while_a_relay_runs(stopped: StoppedRelay, tmp_path: Path) -> None:
    lock = startup.prepare(stopped.config)
    for only in ((), ("directory",)):
        with pytest.raises(BackupError, match=rf"a relay runs on .* \(pid {os.getpid()}\); stop it first"):
            restore(tmp_path / "backup", only=only, force=True)
    os.close(lock)
    shard = recover.lock(stopped.shard(2))  # a worker outlives a supervisor that was killed
    with pytest.raises(BackupError, match="a relay runs on"):
        restore(tmp_path / "backup", force=True)
    os.close(shard)
    assert not (stopped.spool / upgrades.RESTORING).exists()


async def test_not_beside_a_relay_whose_directory_it_would_replace(
    stopped: StoppedRelay, tmp_path: Path
) -> None:
    directory = stopped.directory()
    directory.accounts.create("later", "b@example.com")
    directory.close()
    lock = startup.prepare(stopped.config)
    with pytest.raises(BackupError, match="a relay runs on"):
        restore(tmp_path / "backup", force=True, spool=tmp_path / "drill")
    assert restore(tmp_path / "backup", only=("spool",), spool=tmp_path / "drill").held == 8
    os.close(lock)
    assert restore(tmp_path / "backup", force=True, spool=tmp_path / "other").files == 1


async def test_what_systemd_handed_in_is_put_where_it_can_have_it_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = StoppedRelay(tmp_path / "relay")
    await relay.fill()
    handed = tmp_path / "handed"
    handed.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    key = handed / "tls.key"
    (relay.folder / "tls.key").rename(key)
    key.chmod(0o440)
    text = relay.config.path.read_text().replace(
        'private_key = "tls.key"', 'private_key = "credential:tls.key"'
    )
    relay.config.path.chmod(0o600)
    relay.config.path.write_text(text)
    secret = key.read_bytes()
    making.make(load(relay.config.path), tmp_path / "backup", ManualClock(), share=1.0)
    shutil.rmtree(relay.folder)
    shutil.rmtree(handed)
    restore(tmp_path / "backup")
    assert not handed.exists()
    put = relay.folder / "credentials/tls.key"
    assert put.read_bytes() == secret
    assert put.stat().st_mode & 0o777 == 0o400
    with opened(tmp_path / "backup") as archive:
        told = Places.of(archive.manifest).unlike(archive.manifest)
    assert told == [f"the service takes LoadCredential=tls.key:PATH; its content is in {put}"]


async def test_a_damaged_backup_changes_nothing(stopped: StoppedRelay, tmp_path: Path) -> None:
    large = next((tmp_path / "backup/spool").glob("*/large/*"))
    content = large.read_bytes()
    large.unlink()  # it is a link to the relay's own
    large.write_bytes(b"X" + content[1:])
    before = everything(stopped.folder)
    with pytest.raises(
        BackupError, match=r"the backup is damaged, and nothing was changed: .* SHA-256 differs"
    ):
        restore(tmp_path / "backup", force=True)
    assert everything(stopped.folder) == before
    with pytest.raises(BackupError, match="the backup is damaged"):
        restore(tmp_path / "backup", configuration=tmp_path / "drill")
    assert everything(tmp_path / "drill") == {}


async def test_what_was_set_aside_as_damaged_comes_back_as_it_is(
    stopped: StoppedRelay, tmp_path: Path
) -> None:
    """A relay that has met damage once is one that needs its backups."""
    for place in (stopped.shard(1) / "corrupt/1800000000", stopped.spool / "corrupt"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "spool.db").write_bytes(b"rubbish" * 1000)
        shutil.copy(stopped.shard(2) / "spool.db", place / "whole.db")
    making.make(stopped.config, tmp_path / "second.tar", ManualClock(), share=1.0)
    with opened(tmp_path / "second.tar") as archive:
        assert verifying.verify(archive) == []
    shutil.rmtree(stopped.folder)
    assert restore(tmp_path / "second.tar").held == 8
    assert (stopped.shard(1) / "corrupt/1800000000/spool.db").read_bytes() == b"rubbish" * 1000


async def test_a_message_whose_content_was_lost_before_keeps_no_other_from_coming_back(
    stopped: StoppedRelay, tmp_path: Path
) -> None:
    """The relay has yet to find that damage; it does so on what is restored."""
    large = next(stopped.spool.glob("*/large/*"))
    large.unlink()
    manifest = making.make(stopped.config, tmp_path / "second", ManualClock(), share=1.0)
    name = str(large.relative_to(stopped.folder))
    assert manifest.lacking == [name]
    assert manifest.notes == [f"{large} is missing: the message is damaged"]
    with opened(tmp_path / "second") as archive:
        assert verifying.verify(archive) == []
    shutil.rmtree(stopped.folder)
    assert restore(tmp_path / "second").held == 8
    lost = tmp_path / "backup" / name  # there it was still whole, and what the backup itself lacks is told
    lost.unlink()
    with opened(tmp_path / "backup") as archive:
        assert verifying.verify(archive) == [f"{name} is missing"]


async def test_no_room(stopped: StoppedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = namedtuple("room", "total used free")
    monkeypatch.setattr(restoring.shutil, "disk_usage", lambda _: room(0, 0, 1000))
    before = everything(stopped.folder)
    with pytest.raises(BackupError, match=r"has 0 MB free, the restore needs .* MB; make room"):
        restore(tmp_path / "backup", force=True)
    assert everything(stopped.folder) == before


async def test_cut_off_between_the_renames_no_relay_starts_and_it_can_be_done_again(
    stopped: StoppedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = Path.rename, 4

    def cut(self: Path, to: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError("the power went away")
        return real(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", cut)
        with pytest.raises(BackupError, match="not restored: the power went away"):
            restore(tmp_path / "backup", force=True)
    with pytest.raises(
        ConfigError, match="a restore was cut off here: run `relay restore` again, with --force"
    ):
        startup.prepare(stopped.config)
    restore(tmp_path / "backup", force=True)
    os.close(startup.prepare(stopped.config))
    assert set(waiting(stopped.spool)) == set(stopped.ids)


async def test_one_of_a_newer_relay_is_not_restored(stopped: StoppedRelay, tmp_path: Path) -> None:
    text = (tmp_path / "backup/manifest.json").read_text().replace('spool.db": 4', 'spool.db": 5')
    (tmp_path / "backup/manifest.json").write_text(text)
    with pytest.raises(
        BackupError, match="has schema 5, this relay knows up to 4; restore it with that version"
    ):
        restore(tmp_path / "backup", configuration=tmp_path / "drill")
    assert not (tmp_path / "drill").exists()


async def test_one_of_an_older_relay_is_upgraded_at_the_start(tmp_path: Path) -> None:
    old = StoppedRelay(tmp_path / "relay")
    (old.folder / "directory.db").unlink()
    old_stores.directory(old.folder / "directory.db", "0002")
    ids = old_stores.shard(old.shard() / schema.DATABASE, 2)
    making.make(old.config, tmp_path / "backup.tar", ManualClock(), share=1.0)
    shutil.rmtree(old.folder)
    assert restore(tmp_path / "backup.tar").held == len(ids)
    os.close(startup.prepare(old.config))
    schema.open_writer(old.shard()).close()
    assert waiting(old.spool) == {one: {0: HELD} for one in ids}
    with closing(sqlite3.connect(old.folder / "directory.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0004",)]
    assert len(upgrades.all_copies(old.config)) == 2


async def test_delivered_since_it_would_go_twice_and_is_therefore_held(
    stopped: StoppedRelay, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        shard = await stopped.opened(1, stack)
        for one in await shard.due(NOW + 9e9, 99, set()):
            await shard.commit(done(one))
        assert await shard.is_empty()
    told = restore(tmp_path / "backup", only=("spool",), force=True)
    assert told.held == 8
    async with AsyncExitStack() as stack:
        shard = await stopped.opened(1, stack)
        assert await shard.due(NOW + 9e9, 99, set()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_owners_come_back(stopped: StoppedRelay, tmp_path: Path) -> None:
    for one in [stopped.spool, *stopped.spool.rglob("*"), stopped.folder / "relay.key"]:
        shutil.chown(one, "nobody", "nogroup")
    shutil.rmtree(tmp_path / "backup")
    making.make(stopped.config, tmp_path / "backup", ManualClock(), share=1.0)
    restore(tmp_path / "backup", configuration=tmp_path / "drill")
    owner = (stopped.folder / "relay.key").stat()
    for one in [
        tmp_path / "drill/spool",
        *(tmp_path / "drill/spool").rglob("*"),
        tmp_path / "drill/relay.key",
    ]:
        assert (one.stat().st_uid, one.stat().st_gid) == (owner.st_uid, owner.st_gid), one
    assert (tmp_path / "drill/relay.toml").stat().st_uid == 0
