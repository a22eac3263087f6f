"""The disk's speed, measured for real."""

from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.spool.disk_speed import measure
from tests.fakes.clock import ManualClock


def test_it_writes_and_leaves_nothing(tmp_path: Path) -> None:
    took = measure(tmp_path, SystemClock(), times=5)
    assert len(took) == 5
    assert all(one > 0 for one in took)
    assert list(took) == sorted(took)
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_is_not_measured_for_long(tmp_path: Path) -> None:
    class Slow(ManualClock):
        def monotonic(self) -> float:
            self.advance(0.5)
            return super().monotonic()

    assert 1 <= len(measure(tmp_path, Slow())) <= 4


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        measure(tmp_path / "gone", SystemClock())
