"""Places in the event log, as people say them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.events import Change, Event, EventKind
from relay.daemon.notifier.event_start import offsets_of, parse_start
from relay.spool import rows, schema
from relay.spool.cursor import write_cursor
from relay.spool.event_log import EventLog
from relay.spool.recover import shard_folder

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", {}),
        ("end", None),
        ("2h", NOW - 7200),
        ("1h 30m", NOW - 5400),
        ("1:20,2:7", {1: 20, 2: 7}),
        ("2026-11-22", 1_795_305_600.0),
        ("2026-11-22T06:00", 1_795_327_200.0),
        ("2026-11-22 06:00:30", 1_795_327_230.0),
        ("2026-11-22T06:00:00Z", 1_795_327_200.0),
        ("2026-11-22T07:00+01:00", 1_795_327_200.0),
    ],
)
def test_the_forms(text: str, start: object) -> None:
    assert parse_start(text, NOW) == start


@pytest.mark.parametrize("text", ["", "yesterday", "06:00", "20261122", "2026-13-01", "-2h", "1:2;3:4"])
def test_what_is_none_is_told_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match='no place in the event log: write "beginning", "end", "2h"'):
        parse_start(text, NOW)


@given(st.dictionaries(st.integers(1, 99), st.integers(0, 10**12), max_size=4))
def test_every_cursor_is_a_start(offsets: dict[int, int]) -> None:
    assert parse_start(write_cursor(offsets), NOW) == offsets


def test_where_that_is_in_a_log(tmp_path: Path) -> None:
    folder = shard_folder(tmp_path, 1)
    folder.mkdir()
    connection = schema.open_writer(folder)
    connection.execute("BEGIN")
    rows.write(connection, [Change(events=[Event(at, EventKind.SEND, "", 1) for at in (10.0, 20.0, 30.0)])])
    connection.execute("COMMIT")
    log = EventLog(tmp_path)
    assert [offsets_of(one, log) for one in ({}, None, 20.0, {1: 2})] == [{}, {1: 3}, {1: 1}, {1: 2}]
    with pytest.raises(ValueError, match="no shard 2: the cursor is of another one"):
        offsets_of({1: 2, 2: 5}, log)
    log.close()
    connection.close()
