"""How much waits, as the index of each state tells it."""

import time
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.base.events import Change, Event, EventKind
from relay.base.message import Message, Recipient, RecipientState
from relay.spool import rows, schema
from relay.spool.census import STATES, census

NOW = 1_800_000_000.0


def message(key: int, *recipients: tuple[RecipientState, float]) -> Message:
    made = [Recipient(n, f"r{n}@x.example", "x.example") for n in range(len(recipients))]
    for one, (state, due_at) in zip(made, recipients, strict=True):
        one.state, one.due_at = state, due_at
    return Message(
        id=f"m{key}", shard=1, account_id=1, sender="", recipients=made, size_bytes=1,
        arrived_at=NOW - 1000 + key, expires_at=NOW + 9999, content=b"x", key=key,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    schema.open_writer(tmp_path).close()
    return tmp_path


def write(folder: Path, *changes: Change) -> None:
    connection = schema.open_writer(folder)
    connection.execute("BEGIN")
    rows.write(connection, list(changes))
    connection.execute("COMMIT")
    connection.close()


def test_an_empty_shard(folder: Path) -> None:
    found = census(folder, NOW)
    assert found.recipients == dict.fromkeys(STATES, 0)
    assert found.arrived == dict.fromkeys(STATES, 0.0)
    assert (found.uncertain, found.events, found.first_event_at, found.files_bytes) == (0, 0, 0.0, 0)
    assert found.database_bytes > 0


def test_each_state_has_its_number_and_its_oldest(folder: Path) -> None:
    waits, due = (RecipientState.DEFERRED, NOW + 60), (RecipientState.DEFERRED, NOW - 60)
    held, parked, fresh = (
        (state, 0.0) for state in (RecipientState.HELD, RecipientState.PARKED, RecipientState.FRESH)
    )
    stored = [
        message(1, fresh), message(2, waits, due), message(3, waits, held), message(4, parked, parked, held),
        message(5, due, due), message(6, waits),
    ]  # fmt: skip
    events = [Event(NOW - 50, EventKind.SEND, "m1", 1, "{}"), Event(NOW, EventKind.SEND, "m2", 1, "{}")]
    write(folder, Change(stored=stored, events=events))
    (folder / "large").mkdir(exist_ok=True)
    (folder / "large" / "a").write_bytes(b"x" * 1000)
    (folder / "large" / "b").write_bytes(b"x" * 234)
    found = census(folder, NOW)
    assert found.recipients == {"due": 3, "waiting": 3, "parked": 2, "held": 2}
    assert found.arrived == {"due": NOW - 998, "waiting": NOW - 998, "parked": NOW - 996, "held": NOW - 997}
    assert (found.events, found.first_event_at, found.files_bytes) == (2, NOW - 50, 1234)


def test_a_database_without_the_index_of_the_held_gets_it(folder: Path) -> None:
    connection = schema.open_writer(folder)
    connection.execute("DROP INDEX recipient_held")
    connection.close()
    write(folder, Change(stored=[message(1, (RecipientState.HELD, 0.0))]))
    assert census(folder, time.time()).recipients["held"] == 1


def test_a_shard_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be counted"):
        census(tmp_path / "nowhere", NOW)
