"""Messages to store, and the one change that each outcome is."""

from pathlib import Path

from relay.base.events import Change, Deferral, Event, EventKind
from relay.base.ids import MessageIds
from relay.base.message import Message, Recipient

IDS = MessageIds(1)
NOW = 1_800_000_000.0


def message(
    *addresses: str,
    content: bytes = b"Subject: hi\r\n\r\nhello\r\n",
    sender: str = "a@example.com",
    now: float = NOW,
    max_age: float = 50_000.0,
    account: int = 1,
) -> Message:
    recipients = [
        Recipient(number, address, address.rpartition("@")[2])
        for number, address in enumerate(addresses or ("b@example.org",))
    ]
    return Message(IDS.make(now), 1, account, sender, recipients, len(content), now, now + max_age, content)


def storing(*messages: Message) -> Change:
    events = [Event(m.arrived_at, EventKind.SEND, m.id, m.account_id) for m in messages]
    return Change(stored=list(messages), events=events)


def done(one: Message, *numbers: int) -> Change:
    numbers = numbers or tuple(r.number for r in one.recipients)
    return Change(
        settled=[(one.key, number) for number in numbers],
        events=[Event(NOW, EventKind.DELIVERY, one.id, one.account_id) for _ in numbers],
    )


def deferring(
    one: Message, number: int, due_at: float, attempts: int = 1, reply: str = "450 later"
) -> Change:
    return Change(deferred=[Deferral(one.key, number, attempts, due_at, reply)])


def tables(folder: Path) -> dict[str, int]:
    """How many rows each table of a shard's database has."""
    import sqlite3

    connection = sqlite3.connect(folder / "spool.db")
    try:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("message", "body", "recipient", "event", "uncertain")
        }
    finally:
        connection.close()
