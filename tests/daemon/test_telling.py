"""Which events become notifications of which topic."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.events import Change, Event, EventKind, Logged
from relay.daemon.notifier.outbox import Notification
from relay.daemon.notifier.telling import Telling
from relay.directory.notifying import TOLD, NotificationRow, Notified, Notifying, Topic, TopicState
from relay.spool import rows
from relay.spool.event_log import EventLog
from tests.codec.notifications import BOUNCE, DELIVERY, SEND, SERVICE
from tests.spool.test_event_log import Shards

NEWS = Topic(1, 1, "news", "https://hook.example/")


class FakeSnapshot:
    def __init__(self, notified: Notified) -> None:
        self._notified = notified

    @property
    def topics(self) -> Mapping[int, Topic]:
        return self._notified.topics

    def notifying(self, account_id: int, identity: str, kind: EventKind) -> Notifying | None:
        return self._notified.of(account_id, identity, kind)


class Office:
    """An outbox that remembers."""

    def __init__(self) -> None:
        self.made: list[Notification] = []
        self.reached: dict[int, int] = {}

    async def position(self) -> dict[int, int]:
        return self.reached

    async def accept(self, made: Sequence[Notification], reached: Mapping[int, int]) -> None:
        self.made += made
        self.reached = dict(reached)


class Desk:
    """A sink over a log, with a directory that the test writes."""

    def __init__(self, path: Path) -> None:
        self.shards = Shards(path, 1)
        self.office = Office()
        self.path = path
        self.tell({EventKind.BOUNCE: NEWS, EventKind.DELIVERY: NEWS})

    def tell(self, told: Mapping[EventKind, Topic | None]) -> None:
        """The identity example.org tells these kinds."""
        topics = {topic.id: topic for topic in told.values() if topic}
        lines = [
            NotificationRow(1, "example.org", kind, topic.id if topic else None, False)
            for kind, topic in told.items()
        ]
        self.current = FakeSnapshot(Notified(topics.values(), lines))

    def log(self, kind: EventKind, detail: dict[str, Any], account: int = 1, at: float = 5.0) -> None:
        connection = self.shards.writers[1]
        connection.execute("BEGIN")
        event = Event(at, kind, self.shards.ids[0], account, json.dumps(detail))
        rows.write(connection, [Change(events=[event])])
        connection.execute("COMMIT")

    async def run(self, sink: Telling) -> list[dict[str, Any]]:
        """What the topics are told of all that is in the log behind the position."""
        self.office.made = []
        batch, reached = EventLog(self.path).read(await sink.position(), kinds=sink.kinds)
        await sink.take(batch, reached)
        return [json.loads(one.body) for one in self.office.made]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
async def sink(desk: Desk) -> AsyncIterator[Telling]:
    async with AsyncExitStack() as stack:
        made = Telling(desk.path, desk, desk.office, lambda: SERVICE)
        await made.start(stack)
        yield made


async def test_bounces_of_one_moment_are_one_notification_and_each_delivery_is_its_own(
    desk: Desk, sink: Telling
) -> None:
    desk.log(EventKind.SEND, SEND, at=1.0)
    desk.log(EventKind.BOUNCE, BOUNCE)
    desk.log(EventKind.BOUNCE, BOUNCE | {"recipient": "bob@example.com"})
    desk.log(EventKind.DELIVERY, DELIVERY, at=6.0)
    bounce, delivery = await desk.run(sink)
    recipients = [one["emailAddress"] for one in bounce["bounce"]["bouncedRecipients"]]
    assert recipients == ["ann@example.com", "bob@example.com"]
    assert bounce["mail"]["source"] == "joe@example.org"
    assert delivery["delivery"]["recipients"] == ["ann@example.com"]
    assert desk.office.reached == {1: 4}


async def test_events_that_come_again_make_the_same_notifications(desk: Desk, sink: Telling) -> None:
    desk.log(EventKind.SEND, SEND, at=1.0)
    desk.log(EventKind.BOUNCE, BOUNCE)
    await desk.run(sink)
    [first] = desk.office.made
    desk.office.reached = {}
    await desk.run(sink)
    assert desk.office.made == [first]


async def test_the_message_is_looked_up_where_it_was_sent_long_ago(desk: Desk, sink: Telling) -> None:
    desk.log(EventKind.SEND, SEND, at=1.0)
    await desk.run(sink)
    sink._sends.clear()
    desk.log(EventKind.BOUNCE, BOUNCE)
    [told] = await desk.run(sink)
    assert told["mail"]["destination"] == SEND["destination"]


async def test_where_the_send_event_is_gone_the_bounce_is_told_all_the_same(
    desk: Desk, sink: Telling
) -> None:
    desk.log(EventKind.BOUNCE, BOUNCE)
    [told] = await desk.run(sink)
    assert told["mail"]["destination"] == ["ann@example.com"]


async def test_kinds_and_accounts_that_tell_nobody_are_told_to_nobody(desk: Desk, sink: Telling) -> None:
    desk.tell({EventKind.BOUNCE: NEWS, EventKind.DELIVERY: None})
    desk.log(EventKind.SEND, SEND, at=1.0)
    desk.log(EventKind.DELIVERY, DELIVERY)
    desk.log(EventKind.BOUNCE, BOUNCE, account=2)
    assert await desk.run(sink) == []
    assert desk.office.reached == {1: 3}


async def test_without_an_active_topic_next_to_nothing_is_read(desk: Desk, sink: Telling) -> None:
    assert set(sink.kinds) == set(TOLD)
    desk.tell({EventKind.BOUNCE: Topic(1, 1, "news", "https://x/", state=TopicState.DROPPED)})
    assert sink.kinds == (EventKind.NOTICE,)
    desk.log(EventKind.BOUNCE, BOUNCE)
    assert await desk.run(sink) == []
    assert desk.office.reached == {1: 1}


async def test_an_event_about_no_message_harms_nothing(desk: Desk, sink: Telling) -> None:
    event = Event(1.0, EventKind.BOUNCE, "", 1, "no json")
    await sink.take([Logged(1, 1, event)], {1: 1})
    assert desk.office.reached == {1: 1}
