"""Latencies are those of the round in which the disk stalled least; the first calm round ends the search."""

import argparse

import pytest

from bench.__main__ import CALM_MS, Bench
from bench.round import Load

LOAD = Load(10, 4096, 1, 5.0)


@pytest.mark.parametrize(
    ("stalls", "most", "taken", "rounds"),
    [
        ([CALM_MS, 1.0], 6, 0, 1),
        ([300.0, CALM_MS + 1, 20.0, 1.0], 6, 2, 3),
        ([300.0, 200.0, 250.0, 1.0], 3, 1, 3),
    ],
    ids=["calm at once", "calm at last", "never calm"],
)
def test_the_disk_decides_not_the_latency(
    monkeypatch: pytest.MonkeyPatch, stalls: list[float], most: int, taken: int, rounds: int
) -> None:
    done: list[dict[str, float]] = []

    def load(*_: object) -> dict[str, float]:
        # the calmer the disk, the worse the latency: choosing by latency would be seen
        stall = stalls[len(done)]
        done.append({"disk_max_ms": stall, "accept_p99_ms": 1000.0 - stall})
        return done[-1]

    bench = Bench(argparse.Namespace(), sink=None)  # type: ignore[arg-type]
    monkeypatch.setattr(bench, "load", load)
    assert bench.quietest(None, LOAD, most) == done[taken]  # type: ignore[arg-type]
    assert len(done) == rounds
