"""Owners by name."""

import os
import pwd
from pathlib import Path

import pytest

from relay.base.errors import BackupError
from relay.daemon.backup.owners import give, numbers, owner_names

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_names_and_numbers_are_each_other(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    state = (tmp_path / "x").stat()
    assert numbers(*owner_names(state)) == (state.st_uid, state.st_gid)
    assert owner_names(state)[0] == pwd.getpwuid(os.geteuid()).pw_name


@as_root
def test_a_file_is_given_its_owner_and_mode(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    give(tmp_path / "x", "nobody", "nogroup", 0o640)
    state = (tmp_path / "x").stat()
    assert (owner_names(state), state.st_mode & 0o777) == (("nobody", "nogroup"), 0o640)
    os.chown(tmp_path / "x", 65000, 65001)
    assert owner_names((tmp_path / "x").stat()) == ("65000", "65001")
    assert numbers("65000", "65001") == (65000, 65001)


def test_a_user_who_is_not_here_is_to_be_made() -> None:
    with pytest.raises(BackupError, match="no such user or group; make them first: useradd --system"):
        numbers("no-such-user", "root")
