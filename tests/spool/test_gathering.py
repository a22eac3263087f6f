"""How long a commit waits for company."""

import pytest

from relay.spool.gathering import COMPANY, LONGEST_S, Gathering


def after(rate: float, seconds: float = 1.0) -> Gathering:
    """A second of commits, ten milliseconds apart, at that rate of changes."""
    gathering, now = Gathering(), 1000.0
    for _ in range(int(seconds * 100)):
        now += 0.01
        gathering.took(int(rate / 100), now)
    return gathering


@pytest.mark.parametrize(
    ("changes_per_s", "pause_s"),
    [(0, 0.0), (100, 0.0), (300, 0.0), (500, LONGEST_S), (2000, LONGEST_S), (12000, COMPANY / 12000)],
)
def test_the_rate_decides(changes_per_s: float, pause_s: float) -> None:
    assert after(changes_per_s).pause_s() == pytest.approx(pause_s, rel=0.15)


def test_the_first_change_does_not_wait() -> None:
    assert Gathering().pause_s() == 0.0


def test_after_a_lull_no_one_waits() -> None:
    gathering = after(5000)
    gathering.took(1, 1010.0)
    assert gathering.pause_s() == 0.0
