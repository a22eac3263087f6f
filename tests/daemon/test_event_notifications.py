"""Events as SES's notifications."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.events import EventKind
from relay.codec.notification import Service
from relay.daemon.notifier.event_notifications import AsNotifications
from relay.spool.event_log import EventLog
from tests.fakes.event_log import Shards

SERVICE = Service("eu-west-1", "relay.example", "service.example")
SEND = '{"source":"a@a.example","destination":["x@r.example","y@r.example"],"identity":"a.example"}'


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    made = Shards(tmp_path, 2)
    yield made
    made.close()


def bounce(address: str) -> str:
    words = {"bounceType": "Permanent", "bounceSubType": "NoEmail", "status": "5.1.1", "action": "failed"}
    return json.dumps({"recipient": address, "reply": "550 5.1.1 unknown", "source": "smtp", **words})


def test_what_belongs_together_is_one_line_and_knows_its_message(shards: Shards) -> None:
    shards.add(1, 1, EventKind.SEND, detail=SEND)
    shards.add(1, 1, EventKind.NOTICE, detail='{"notice":"x"}')
    shards.add(1, 1, EventKind.BOUNCE, 5.0, detail=bounce("x@r.example"))
    shards.add(1, 1, EventKind.BOUNCE, 5.0, detail=bounce("y@r.example"))
    shards.add(2, 1, EventKind.COMPLAINT, 9.0, detail='{"recipient":"x@r.example","feedbackType":"abuse"}')
    log = EventLog(shards.path)
    lines = AsNotifications(log, SERVICE).lines(log.read({})[0])
    send, bounced, complained = map(json.loads, lines)
    assert send["eventType"] == "Send"
    assert bounced["notificationType"] == "Bounce"
    told = [one["emailAddress"] for one in bounced["bounce"]["bouncedRecipients"]]
    assert told == ["x@r.example", "y@r.example"]
    assert complained["complaint"]["complaintFeedbackType"] == "abuse"
    assert {one["mail"]["messageId"] for one in (send, bounced, complained)} == {shards.ids[0]}
    assert {one["mail"]["source"] for one in (send, bounced, complained)} == {"a@a.example"}


def test_a_gap_is_no_notification(shards: Shards) -> None:
    shards.writers[1].execute("INSERT INTO event VALUES (9, 0, 'Gap', '', 0, '{}')")
    log = EventLog(shards.path)
    assert AsNotifications(log, SERVICE).lines(log.read({})[0]) == []
