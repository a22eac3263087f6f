"""The disk's own latency is measured, and the probe leaves nothing."""

from pathlib import Path

from bench import disk


def test_it_times_writes_and_leaves_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(disk, "PAUSE_S", 0.0)
    with disk.DiskWatch(tmp_path) as watch:
        while not watch.figures()["disk_max_ms"]:
            pass
    found = watch.figures()
    assert 0 < found["disk_p99_ms"] <= found["disk_max_ms"]
    assert list(tmp_path.iterdir()) == []


def test_without_a_write_there_is_no_figure(tmp_path: Path):
    assert disk.DiskWatch(tmp_path).figures() == {"disk_p99_ms": 0.0, "disk_max_ms": 0.0}
