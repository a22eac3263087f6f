"""What is gathered of a message without a relay; which message a text names; why one is unknown."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base import return_path
from relay.base.events import EventKind
from relay.base.ids import MessageIds
from relay.daemon.message_life import gather, id_in, why_unknown
from relay.daemon.notifier.outbox import Notification, Outbox
from relay.spool import schema
from relay.spool.recover import shard_folder
from tests.fakes.event_log import Shards

ID = "0000019a8c3b1f20-5b1c0000-0000-4000-8000-000000000abc-000001"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        ID.upper(),
        f"<{ID}@relay.example.net>",
        f"Message-ID: <{ID}@relay.example.net>",
        f"250 2.6.0 Ok {ID}",
        return_path.make(ID, b"key"),
        f"<{return_path.make(ID, b'key').upper()}@bounces.example.net>",
    ],
)
def test_the_message_that_a_text_names(text: str) -> None:
    assert id_in(text) == ID


@pytest.mark.parametrize("text", ["", "<own@client.example>", ID[:-1]])
def test_what_names_none(text: str) -> None:
    with pytest.raises(ValueError, match="names no message of this relay: give the id as in"):
        id_in(text)


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    made = Shards(tmp_path, 2)
    yield made
    made.close()


def test_a_life_in_two_shards_with_the_mail_that_told_of_it(shards: Shards, tmp_path: Path) -> None:
    message_id, report = shards.ids
    sent = {
        "source": "a@x.example", "destination": ["b@y.example", "c@y.example", "d@y.example"],
        "sourceIp": "192.0.2.1", "credential": "KEY", "protocol": "ESMTPSA", "tls": "TLSv1.3 X",
        "identity": "x.example", "sizeBytes": 10, "tags": {"ses:configuration-set": ["set"]},
    }  # fmt: skip
    shards.add(1, 1, EventKind.SEND, 1.0, detail=json.dumps(sent), account=7)
    delivered = {"recipient": "b@y.example", "reply": "250 ok", "tls": "", "milliseconds": 5}
    shards.add(1, 1, EventKind.DELIVERY, 2.0, detail=json.dumps(delivered))
    bounced = {"recipient": "c@y.example", "reply": "550 no", "bounce": report}
    shards.add(1, 1, EventKind.BOUNCE, 3.0, detail=json.dumps(bounced))
    shards.add(2, 2, EventKind.SEND, 4.0, detail='{"source":"","destination":["a@x.example"]}')
    shards.add(2, 1, EventKind.COMPLAINT, 9.0, detail='{"recipient":"b@y.example","feedbackType":"abuse"}')
    outbox = Outbox(tmp_path)
    outbox.open(1.0)
    outbox.put([Notification(4, message_id, "u", b"{}")], {1: 2, 2: 1}, 5.0)
    outbox.close()
    shards.writers[1].execute("INSERT INTO uncertain VALUES (?, 'd@y.example', 6.0, 'crash')", (message_id,))
    found = gather(tmp_path, message_id)
    assert found is not None
    assert (found["account_id"], found["sender"], found["bytes_received"]) == (7, "a@x.example", 10)
    assert found["client"] == {
        "address": "192.0.2.1",
        "credential": "KEY",
        "protocol": "ESMTPSA",
        "tls": "TLSv1.3 X",
    }
    assert found["control"] == {"configuration_set": "set"}
    assert [(one["recipient"], one["state"]) for one in found["recipients"]] == [
        ("b@y.example", "complained"),
        ("c@y.example", "failed"),
        ("d@y.example", "unknown"),
    ]
    assert [(one["kind"], one.get("report", "")) for one in found["timeline"]] == [
        ("Send", ""),
        ("Delivery", ""),
        ("Bounce", ""),
        ("Send", report),
        ("Complaint", ""),
    ]
    assert found["uncertain"] == [{"recipient": "d@y.example", "at": 6.0, "why": "crash"}]
    assert [one["topic_id"] for one in found["notifications_waiting"]] == [4]
    assert found["events_not_looked_at"] == 2  # the bounce, and the complaint in the other shard
    assert json.dumps(found)


def test_events_that_are_gone_and_nonsense_in_them(shards: Shards, tmp_path: Path) -> None:
    assert gather(tmp_path, shards.ids[0]) is None
    shards.add(1, 1, EventKind.BOUNCE, 3.0, detail="[]")
    found = gather(tmp_path, shards.ids[0])
    assert found is not None
    assert found["note"] == "its first events are not kept any more ([events] keep_for, keep_size)"
    assert (found["sender"], found["recipients"]) == ("unknown", [])


DAY = 86400.0


@pytest.mark.parametrize(
    ("made_at", "shard", "why"),
    [
        (90 * DAY, 3, "another relay took it"),
        (80 * DAY, 1, r"older than \[events\] keep_for \(14 days\)"),
        (101 * DAY, 1, "a time to come"),
        (90 * DAY, 1, r"\[events\] keep_size was reached before keep_for"),
        (99 * DAY, 1, "no message of this id was accepted here"),
    ],
)
def test_why_nothing_is_known(shards: Shards, tmp_path: Path, made_at: float, shard: int, why: str) -> None:
    shards.add(1, 1, EventKind.SEND, 95 * DAY)
    unknown = why_unknown(tmp_path, MessageIds(shard).make(made_at), 14 * DAY, 100 * DAY)
    with pytest.raises(ValueError, match=why):
        raise ValueError(unknown)


def test_reading_writes_nothing(shards: Shards, tmp_path: Path) -> None:
    shards.add(1, 1, EventKind.SEND, 1.0, detail='{"source":"a@x.example","destination":[]}')
    before = sqlite3.connect(shard_folder(tmp_path, 1) / schema.DATABASE)
    count = before.execute("SELECT total(offset) FROM event").fetchone()
    gather(tmp_path, shards.ids[0])
    assert before.execute("SELECT total(offset) FROM event").fetchone() == count
    before.close()
