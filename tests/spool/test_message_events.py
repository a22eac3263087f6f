"""The events of a message, found by the time in its id."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.spool import message_events, rows, schema
from relay.spool.message_events import home_events, rare_events

IDS = MessageIds(1)
NOW = 1_800_000_000.0
SEND, DELIVERY, BOUNCE = EventKind.SEND, EventKind.DELIVERY, EventKind.BOUNCE


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(schema.open_writer(tmp_path)) as connection:
        yield connection


def write(connection: sqlite3.Connection, *events: Event) -> None:
    connection.execute("BEGIN")
    rows.write(connection, [Change(events=list(events))])
    connection.execute("COMMIT")


def send(at: float, message_id: str = "", recipients: int = 1) -> Event:
    detail = json.dumps({"destination": ["x@r.example"] * recipients})
    return Event(at, SEND, message_id or IDS.make(at), 1, detail)


def traffic(start: float, count: int) -> list[Event]:
    return [send(start + number / 100) for number in range(count)]


def kinds(found: list[tuple[object, ...]]) -> list[object]:
    return [row[2] for row in found]


def test_the_send_event_is_found_among_many(database: sqlite3.Connection) -> None:
    events = traffic(NOW, 3000)
    write(database, *events)
    for number in (0, 1, 1499, 2999):
        (row,) = home_events(database, events[number].message_id, False)
        assert (row[0], row[3]) == (number + 1, events[number].message_id)
    assert home_events(database, IDS.make(NOW + 15), False) == []


def test_one_that_was_stored_late_is_found(database: sqlite3.Connection) -> None:
    """Signing took a while, and a disk that failed kept its change back for a minute."""
    late = send(NOW + 1.0)
    write(database, *traffic(NOW, 600), *traffic(NOW + 6, 6000), late, *traffic(NOW + 66, 600))
    (row,) = home_events(database, late.message_id, False)
    assert row[0] == 6601


def test_who_may_have_made_an_id_up_is_told_without_a_long_look(database: sqlite3.Connection) -> None:
    events, late = traffic(NOW, 3000), send(NOW + 1.0)
    write(database, *events, late)
    asked: list[str] = []
    database.set_trace_callback(asked.append)
    assert home_events(database, late.message_id, False, is_thorough=False) == []
    assert home_events(database, events[500].message_id, False, is_thorough=False) != []
    spans = [sql.split("BETWEEN ")[1].split(" AND ") for sql in asked if "BETWEEN" in sql]
    assert spans
    assert max(int(high.split(" ")[0]) - int(low) for low, high, *_ in spans) <= 400  # two seconds around
    assert home_events(database, late.message_id, False) != []


def test_a_clock_that_was_set_back_hides_nothing(database: sqlite3.Connection) -> None:
    first, second = traffic(NOW, 3000), traffic(NOW + 10, 3000)
    write(database, *first, *second)
    for one in (first[500], first[1500], first[2999], second[0], second[1000], second[2999]):
        assert [row[3] for row in home_events(database, one.message_id, False)] == [one.message_id]


def test_deliveries_are_looked_for_until_all_are_there(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = send(NOW, recipients=3)
    delivered = Event(NOW + 1, DELIVERY, one.message_id, 1)
    bounced = Event(NOW + 2, BOUNCE, one.message_id, 1)
    write(database, one, *traffic(NOW, 50), delivered, bounced, *traffic(NOW + 2, 50), delivered)
    assert kinds(home_events(database, one.message_id, True)) == ["Send", "Delivery", "Bounce", "Delivery"]
    assert kinds(home_events(database, one.message_id, False)) == ["Send", "Bounce"]
    assert kinds(rare_events(database, one.message_id)) == ["Bounce"]
    database.execute("DELETE FROM event WHERE offset = 1")  # too old
    assert kinds(home_events(database, one.message_id, True)) == ["Delivery", "Bounce", "Delivery"]


def test_what_is_rare_is_found_by_an_index_and_what_is_not_costs_none(database: sqlite3.Connection) -> None:
    plan = database.execute(f"EXPLAIN QUERY PLAN {message_events._RARE}", ("x",)).fetchall()
    assert "USING INDEX event_message" in str(plan)
    plan = database.execute(f"EXPLAIN QUERY PLAN {message_events._SEND}", (1, 2, "x")).fetchall()
    assert "INTEGER PRIMARY KEY" in str(plan)
    write(database, *traffic(NOW, 1000), Event(NOW, BOUNCE, IDS.make(NOW), 1))
    indexed = database.execute(
        f"SELECT count(*) FROM event INDEXED BY event_message WHERE {schema.RARE}"
    ).fetchone()
    assert indexed == (1,)
