"""Where consumers of the event log have come to."""

from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.spool.positions import Positions


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
