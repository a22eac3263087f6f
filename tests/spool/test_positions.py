"""Where consumers of the event log have come to."""

import os
from pathlib import Path

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.spool.positions import FILE, Positions


def test_a_position_is_there_for_the_next_process(tmp_path: Path) -> None:
    Positions(tmp_path).set("a", {1: 20, 2: 7}, 100.0)
    Positions(tmp_path).set("a", {2: 9}, 101.0)
    Positions(tmp_path).set("b", {1: 3}, 102.0)
    assert Positions(tmp_path).get("a") == {1: 20, 2: 9}
    assert Positions(tmp_path).all() == {"a": {1: (20, 100.0), 2: (9, 101.0)}, "b": {1: (3, 102.0)}}


def test_one_that_is_not_known_has_none_and_one_that_is_forgotten_too(tmp_path: Path) -> None:
    positions = Positions(tmp_path)
    assert positions.get("a") == {}
    positions.set("a", {1: 20}, 100.0)
    assert [positions.forget("a"), positions.forget("a")] == [True, False]
    assert positions.get("a") == {}


def test_a_folder_that_is_not_there_is_a_spool_error(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="positions"):
        Positions(tmp_path / "nowhere").get("a")


def test_nobody_makes_the_file_by_looking(tmp_path: Path) -> None:
    assert not Positions(tmp_path).is_there
    assert list(tmp_path.iterdir()) == []
    Positions(tmp_path).set("a", {1: 20}, 100.0)
    assert Positions(tmp_path).is_there


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_belongs_to_who_owns_the_spool(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    Positions(tmp_path).set("a", {1: 20}, 100.0)
    made = [(one.stat().st_uid, one.stat().st_mode & 0o077) for one in tmp_path.glob("positions.db*")]
    assert made
    assert set(made) == {(65534, 0)}


def test_a_damaged_file_is_set_aside_by_who_mends_it_and_only_then(tmp_path: Path) -> None:
    positions = Positions(tmp_path)
    positions.set("a", {1: 20}, 100.0)
    assert not positions.mend()
    assert positions.get("a") == {1: 20}
    for number in (1, 2):
        (tmp_path / FILE).write_bytes(b"no database" * 500)
        with pytest.raises(SpoolCorrupt, match=FILE):
            positions.all()
        assert positions.mend()
        assert positions.get("a") == {}
        assert (tmp_path / "corrupt" / f"{FILE}-{number}").read_bytes().startswith(b"no database")
