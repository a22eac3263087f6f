"""The disk may say more than was sent, and is never believed to say more than it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.daemon.supervisor.ledger_margin import Margins


@pytest.mark.parametrize(
    ("quota", "counted", "margin"),
    [(1_000_000, 0, 1000), (1_000_000, 999_000, 15), (1_000_000, 1_000_000, 0), (900, 0, 0), (100, 200, 0)],
)
def test_how_far_ahead(quota: int, counted: int, margin: int) -> None:
    margins = Margins()
    margins.allow(7, quota, counted)
    assert margins.to_write(7, 50, 10, 50) == 10 + margin


def test_a_grant_below_what_is_on_disk_need_not_wait() -> None:
    margins = Margins()
    margins.allow(7, 1_000_000, 0)
    assert not margins.covers(7, 50, 1)
    written = margins.to_write(7, 50, 10, 50)
    assert not margins.covers(7, 50, 10), "not before it is written"
    margins.is_written(7, 50, written)
    assert margins.covers(7, 50, 1010)
    assert not margins.covers(7, 50, 1011)
    assert not margins.covers(7, 51, 1)
    assert not margins.covers(8, 50, 1)


def test_the_exact_count_follows_when_the_minute_is_over() -> None:
    margins = Margins()
    margins.allow(7, 1_000_000, 0)
    margins.is_written(7, 50, margins.to_write(7, 50, 10, 50))
    assert margins.over(50) == []
    assert margins.over(51) == [(7, 50)]
    assert margins.to_write(7, 50, 10, 51) == 10
    assert margins.over(51) == []
    assert not margins.covers(7, 50, 10)


Step = st.tuples(
    st.sampled_from(["grant", "give back", "begin", "done", "fail", "minute"]), st.integers(1, 400)
)


@given(st.lists(Step, max_size=60))
def test_a_claim_is_true_at_every_moment(steps: list[tuple[str, int]]) -> None:
    """``disk`` may be what was there, or what is being written: no one can tell which when it crashes."""
    margins, minute, count, disk = Margins(), 50, 0, 0
    writing: int | None = None
    granted = 0  # without waiting, hence to be on disk
    for what, size in steps:
        if what == "grant" and margins.covers(7, minute, count + size):
            count += size
            granted = count
        elif what == "grant" and writing is None:
            count += size  # waits for a write, which begins now
            margins.allow(7, 100_000 * size, count)
            disk = margins.to_write(7, minute, count, minute)
            margins.is_written(7, minute, disk)
            granted = count
        elif what == "give back":
            count -= min(size, count)
            granted = count
        elif what == "begin" and writing is None:
            margins.allow(7, 1000 * size, count)
            writing = margins.to_write(7, minute, count, minute)
        elif what in ("done", "fail") and writing is not None:
            if what == "done":
                disk = writing
                margins.is_written(7, minute, writing)
            writing = None
        elif what == "minute" and writing is None:
            minute, count, disk, granted = minute + 1, 0, 0, 0
        assert disk >= granted
        assert writing is None or writing >= granted
