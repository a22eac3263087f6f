"""Rates, from one answer to the next."""

from typing import Any

import pytest

from relay.admin.pulse import Pulse, sparkline

NOW = 1_800_000_000.0


def lag(count: int, seconds: float) -> dict[str, Any]:
    return {"le": [0.1], "counts": [count, 0], "sum": seconds}


def answer(second: float, counts: dict[str, tuple[int, int]], **more: Any) -> dict[str, Any]:
    """Per worker what it has accepted and delivered by then."""
    readings = {
        number: {
            "accepted": accepted, "delivered": delivered, "deferred": 0, "failed": 0,
            "cpu_seconds": second / 2,
            "resident_bytes": 50_000_000, "client_sessions": 3, "connections": 2, "in_flight": 1,
            "queue_recipients": {"due": 5, "held": 1}, "queue_oldest_seconds": {"due": 60.0, "held": 7200.0},
            "loop_lag": lag(int(second), second / 100),
        }
        for number, (accepted, delivered) in counts.items()
    }  # fmt: skip
    return {
        "at": NOW + second, "started_at": NOW - 3600, "version": "1.0", "ready": dict.fromkeys(counts, True),
        "readings": readings, "heard_at": dict.fromkeys(counts, second),
        "notifier": {"ready": True, "behind": {"statistics": 4}}, "sites": [], "accounts": [], **more,
    }  # fmt: skip


def test_the_first_frame_has_no_rates() -> None:
    frame = Pulse().beat(answer(0, {"0": (5, 5), "1": (7, 7)}))
    assert frame["per_s"] is None
    assert [one["cpu"] for one in frame["workers"]] == [None, None]
    assert (frame["up_s"], frame["clients"], frame["events_behind"]) == (3600.0, 6, 4)
    assert frame["queue"] == {"due": 10, "held": 2}
    assert frame["oldest_s"] == 7200.0


def test_rates_of_each_worker_and_of_all() -> None:
    pulse = Pulse()
    pulse.beat(answer(0, {"0": (0, 0), "1": (0, 0)}))
    frame = pulse.beat(answer(2, {"0": (100, 50), "1": (300, 0)}))
    assert frame["per_s"] == {"accepted": 200.0, "delivered": 25.0, "deferred": 0.0, "failed": 0.0}
    worker = frame["workers"][0]
    assert (worker["per_s"]["accepted"], worker["cpu"], worker["lag_s"]) == (50.0, 0.5, pytest.approx(0.01))
    assert frame["lately"]["accepted"] == [200.0]


def test_a_worker_that_has_told_nothing_since_is_shown_as_it_was() -> None:
    pulse = Pulse()
    pulse.beat(answer(0, {"0": (0, 0)}))
    pulse.beat(answer(1, {"0": (100, 0)}))
    frame = pulse.beat(answer(1.9, {"0": (100, 0)}, heard_at={"0": 1.0}))
    assert frame["per_s"]["accepted"] == 100.0


def test_one_that_was_started_anew_and_one_that_is_gone() -> None:
    pulse = Pulse()
    pulse.beat(answer(0, {"0": (1000, 0), "1": (50, 0)}))
    frame = pulse.beat(answer(1, {"0": (3, 0), "1": (60, 0)}))
    assert frame["workers"][0]["per_s"] is None
    assert frame["per_s"]["accepted"] == 10.0
    gone = {**answer(2, {"1": (70, 0)}), "ready": {"0": False, "1": True}}
    assert pulse.beat(gone)["workers"][0]["ready"] is False
    assert pulse.beat({**gone, "readings": {}})["per_s"] is None


def test_the_last_minute_is_kept() -> None:
    pulse = Pulse()
    for second in range(100):
        frame = pulse.beat(answer(second, {"0": (second * second, 0)}))
    assert len(frame["lately"]["accepted"]) == 60


@pytest.mark.parametrize(
    ("values", "width", "bars"),
    [([], 10, ""), ([0, 0], 10, "▁▁"), ([0, 4, 8], 10, "▁▅█"), ([9, 9, 1, 8], 2, "▂█")],
)
def test_sparkline(values: list[float], width: int, bars: str) -> None:
    assert sparkline(values, width) == bars
    assert len(sparkline(values, width, is_plain=True)) == len(bars)
    assert sparkline(values, width, is_plain=True).isascii()
