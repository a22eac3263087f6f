import asyncio
import os

import pytest

from relay.base.tasks import Tasks
from relay.daemon import vitals as module
from relay.daemon.vitals import Vitals
from tests.fakes.clock import ManualClock


async def test_it_beats_and_notes_how_late_the_loop_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.001)
    vitals, tasks = Vitals(ManualClock()), Tasks("test")
    beats = 0
    enough = asyncio.Event()

    def touch() -> None:
        nonlocal beats
        beats += 1
        if beats > 3:
            enough.set()

    tasks.spawn(vitals.beat(touch), "beat")
    async with asyncio.timeout(10):
        await enough.wait()
    await tasks.end()
    assert vitals.loop_lag.count >= 3
    assert vitals.loop_lag.sum >= 0


def test_readings_are_of_this_process() -> None:
    clock = ManualClock()
    vitals = Vitals(clock)
    found = vitals.readings()
    assert found["process_started_at"] == clock.now()
    assert found["resident_bytes"] > 10_000_000
    assert found["cpu_seconds"] > 0
    assert 0 < found["open_fds"] < found["max_fds"]
    descriptors = [os.dup(0) for _ in range(5)]
    assert vitals.readings()["open_fds"] >= found["open_fds"] + 4
    for one in descriptors:
        os.close(one)
