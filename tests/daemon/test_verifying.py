"""A backup that is not what it was is told apart."""

import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from relay.daemon.backup import making, verifying
from relay.daemon.backup.archive_reader import opened
from relay.daemon.backup.manifest import FILE
from relay.spool import copies
from tests.fakes.clock import ManualClock
from tests.fakes.stopped_relay import StoppedRelay

SHARD = "spool/shard-000001/spool.db"


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    relay = StoppedRelay(tmp_path / "relay")
    await relay.fill()
    making.make(relay.config, tmp_path / "backup", ManualClock(), share=1.0)
    shutil.rmtree(relay.folder)
    return tmp_path / "backup"


def faults(backup: Path) -> list[str]:
    with opened(backup) as archive:
        return verifying.verify(archive)


def as_tar(backup: Path) -> Path:
    target = backup.with_suffix(".tar")
    target.unlink(missing_ok=True)
    with tarfile.open(target, "w") as tar:
        for one in sorted(backup.rglob("*")):
            if one.is_file():
                tar.add(one, str(one.relative_to(backup)))
    return target


def rewrite(backup: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    table = json.loads((backup / FILE).read_bytes())
    change(table)
    (backup / FILE).write_text(json.dumps(table))


def agreeing(backup: Path, name: str) -> None:
    """The manifest says of a file what it is now."""

    def change(table: dict) -> None:  # type: ignore[type-arg]
        for one in table["files"]:
            if one["name"] == name:
                one["size"], one["sha256"] = (backup / name).stat().st_size, copies.digest(backup / name)

    rewrite(backup, change)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


async def test_damage_of_every_kind(backup: Path) -> None:
    assert faults(backup) == faults(as_tar(backup)) == []
    large = next((backup / "spool").glob("*/large/*"))
    (name,) = [str(large.relative_to(backup))]
    content = large.read_bytes()
    for damage, said in (
        (lambda: flip(large), f"{name} is not what it was: its SHA-256 differs"),
        (lambda: large.write_bytes(content[:-1]), f"{name} has {len(content) - 1} bytes, not {len(content)}"),
        (lambda: os.truncate(large, 1 << 32), f"{name} has more than {len(content)} bytes"),
        (lambda: large.unlink(), f"{name} is missing"),
    ):
        damage()
        assert faults(backup) == faults(as_tar(backup)) == [said]
    large.write_bytes(content)
    (backup / "spool/surplus").write_text("?")
    assert faults(backup) == faults(as_tar(backup)) == [f"spool/surplus is not in {FILE}"]


async def test_a_database_that_is_not_sound(backup: Path) -> None:
    file = backup / SHARD
    content = file.read_bytes()
    file.write_bytes(content[:16384] + b"\xff" * (len(content) - 16384))
    agreeing(backup, SHARD)
    (fault,) = faults(backup)
    assert fault.startswith(f"{SHARD}: ")
    assert len(faults(as_tar(backup))) == 1


async def test_rows_and_files_belong_together(backup: Path) -> None:
    large = next((backup / "spool/shard-000001/large").iterdir())
    large.unlink()
    name = str(large.relative_to(backup))
    rewrite(backup, lambda table: table.update(files=[f for f in table["files"] if f["name"] != name]))
    assert faults(backup) == faults(as_tar(backup)) == [f"{name} is missing"]


async def test_rows_are_counted(backup: Path) -> None:
    with closing(sqlite3.connect(backup / SHARD)) as connection, connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("DELETE FROM recipient WHERE number = 1")
    agreeing(backup, SHARD)
    (fault,) = faults(backup)
    assert "there are 6 messages to 7 recipients, manifest.json says 6 to 8" in fault


async def test_schemas_that_are_not_known(backup: Path) -> None:
    with opened(backup) as archive:
        assert verifying.newer(archive) == []
        archive.manifest = replace(archive.manifest, schemas={SHARD: 99})
        assert verifying.newer(archive) == [f"{SHARD} has schema 99, this relay knows up to 4"]


async def test_comparing_can_copy(backup: Path, tmp_path: Path) -> None:
    with opened(backup) as archive:
        entry = next(one for one in archive.manifest.files if one.name == SHARD)
        assert verifying.compare(archive, entry, tmp_path / "copy") == ""
    assert (tmp_path / "copy").read_bytes() == (backup / SHARD).read_bytes()
