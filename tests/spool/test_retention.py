"""Which events go, by age and by size, and who holds them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.events import Change, Event, EventKind
from relay.spool import rows, schema
from relay.spool.positions import Positions
from relay.spool.retention import DAY_S, ROW_BYTES, STEP, Keep, Old, Retention, surplus
from tests.fakes.clock import ManualClock

NOW = 1_800_000_000.0
WEEK = Keep(7 * DAY_S, 1000)


def ages(*days: float) -> list[Old]:
    return [Old(number, NOW - of * DAY_S, 100) for number, of in enumerate(days, 1)]


@pytest.mark.parametrize(
    ("days", "all_bytes", "taken", "goes"),
    [
        ((6, 5, 4), 1000, None, 0),
        ((9, 8, 6), 1000, None, 2),  # too old
        ((9, 6, 8), 1000, None, 1),  # a clock was set back: what is behind a younger one waits for it
        ((6, 5, 4), 1101, None, 2),  # too many
        ((6, 5, 4), 5000, None, 3),
        ((9, 8, 6), 1000, 1, 1),  # the second was not taken yet
        ((6, 5, 4), 5000, 2, 2),
        ((6, 5, 4), 5000, 0, 0),
        ((15, 14.5, 9), 1000, 0, 2),  # twice too old: goes, taken or not
        ((15, 14.5, 9), 1000, 3, 3),
    ],
)
def test_what_goes(days: Sequence[float], all_bytes: int, taken: int | None, goes: int) -> None:
    assert surplus(ages(*days), WEEK, all_bytes, taken, NOW) == goes


@given(
    st.lists(st.floats(0, 30), max_size=20),
    st.integers(0, 5000),
    st.none() | st.integers(0, 25),
)
def test_what_is_young_small_or_not_taken_stays(days: list[float], all_bytes: int, taken: int | None) -> None:
    oldest = ages(*days)
    count = surplus(oldest, WEEK, all_bytes, taken, NOW)
    for place, one in enumerate(oldest[:count]):
        is_twice_old = NOW - one.at > 2 * WEEK.for_s
        assert is_twice_old or taken is None or one.offset <= taken
        assert NOW - one.at > WEEK.for_s or all_bytes - 100 * place > WEEK.bytes
    if count < len(oldest):
        rest = oldest[count:]
        assert surplus(rest, WEEK, all_bytes - 100 * count, taken, NOW) == 0  # one pass was enough


class Log:
    """The events of a shard, and who keeps them."""

    def __init__(self, folder: Path, keep: Keep) -> None:
        self.connection = schema.open_writer(folder)
        self.clock = ManualClock(NOW)
        self.retention = Retention(folder, 1, keep, self.clock)
        self.retention.look(self.connection)
        self.positions = Positions(folder)

    def add(self, count: int, detail: str = "{}") -> None:
        events = [Event(self.clock.now(), EventKind.SEND, "x", 1, detail)] * count
        self.connection.execute("BEGIN")
        rows.write(self.connection, [Change(events=events)])
        self.connection.execute("COMMIT")
        self.retention.wrote(events)

    def step(self, times: int = 1) -> tuple[int, int]:
        """The first and the last offset after so many steps, each when it is due."""
        for _ in range(times):
            self.clock.advance(self.retention.rest_s)
            self.retention.step(self.connection)
        first, last = self.connection.execute("SELECT min(offset), max(offset) FROM event").fetchone()
        return first, last


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    one = Log(tmp_path, Keep(7 * DAY_S, 10_000_000))
    with closing(one.connection):
        yield one


def test_by_age_a_run_begins_when_it_pays_and_ends_when_none_is_late(log: Log) -> None:
    log.add(5)
    log.clock.advance(7.1 * DAY_S)
    log.add(5)
    assert log.step() == (1, 10)  # a tenth of a day late: not yet worth a transaction
    log.clock.advance(0.1 * DAY_S)
    assert log.step() == (6, 10)
    assert log.retention.dropped == 5


def test_the_newest_stays_however_old(log: Log) -> None:
    log.add(5)
    log.clock.advance(1000 * DAY_S)
    assert log.step(3) == (5, 5)
    log.add(1)
    assert log.step() == (6, 6)


def test_many_go_in_steps_with_pauses_between(log: Log) -> None:
    log.add(3 * STEP)
    log.clock.advance(8 * DAY_S)
    log.add(1)
    assert log.step() == (STEP + 1, 3 * STEP + 1)
    assert 0 < log.retention.rest_s < 1
    log.retention.step(log.connection)  # too early
    assert log.retention.dropped == STEP
    assert log.step(3) == (3 * STEP + 1, 3 * STEP + 1)
    assert log.retention.rest_s > 1


def test_by_size_the_oldest_go_before_their_time(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log.retention.keep = Keep(7 * DAY_S, 100 * (ROW_BYTES + 1000))  # live
    log.add(150, "x" * 1000)
    assert log.step(2) == (51, 150)
    assert log.retention.bytes == log.retention.keep.bytes
    assert [one.message for one in caplog.records] == [
        "events of the last day are dropped, since [events] keep_size is too small"
    ]


def test_what_the_relays_own_consumers_have_not_taken_stays(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    log.retention.keep = Keep(7 * DAY_S, 1)
    log.positions.set("relay/slow", {1: 3}, NOW)
    log.positions.set("relay/fast", {1: 10}, NOW)
    log.positions.set("billing", {1: 1}, NOW)  # holds nothing
    log.add(10)
    log.clock.advance(8 * DAY_S)
    assert log.step(2) == (4, 10)
    held = [one for one in caplog.records if "until they are taken" in one.message]
    assert [one.waits_for for one in held] == ["relay/slow"]  # type: ignore[attr-defined]
    log.positions.set("relay/slow", {1: 6}, NOW)
    assert log.step() == (7, 10)
    log.clock.advance(7 * DAY_S)  # now all are twice too old
    assert log.step() == (10, 10)
    assert any("never taken" in one.message for one in caplog.records)


def test_positions_that_cannot_be_read_hold_everything(log: Log, tmp_path: Path) -> None:
    (tmp_path / "positions.db").write_bytes(b"no database" * 100)
    log.add(10)
    log.clock.advance(8 * DAY_S)
    assert log.step() == (1, 10)


def test_size_is_known_when_it_is_opened_and_a_gap_is_not_counted(log: Log, tmp_path: Path) -> None:
    log.add(900, "x" * 400)
    log.connection.execute("INSERT INTO event VALUES (1000000, 0, 'Gap', '', 0, '{}')")
    log.add(2100, "x" * 400)
    again = Retention(tmp_path, 1, log.retention.keep, log.clock)
    again.look(log.connection)
    assert abs(again.bytes - log.retention.bytes) < log.retention.bytes * 0.01


def test_the_price_of_a_row_is_what_the_database_says(log: Log) -> None:
    """Ten thousand events as they come: the estimate is near the size of the table."""
    for number in range(10_000):
        now = NOW + number / 1000
        message_id = f"{int(now * 1000):016x}-12345678-1234-4234-8234-123456789abc-000001"
        log.connection.execute(
            "INSERT INTO event (at, kind, message_id, account, detail) VALUES (?, 'Delivery', ?, 1, ?)",
            (now, message_id, "x" * 200),
        )
    log.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (pages,) = log.connection.execute("PRAGMA page_count").fetchone()
    log.retention.look(log.connection)
    assert abs(log.retention.bytes / (pages * 16384) - 1) < 0.15
