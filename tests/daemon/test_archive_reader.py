"""What is a backup, and what is none."""

import io
import tarfile
from pathlib import Path

import pytest

from relay.base.errors import BackupError
from relay.daemon.backup.archive_reader import opened
from relay.daemon.backup.manifest import FILE
from tests.daemon.test_manifest import entry, made


def tar(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as made_tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made_tar.addfile(info, io.BytesIO(content))
    return file


def folder(path: Path, members: dict[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


WHOLE = {"spool/a": b"content", FILE: made(files=[entry("spool/a")])}


def test_a_folder_and_a_tar_file_are_read_alike(tmp_path: Path) -> None:
    with opened(tar(tmp_path / "a.tar", WHOLE)) as one, opened(folder(tmp_path / "a", WHOLE)) as other:
        assert one.manifest == other.manifest
        assert one.names() == other.names() == {"spool/a", FILE}
        for archive in (one, other):
            with archive.open("spool/a") as stream:
                assert stream.read() == b"content"
        assert one.place_of("spool/a") is None
        assert other.place_of("spool/a") == tmp_path / "a/spool/a"


@pytest.mark.parametrize("cut", [0, 100, 600, 1500, 3000])
def test_a_tar_file_that_was_cut_is_none(tmp_path: Path, cut: int) -> None:
    whole = tar(tmp_path / "a.tar", WHOLE).read_bytes()
    assert whole.index(b'"format"') > 1500
    (tmp_path / "cut.tar").write_bytes(whole[: min(cut, whole.index(b'"format"') + 20)])
    with (
        pytest.raises(BackupError, match=r"is no backup|cut off|cannot be read"),
        opened(tmp_path / "cut.tar"),
    ):
        pass


def test_other_things_are_told_from_backups(tmp_path: Path) -> None:
    (tmp_path / "x.part").mkdir()
    (tmp_path / "text").write_text("no tar file at all" * 100)
    for path, said in (
        (tmp_path / "none", "no such file; name a backup"),
        (tmp_path, f"it has no {FILE}$"),
        (tmp_path / "x.part", "one that was not finished"),
        (tmp_path / "text", "is no backup: .*must be unpacked first"),
        (tar(tmp_path / "empty.tar", {}), "is no backup"),
    ):
        with pytest.raises(BackupError, match=said), opened(path):
            pass
