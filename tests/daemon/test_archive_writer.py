"""A backup has its name once it is complete; before, it has another one."""

import os
import tarfile
from pathlib import Path

import pytest

from relay.base.errors import BackupError
from relay.daemon.backup.archive_writer import ArchiveWriter
from relay.daemon.backup.manifest import FILE, Manifest, parse
from tests.daemon.test_manifest import made

KINDS = ["backup", "backup.tar"]


def finished(archive: ArchiveWriter) -> Manifest:
    manifest = parse(made())
    manifest.files.extend(archive.files)
    archive.finish(manifest)
    return manifest


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_there_once_it_is_named(tmp_path: Path, kind: str) -> None:
    target, source = tmp_path / kind, tmp_path / "source"
    source.write_bytes(b"x" * 2_500_000)
    source.chmod(0o640)
    with ArchiveWriter(target) as archive:
        archive.add("spool/a", source)
        archive.stage("spool/b/c.db").write_bytes(b"database")
        archive.keep("spool/b/c.db", source)
        with pytest.raises(FileNotFoundError):
            archive.add("spool/gone", tmp_path / "gone", may_link=True)
        finished(archive)
        assert not target.exists()
        archive.name()
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([kind, "source"])
    assert target.stat().st_mode & 0o077 == 0
    a, c = archive.files
    assert (a.name, a.size, a.mode, a.path) == ("spool/a", 2_500_000, 0o640, str(source))
    assert (c.name, c.size, c.mode, c.path) == ("spool/b/c.db", 8, 0o640, str(source))
    if kind.endswith(".tar"):
        with tarfile.open(target) as tar:
            assert tar.getnames() == ["spool/a", "spool/b/c.db", FILE]
            assert {one.mode for one in tar.getmembers()} == {0o600}
    else:
        assert (target / "spool/a").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_named_leaves_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "source").write_text("x")

    def fails() -> None:
        with ArchiveWriter(tmp_path / kind) as archive:
            archive.add("spool/a", tmp_path / "source")
            finished(archive)
            raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        fails()
    assert [one.name for one in tmp_path.iterdir()] == ["source"]


def test_a_link_where_nothing_ever_changes(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("never changes")
    with ArchiveWriter(tmp_path / "backup") as archive:
        archive.add("spool/large", tmp_path / "large", may_link=True)
        archive.add("spool/other", tmp_path / "large")
        finished(archive)
        archive.name()
    assert (tmp_path / "backup/spool/large").samefile(tmp_path / "large")
    assert not (tmp_path / "backup/spool/other").samefile(tmp_path / "large")


def test_where_no_link_can_be_had_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    (tmp_path / "large").write_text("never changes")
    with ArchiveWriter(tmp_path / "backup") as archive:
        archive.add("spool/large", tmp_path / "large", may_link=True)
        assert archive.files[0].size == 13


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten_and_two_do_not_mix(tmp_path: Path, kind: str) -> None:
    target = tmp_path / kind
    target.write_text("an older backup")
    with (
        pytest.raises(BackupError, match="exists; give each backup a name of its own"),
        ArchiveWriter(target),
    ):
        pass
    assert target.read_text() == "an older backup"
    other = tmp_path / f"other-{kind}"
    with ArchiveWriter(other):
        with pytest.raises(BackupError, match=r"another backup to .* runs"), ArchiveWriter(other):
            pass
        assert (tmp_path / f"other-{kind}.part").exists()


def test_what_a_killed_one_left_is_removed(tmp_path: Path) -> None:
    part = tmp_path / "backup.part"
    (part / "tree/spool").mkdir(parents=True)
    (part / "tree/spool/half").write_text("half")
    (part / "tar").write_text("half")
    with ArchiveWriter(tmp_path / "backup") as archive:
        finished(archive)
        archive.name()
    assert sorted(one.name for one in (tmp_path / "backup").iterdir()) == [FILE]
    assert not part.exists()
