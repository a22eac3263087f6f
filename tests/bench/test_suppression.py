"""The figures of suppression lists are of real entries, and each is there."""

import asyncio
from pathlib import Path

from bench.suppression import ACCOUNTS, directories, list_of, measure


def test_the_figures(tmp_path: Path) -> None:
    for directory in directories("", tmp_path):
        found = asyncio.run(measure(directory, 3_000))
        counts = {number: directory.suppression.count(number) for number in range(ACCOUNTS + 1)}
        assert counts == {k: sum(list_of(n) == k for n in range(3_000)) for k in counts}
    assert found.pop("entries") == 3_000
    assert found.pop("index_mb") == 0.02
    assert found.pop("resident_mb") >= 0.0
    assert set(found) == {
        "import_s", "import_cpu_s", "export_s", "load_s", "load_cpu_s", "hold_up_ms",
        "lookup_us", "lookup_empty_us", "question_ms",
    }  # fmt: skip
    assert all(value >= 0.0 for value in found.values())
