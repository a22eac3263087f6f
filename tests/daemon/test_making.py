"""A backup of a relay at rest: what is in it, and what stops it. At work: ``tests/scenarios``."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import namedtuple
from contextlib import AsyncExitStack, closing
from dataclasses import asdict
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.base.errors import BackupError, SpoolCorrupt
from relay.base.message import Message
from relay.daemon.backup import making, restoring, verifying
from relay.daemon.backup.archive_reader import opened
from relay.daemon.backup.archive_writer import ArchiveWriter
from relay.daemon.backup.places import Places, part_of
from relay.daemon.settings.config import load
from relay.directory.database import HEAD
from relay.spool import schema
from relay.spool.shard import Shard
from tests.fakes.clock import ManualClock
from tests.fakes.disk import small_disk
from tests.fakes.spool import done, message, storing
from tests.fakes.stopped_relay import StoppedRelay, waiting

ROOT = Path(__file__).parents[2]
KINDS = ["backup", "backup.tar"]


@pytest.fixture
async def stopped(tmp_path: Path) -> StoppedRelay:
    relay = StoppedRelay(tmp_path / "relay")
    await relay.fill()
    return relay


def make(stopped: StoppedRelay, target: Path, **more: bool) -> making.Manifest:
    return making.make(stopped.config, target, ManualClock(), share=1.0, **more)


@pytest.mark.parametrize("kind", KINDS)
async def test_all_that_is_needed_is_in_it(stopped: StoppedRelay, tmp_path: Path, kind: str) -> None:
    manifest = make(stopped, tmp_path / kind)
    assert (manifest.messages, manifest.recipients) == (6, 8)
    assert manifest.by_state == {"fresh": 8, "deferred": 0, "held": 0, "parked": 0}
    assert manifest.schemas == {
        "spool/shard-000001/spool.db": schema.VERSION,
        "spool/shard-000002/spool.db": schema.VERSION,
        "directory/directory.db": int(HEAD),
    }
    assert (manifest.has_keys, manifest.notes, manifest.finished_meanwhile) == (True, [], 0)
    with opened(tmp_path / kind) as archive:
        assert asdict(archive.manifest) == asdict(manifest)
        assert verifying.verify(archive) == []
        names = {one.name for one in manifest.files}
    assert {
        "configuration/relay.toml",
        "configuration/tls.key",
        "configuration/tls.crt",
        "configuration/service.pem",
        "directory/relay.key",
        "directory/directory.db",
        "spool/shard-000001/dots",
        "spool/shard-000002/dots",
    } <= names
    large = sorted(name.rpartition("/")[2] for name in names if "/large/" in name)
    assert large == sorted(stopped.ids[4:])
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([kind, "relay"])


async def test_without_keys_no_key_is_in_it(stopped: StoppedRelay, tmp_path: Path) -> None:
    manifest = make(stopped, tmp_path / "backup", keys=False)
    assert not manifest.has_keys
    secrets = [stopped.config.directory.key_file, stopped.folder / "tls.key", stopped.folder / "service.pem"]
    found = b"".join(one.read_bytes() for one in (tmp_path / "backup").rglob("*") if one.is_file())
    assert not [one for one in secrets if one.read_bytes() in found]
    assert stopped.config.path.read_bytes() in found


async def test_it_is_for_its_owner_alone(stopped: StoppedRelay, tmp_path: Path) -> None:
    os.umask(os.umask(0o022))
    make(stopped, tmp_path / "backup")
    make(stopped, tmp_path / "backup.tar")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600


async def test_a_directory_on_a_server_is_left_to_pg_dump(stopped: StoppedRelay, tmp_path: Path) -> None:
    url = "postgresql://relay@db.example.com/relay"
    directory = stopped.config.directory.model_copy(update={"url": url})
    stopped.config = stopped.config.model_copy(update={"directory": directory})
    manifest = make(stopped, tmp_path / "backup")
    assert manifest.directory is None
    assert manifest.notes == [making.PG_DUMP]
    assert "pg_dump" in making.PG_DUMP
    assert not (tmp_path / "backup/directory/directory.db").exists()
    assert (tmp_path / "backup/directory/relay.key").exists()
    url = "postgresql://relay:secret@db.example.com/relay"
    directory = stopped.config.directory.model_copy(update={"url": url})
    stopped.config = stopped.config.model_copy(update={"directory": directory})
    notes = make(stopped, tmp_path / "without", keys=False).notes
    assert notes == [
        making.PG_DUMP,
        f"{stopped.config.path} is in the backup, and the directory's password is in it",
    ]
    assert make(stopped, tmp_path / "with").notes == [making.PG_DUMP]


async def test_a_damaged_book_is_left_out_and_a_damaged_shard_is_told(
    stopped: StoppedRelay, tmp_path: Path
) -> None:
    (stopped.spool / "statistics.db").write_bytes(b"nonsense" * 1000)
    manifest = make(stopped, tmp_path / "one")
    assert len(manifest.notes) == 1
    assert "statistics.db is damaged and not in the backup" in manifest.notes[0]
    database = stopped.shard(1) / schema.DATABASE
    content = bytearray(database.read_bytes())
    content[16384:] = b"\xff" * (len(content) - 16384)
    database.write_bytes(content)
    with pytest.raises(BackupError, match=r"no backup was made as .*two: .*(shard-000001|malformed)"):
        make(stopped, tmp_path / "two")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one", "relay"]


async def test_what_is_wrong_is_told_with_its_fix(
    stopped: StoppedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names() -> list[Path]:  # but for the logs, which SQLite makes for whoever reads
        return sorted(one for one in tmp_path.rglob("*") if not one.name.endswith(("-shm", "-wal")))

    def refused(target: Path, said: str) -> None:
        before = names()
        with pytest.raises(BackupError, match=said):
            make(stopped, target)
        assert names() == before

    refused(tmp_path / "no" / "such", "is no folder; make it first")
    refused(Path("/"), "is no name for a backup; e.g. ")
    refused(stopped.spool / "backup", "is in the spool itself; name a place on another disk")
    room = namedtuple("room", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(making.shutil, "disk_usage", lambda _: room(0, 0, 1000))
        refused(
            tmp_path / "backup", r"has 0 MB free, the backup needs up to .* MB; make room or name another"
        )
    key_file = stopped.config.directory.key_file
    key_file.rename(key_file.with_name("elsewhere"))
    refused(tmp_path / "backup", r"no secret can be read without it; put it back, or .* --without-keys")
    key_file.with_name("elsewhere").rename(key_file)
    (stopped.folder / "service.pem").unlink()
    assert make(stopped, tmp_path / "backup").notes == [f"{stopped.folder}/service.pem is not there"]


async def test_what_was_written_is_read_back(
    stopped: StoppedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = ArchiveWriter.finish

    def and_then_a_bit_flips(self: ArchiveWriter, manifest: making.Manifest) -> None:
        finish(self, manifest)
        file = self.unnamed() / "configuration/tls.crt"
        file.write_bytes(b"X" + file.read_bytes()[1:])

    monkeypatch.setattr(ArchiveWriter, "finish", and_then_a_bit_flips)
    with pytest.raises(BackupError, match=r"not what was read: configuration/tls.crt is not what it was"):
        make(stopped, tmp_path / "backup")
    assert [one.name for one in tmp_path.iterdir()] == ["relay"]


async def test_a_log_that_was_not_moved_is_in_it(stopped: StoppedRelay, tmp_path: Path) -> None:
    """A relay that was killed leaves what it promised in the log alone."""
    with closing(schema.open_writer(stopped.shard(1))) as connection:
        connection.execute("UPDATE recipient SET reply = 'from the log'")
        manifest = make(stopped, tmp_path / "backup")
    with closing(sqlite3.connect(tmp_path / "backup/spool/shard-000001/spool.db")) as connection:
        assert {reply for (reply,) in connection.execute("SELECT reply FROM recipient")} == {"from the log"}
    assert manifest.messages == 6


KILLED = """
import os, signal, sys
from pathlib import Path
from relay.base.clock import SystemClock
from relay.daemon.backup import archive_writer, making
from relay.daemon.settings.config import load
from relay.spool import content, copies
owner, name, left = sys.argv[3].split(".")
place = {"copies": copies, "content": content, "Writer": archive_writer.ArchiveWriter, "os": os}[owner]
real, left = getattr(place, name), int(left)
def deadly(*words, **names):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*words, **names)
setattr(place, name, deadly)
making.make(load(Path(sys.argv[1])), Path(sys.argv[2]), SystemClock(), share=1.0)
"""


@pytest.mark.parametrize(
    ("kind", "point"),
    [("backup", "copies.copy_database.1"), ("backup.tar", "Writer.finish.0"), ("backup", "Writer.name.0")],
)
async def test_killed_at_any_point_nothing_has_the_name(
    stopped: StoppedRelay, tmp_path: Path, kind: str, point: str
) -> None:
    target = tmp_path / kind
    words = [sys.executable, "-c", KILLED, str(stopped.config.path), str(target), point]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert not target.exists()
    part = tmp_path / f"{kind}.part"
    assert part.exists()
    with pytest.raises(BackupError, match="one that was not finished"), opened(part):
        pass
    manifest = making.make(stopped.config, target, SystemClock(), share=1.0)
    assert manifest.messages == 6
    assert not part.exists()


LIMITED = """
import resource, sys
from pathlib import Path
from relay.base.clock import SystemClock
from relay.base.errors import BackupError
from relay.daemon.backup import making
from relay.daemon.settings.config import load
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    making.make(load(Path(sys.argv[1])), Path(sys.argv[2]), SystemClock(), share=1.0)
except BackupError as error:
    sys.exit(f"relay: {error}")
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_no_file_may_be_that_large(stopped: StoppedRelay, tmp_path: Path, kind: str) -> None:
    words = [sys.executable, "-c", LIMITED, str(stopped.config.path), str(tmp_path / kind)]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(f"relay: no backup was made as {tmp_path / kind}: "), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["relay"]


class Traffic:
    """Messages come and go in two shards, some with files of their own; what is known of each is in sets."""

    def __init__(self, relay: StoppedRelay, seed: int) -> None:
        self._relay, self._dice = relay, random.Random(seed)
        self.accepted: set[str] = set()  # the promise was given
        self.ending: set[str] = set()  # its end was at least begun
        self.ended: set[str] = set()  # it was on the disk
        self.is_over = False

    async def run(self, shard: Shard) -> None:
        there: list[Message] = []
        while not self.is_over:
            for _ in range(self._dice.randrange(1, 5)):
                size = self._dice.choice((300, 300, 4000, 7000, 60_000))
                one = message(
                    *[f"{n}@example.org" for n in range(self._dice.randrange(1, 4))], content=b"x" * size
                )
                await shard.commit(storing(one))
                self.accepted.add(one.id)
                there.append(one)
            while len(there) > self._dice.randrange(5, 60):
                one = there.pop(self._dice.randrange(len(there)))
                self.ending.add(one.id)
                await shard.commit(done(one))
                self.ended.add(one.id)
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(2))
async def test_what_was_promised_before_and_not_finished_by_its_end_is_in_it(
    tmp_path: Path, seed: int
) -> None:
    relay = StoppedRelay(tmp_path / "relay")
    traffic, target = Traffic(relay, seed), tmp_path / KINDS[seed % 2]
    async with AsyncExitStack() as stack:
        shards = [await relay.opened(number, stack) for number in (1, 2)]
        running = asyncio.gather(*[traffic.run(shard) for shard in shards])
        while len(traffic.accepted) < 200:
            await asyncio.sleep(0.01)
        before, ended = set(traffic.accepted), set(traffic.ended)
        manifest = await asyncio.to_thread(making.make, relay.config, target, SystemClock(), share=0.5)
        finished, accepted = set(traffic.ending), set(traffic.accepted)
        traffic.is_over = True
        await running
    with opened(target) as archive:
        assert verifying.verify(archive) == []
        places = Places.of(archive.manifest, configuration=tmp_path / "drill")
        restoring.restore(archive, places, part_of([]), 1_800_000_000.0, hold=True, force=False)
    found = waiting(tmp_path / "drill/spool")
    assert before - finished <= set(found)
    assert ended
    assert not set(found) & ended
    assert len(found) == manifest.messages
    assert len(accepted) > len(before)  # it was at work meanwhile
    again = StoppedRelay.at(load(tmp_path / "drill/relay.toml"))
    async with AsyncExitStack() as stack:  # and a worker finds nothing to complain of
        for number in (1, 2):
            shard = await again.opened(number, stack)
            assert shard.corrupt == 0
            keys = await shard.control(lambda c: c.execute("SELECT key FROM message").fetchall())
            contents = await shard.contents([_with_key(key) for (key,) in keys])
            assert not [one for one in contents.values() if isinstance(one, SpoolCorrupt)]


def _with_key(key: int) -> Message:
    one = message()
    one.key = key
    return one


async def test_the_disk_runs_full_on_the_way(
    stopped: StoppedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = namedtuple("room", "total used free")
    with small_disk(tmp_path / "disk", "200K") as disk:
        for kind in KINDS:
            with pytest.raises(BackupError, match=r"has 0 MB free, the backup needs up to"):
                make(stopped, disk / kind)
            with monkeypatch.context() as patch:
                patch.setattr(making.shutil, "disk_usage", lambda _: room(0, 0, 1 << 40))
                with pytest.raises(
                    BackupError, match=rf"no backup was made as .*/{kind}: .*(full|No space left)"
                ):
                    make(stopped, disk / kind)
            assert list(disk.iterdir()) == []
