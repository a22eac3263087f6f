"""The machine's clock, and the one that tests move, have one face."""

import time

import pytest

from relay.base.clock import Clock, SystemClock
from tests.fakes.clock import ManualClock


def test_system_clock():
    clock: Clock = SystemClock()
    before = time.time()
    assert before <= clock.now() <= time.time()
    first = clock.monotonic()
    assert first <= clock.monotonic()


def test_manual_clock():
    clock: Clock = ManualClock(100.0)
    start = clock.monotonic()
    clock.advance(5)
    assert clock.now() == 105.0
    assert clock.monotonic() - start == pytest.approx(5)
    clock.jump(-50)
    assert clock.now() == 55.0
    assert clock.monotonic() - start == pytest.approx(5)
