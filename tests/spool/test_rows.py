"""A message as rows and back."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.base.events import Change, Deferral, Transcript
from relay.base.message import Message, Recipient, RecipientState
from relay.spool import remnant, rows, schema
from tests.fakes.spool import NOW, done, message

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RECIPIENT = st.builds(
    Recipient,
    number=st.just(0),
    address=TEXT,
    domain=TEXT,
    notify=TEXT,
    orcpt=TEXT,
    state=st.sampled_from(RecipientState),
    attempts=st.integers(0, 1000),
    due_at=st.floats(0, 4e9),
    reply=TEXT,
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory):
    opened = schema.open_writer(Path(tmp_path_factory.mktemp("rows")))
    opened.execute("PRAGMA synchronous=OFF")
    yield opened
    opened.close()


def read(connection: sqlite3.Connection, key: int) -> Message:
    row = connection.execute(f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE key = ?", (key,)).fetchone()
    found = rows.message_of(row, 1)
    found.recipients = [
        rows.recipient_of(row)
        for row in connection.execute(
            f"SELECT {rows.RECIPIENT_COLUMNS} FROM recipient r WHERE message = ? ORDER BY number", (key,)
        )
    ]
    return found


@given(
    recipients=st.lists(RECIPIENT, min_size=1, max_size=70),
    sender=TEXT,
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    content=st.binary(max_size=100),
)
@settings(max_examples=60)
def test_there_and_back(connection, recipients, sender, flags, content) -> None:
    for number, recipient in enumerate(recipients):
        recipient.number = number
    one = Message(
        "id", 1, 3, sender, recipients, len(content), NOW, NOW + 1, content, key=5,
        is_8bit=flags[0], is_utf8=flags[1], is_large=flags[2], ret="FULL", envid="e",
    )  # fmt: skip
    connection.execute("BEGIN")
    rows.write(connection, [Change(stored=[one])])
    found = read(connection, 5)
    bodies = connection.execute("SELECT content FROM body").fetchall()
    assert bodies == ([] if one.is_large else [(content,)])
    assert found.recipients == recipients
    for name in Message.__slots__:
        if name not in ("recipients", "content"):
            assert getattr(found, name) == getattr(one, name), name
    assert rows.write(connection, [done(one)]) == (["id"] if one.is_large else [])
    assert connection.execute("SELECT count(*) FROM message").fetchone() == (0,)
    connection.execute("ROLLBACK")


def put(connection: sqlite3.Connection, count: int, recipients: int) -> list[Message]:
    kept = []
    for key in range(1, count + 1):
        one = message(*[f"{n}@example.org" for n in range(recipients)])
        one.key = key
        kept.append(one)
    rows.write(connection, [Change(stored=kept)])
    return kept


def left(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    return connection.execute("SELECT message, number FROM recipient ORDER BY 1, 2").fetchall()


@pytest.mark.parametrize("count", [1, 3, 4, 5, 63, 64, 65, 85, 200])
def test_every_chunk_size(connection, count: int) -> None:
    """Statements take 64, 16, 4 or 1 rows; no row may fall between them."""
    connection.execute("BEGIN")
    kept = put(connection, count, 2)
    assert len(left(connection)) == 2 * count
    rows.write(connection, [Change(settled=[(m.key, 0) for m in kept])])
    assert left(connection) == [(m.key, 1) for m in kept]
    rows.write(connection, [Change(deferred=[Deferral(m.key, 1, m.key, NOW + m.key, "x") for m in kept])])
    told = connection.execute(
        "SELECT state, attempts, due - ?, reply FROM recipient ORDER BY message", (NOW,)
    )
    assert told.fetchall() == [(1, m.key, m.key, "x") for m in kept]
    rows.write(connection, [Change(settled=[(m.key, 1) for m in kept])])
    for table in ("message", "body", "recipient"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.execute("ROLLBACK")


@pytest.mark.parametrize("count", [1, 5, 65])
def test_who_has_been_told_waits_as_before(connection, count: int) -> None:
    connection.execute("BEGIN")
    kept = put(connection, count, 2)
    parked = "UPDATE recipient SET state = ?, due = 7, reply = 'x' WHERE number = 1"
    connection.execute(parked, (schema.PARKED,))
    later = [Deferral(m.key, 0, 1, NOW, "later") for m in kept]
    rows.write(connection, [Change(deferred=later, told=[(m.key, n) for m in kept for n in (0, 1)])])
    told = connection.execute("SELECT number, state, due, reply, told FROM recipient ORDER BY 1")
    assert set(told.fetchall()) == {(0, schema.DEFERRED, NOW, "later", 1), (1, schema.PARKED, 7.0, "x", 1)}
    connection.execute("ROLLBACK")


def test_a_message_goes_with_its_last_recipient_whoever_counted(connection) -> None:
    connection.execute("BEGIN")
    one, two, three = put(connection, 3, 2)
    rows.write(
        connection,
        [
            Change(settled=[(one.key, 0)], finished=[]),
            Change(settled=[(two.key, 0), (two.key, 1)], finished=[two.key]),
            Change(settled=[(three.key, 0)]),
            Change(settled=[(three.key, 1)]),
            Change(settled=[(99, 0)], finished=[99]),  # deleted by the operator meanwhile
        ],
    )
    assert left(connection) == [(one.key, 1)]
    assert connection.execute("SELECT key FROM message").fetchall() == [(one.key,)]
    assert connection.execute("SELECT key FROM body").fetchall() == [(one.key,)]
    connection.execute("ROLLBACK")


def test_what_is_left_of_an_outcome_has_no_text(connection) -> None:
    connection.execute("BEGIN")
    one, two = put(connection, 2, 2)
    bad = "\udcff"
    outcome = Change(settled=[(one.key, 0)], deferred=[Deferral(one.key, 1, 2, NOW + 5, bad)])
    with_bounce = Change(settled=[(two.key, 0)], stored=[message(bad)])
    remnant.write(connection, [outcome, with_bounce])
    states = connection.execute("SELECT message, number, state, due - ? FROM recipient ORDER BY 1, 2", (NOW,))
    assert states.fetchall() == [
        (1, 1, schema.DEFERRED, 5.0),
        (2, 0, schema.HELD, -NOW),
        (2, 1, schema.FRESH, -NOW),
    ]
    connection.execute("ROLLBACK")


def test_transcripts_replace_each_other_and_go_with_their_recipient(connection) -> None:
    one = message("a@example.org", "b@example.org", "c@example.org")
    one.key = 10**9

    def kept() -> dict[int, str]:
        found = connection.execute("SELECT number, dialogue FROM transcript WHERE message = ?", (one.key,))
        return dict(found.fetchall())

    rows.write(connection, [Change(stored=[one])])
    said = [Transcript(one.key, number, NOW, f"first {number}") for number in (0, 1, 5)]
    rows.write(connection, [Change(transcripts=said)])
    assert kept() == {0: "first 0", 1: "first 1"}  # there is no recipient 5 (any more)
    rows.write(connection, [Change(transcripts=[Transcript(one.key, 1, NOW, "second")])])
    assert kept() == {0: "first 0", 1: "second"}
    rows.write(connection, [Change(settled=[(one.key, 0)], tried_before=[(one.key, 0)])])
    assert kept() == {1: "second"}
    rows.write(connection, [Change(finished=[one.key], tried_before=[(one.key, 1)])])
    assert kept() == {}
