"""From the outbox to web addresses that are slow, failing, dead or back: nothing is lost, all is in order.

Real connections, a real outbox, and a clock that moves when the test says so."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.codec import webhook
from relay.daemon.notifier.outbox import FILE, Notification, Outbox, look
from relay.daemon.notifier.posting import Posting
from relay.directory.notifying import Topic, TopicState
from relay.transport.answers import Answer, Status
from relay.transport.webhook import Webhooks
from tests.fakes.authority import Authority
from tests.fakes.clock import ManualClock
from tests.fakes.endpoint import Endpoint, Post

SECRET = b"secret"


class NoNames:
    async def addresses(self, host: str) -> Answer:
        return Answer(Status.NO_DOMAIN)


class Room:
    """A relay's posting, which can be killed and started again."""

    def __init__(self, spool: Path, authority: Authority) -> None:
        self.spool = spool
        self.clock = ManualClock()
        self.dead: list[tuple[str, str]] = []
        self.lost = 0
        self.topics: dict[int, Topic] = {}
        self._authority = authority
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        webhooks = Webhooks(NoNames(), str(self._authority.file), is_private_allowed=True)
        await webhooks.start(self._stack)
        self.posting = Posting(
            Outbox(self.spool), webhooks, self._wrap, self.clock, self._dead, end_s=0.2, on_lost=self._lost
        )
        await self.posting.start(self._stack)
        await self.posting.follow(self.topics)

    async def end(self) -> None:
        await self._stack.aclose()

    def _wrap(self, topic: Topic, uid: str, body: bytes, now: float) -> tuple[bytes, dict[str, str]]:
        return body, webhook.headers(topic.name, uid, SECRET, body, now)

    async def _dead(self, topic: Topic, said: str) -> dict[int, Topic]:
        self.dead.append((topic.name, said))
        changed = Topic(topic.id, 1, topic.name, topic.url, state=TopicState.DROPPED)
        self.topics = {**self.topics, topic.id: changed}
        return self.topics

    def _lost(self) -> None:
        self.lost += 1

    async def set(self, number: int, url: str, state: TopicState = TopicState.ACTIVE) -> None:
        """There is such a topic now."""
        changed = Topic(number, 1, f"topic{number}", url, state=state)
        self.topics = {**self.topics, number: changed}
        if hasattr(self, "posting"):
            await self.posting.follow(self.topics)

    async def tell(self, topic: int, *messages: str) -> None:
        """A notification about each."""
        made = [
            Notification(topic, message, f"{topic}-{message}-{at}", f'{{"n":{at}}}'.encode())
            for at, message in enumerate(messages)
        ]
        await self.posting.accept(made, {1: 1})

    async def until(self, is_true: Callable[[], object], step_s: float = 0.0) -> None:
        """Until it is true; the clock goes on by ``step_s`` with each look."""
        async with asyncio.timeout(60):
            while not is_true():
                self.clock.advance(step_s)
                await asyncio.sleep(0.01)

    def left(self, topic: int) -> int:
        waiting = look(self.spool).get(topic)
        return waiting.pending if waiting else 0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def room(tmp_path: Path, authority: Authority) -> AsyncIterator[Room]:
    made = Room(tmp_path, authority)
    await made.start()
    yield made
    await made.end()


@pytest.fixture
def endpoint(authority: Authority) -> Iterator[Endpoint]:
    with Endpoint(authority) as made:
        yield made


@pytest.fixture
def other(authority: Authority) -> Iterator[Endpoint]:
    with Endpoint(authority) as made:
        yield made


def ids(posts: list[Post]) -> list[str]:
    return [post.id for post in posts]


async def test_what_is_accepted_is_posted_signed_and_leaves_the_outbox(
    room: Room, endpoint: Endpoint
) -> None:
    await room.set(1, endpoint.url)
    await room.tell(1, "a", "b", "a")
    await room.until(lambda: len(endpoint.taken) == 3 and room.left(1) == 0)
    [first] = [post for post in endpoint.taken if post.id == "1-a-0"]
    assert first.headers["x-relay-topic"] == "topic1"
    assert webhook.verifies(
        SECRET, first.headers["x-relay-timestamp"], first.headers["x-relay-signature"], first.body,
        room.clock.now(),
    )  # fmt: skip
    assert ids(endpoint.taken).index("1-a-0") < ids(endpoint.taken).index("1-a-2")


async def test_many_more_than_are_read_ahead_all_arrive(room: Room, endpoint: Endpoint) -> None:
    await room.set(1, endpoint.url)
    for _ in range(3):
        await room.tell(1, *[str(number % 70) for number in range(500)])
    await room.until(lambda: len(endpoint.taken) == 1500 and room.left(1) == 0)


async def test_once_stopped_it_begins_no_post_and_the_next_life_makes_them(
    room: Room, endpoint: Endpoint
) -> None:
    await room.set(1, endpoint.url)
    messages = [f"m{number}" for number in range(2000)]
    await room.tell(1, *messages)
    await room.until(lambda: len(endpoint.taken) >= 5)
    room.posting.stop()
    begun = room.posting.posted + 8  # which are in flight at once
    await room.end()
    assert room.posting.posted <= begun < len(messages)
    assert room.left(1) == len(messages) - room.posting.posted
    await room.start()
    await room.until(lambda: not room.left(1))
    assert {one.body for one in endpoint.taken} == {f'{{"n":{at}}}'.encode() for at in range(len(messages))}


@pytest.mark.parametrize("fate", [500, 429, "redirect", "close"])
async def test_what_is_not_taken_is_posted_again_before_what_follows_it(
    room: Room, endpoint: Endpoint, fate: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    fates: dict[str, list[int | str]] = {"1-a-0": [fate, fate]}
    endpoint.fate = lambda post: fates.get(post.id, [200]).pop(0) if fates.get(post.id) else 200
    await room.set(1, endpoint.url)
    await room.tell(1, "a", "a", "b")
    await room.until(lambda: len(endpoint.taken) == 3, step_s=0.5)
    assert ids(endpoint.seen).count("1-a-0") == 3
    assert ids(endpoint.taken)[:1] == ["1-b-2"]
    assert [one for one in ids(endpoint.taken) if "-a-" in one] == ["1-a-0", "1-a-1"]
    noted = [vars(one) for one in caplog.records if one.msg.startswith("topic does not take")]
    assert {one["host"] for one in noted} == {"127.0.0.1"}
    assert "/hook" not in str(noted)


async def test_a_slow_topic_holds_up_nobody_else(room: Room, endpoint: Endpoint, other: Endpoint) -> None:
    endpoint.fate = lambda post: "hang"
    await room.set(1, endpoint.url)
    await room.set(2, other.url)
    await room.tell(1, *"abcdefghijkl")
    await room.tell(2, *"abcdefghijkl")
    await room.until(lambda: len(other.taken) == 12)
    assert endpoint.taken == []
    assert len(endpoint.seen) <= 8  # at once


async def test_a_topic_that_is_down_gets_all_of_it_in_order_when_it_is_back(
    room: Room, endpoint: Endpoint
) -> None:
    endpoint.stop()
    await room.set(1, endpoint.url)
    await room.tell(1, *["a", "b", "c"] * 20)
    await room.until(lambda: look(room.spool)[1].failing_since > 0)
    assert "connect" in look(room.spool)[1].said.lower()
    for _ in range(20):  # most of a day
        room.clock.advance(3600.0)
        await asyncio.sleep(0.01)
    assert room.dead == []
    endpoint.start()
    await room.until(lambda: len(endpoint.taken) == 60, step_s=60.0)
    for message in "abc":
        mine = [int(one.rpartition("-")[2]) for one in ids(endpoint.taken) if f"-{message}-" in one]
        assert mine == sorted(mine)
    await room.until(lambda: 1 not in look(room.spool))


async def test_after_a_day_it_is_dropped_and_gets_what_it_missed_when_it_is_active_again(
    room: Room, endpoint: Endpoint, other: Endpoint
) -> None:
    endpoint.fate = lambda post: 503
    await room.set(1, endpoint.url)
    await room.set(2, other.url)
    await room.tell(1, "a", "b")
    await room.tell(2, "a")
    await room.until(lambda: room.dead, step_s=1800.0)
    assert room.dead[0][0] == "topic1"
    assert room.dead[0][1].startswith("503")
    await room.until(lambda: look(room.spool)[1].aside == 2)
    assert len(other.taken) == 1
    endpoint.fate = lambda post: 200
    await room.set(1, endpoint.url)
    await room.until(lambda: len(endpoint.taken) == 2)
    assert len(room.dead) == 1


async def test_a_restart_in_the_middle_loses_nothing_and_keeps_the_order(
    room: Room, endpoint: Endpoint
) -> None:
    endpoint.fate = lambda post: 500 if "-a-" in post.id else 200
    await room.set(1, endpoint.url)
    await room.tell(1, *["a", "b"] * 5)
    await room.until(lambda: len(endpoint.taken) == 5)
    await room.end()
    endpoint.fate = lambda post: 200
    await room.start()
    await room.until(lambda: len(endpoint.taken) == 10, step_s=1.0)
    mine = [one for one in ids(endpoint.taken) if "-a-" in one]
    assert mine == [f"1-a-{number}" for number in (0, 2, 4, 6, 8)]


async def test_a_day_of_failure_counts_over_a_restart(room: Room, endpoint: Endpoint) -> None:
    endpoint.fate = lambda post: 500
    await room.set(1, endpoint.url)
    await room.tell(1, "a")
    await room.until(lambda: 1 in look(room.spool) and look(room.spool)[1].failing_since > 0, step_s=1.0)
    await room.end()
    room.clock.advance(90_000.0)
    await room.start()
    await room.until(lambda: room.dead, step_s=20.0)
    assert len(endpoint.seen) >= 5  # it was asked some times first


async def test_a_reload_changes_when_a_topic_is_given_up(room: Room, endpoint: Endpoint) -> None:
    endpoint.fate = lambda post: 500
    await room.set(1, endpoint.url)
    await room.tell(1, "a")
    await room.until(lambda: len(endpoint.seen) == 2, step_s=1.0)
    room.posting.give_up_after_s = 60.0
    began = room.clock.now()
    await room.until(lambda: room.dead, step_s=5.0)
    assert room.clock.now() - began < 43_200.0


async def test_a_topic_that_is_deleted_leaves_nothing(room: Room, endpoint: Endpoint) -> None:
    endpoint.fate = lambda post: 500
    await room.set(1, endpoint.url)
    await room.tell(1, "a")
    await room.until(lambda: endpoint.seen)
    room.topics = {}
    await room.posting.follow({})
    await room.until(lambda: 1 not in look(room.spool))


async def test_a_topic_whose_outbox_cannot_be_read_for_a_while_is_told_later(
    room: Room, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.daemon.notifier.topic_poster._UNREAD_S", 0.01)
    failures = [sqlite3.OperationalError("disk I/O error")] * 3
    load = Outbox.load

    def failing(outbox: Outbox, *arguments: object) -> object:
        if failures:
            raise failures.pop()
        return load(outbox, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Outbox, "load", failing)
    await room.tell(1, "a")
    await room.set(1, endpoint.url)
    await room.until(lambda: room.left(1) == 0 and not failures)
    assert len(endpoint.taken) == 1


async def test_while_the_outbox_cannot_be_written_what_was_taken_is_not_forgotten(
    room: Room, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.daemon.notifier.posting._RETRY_S", 0.01)
    failures = [sqlite3.OperationalError("disk I/O error")] * 3
    settle = Outbox.settle

    def failing(outbox: Outbox, *arguments: object) -> None:
        if failures:
            raise failures.pop()
        settle(outbox, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Outbox, "settle", failing)
    await room.set(1, endpoint.url)
    await room.tell(1, "a")
    await room.until(lambda: room.left(1) == 0 and not failures)
    assert len(endpoint.taken) == 1


async def test_an_outbox_that_is_removed_in_use_is_said_once_and_nothing_is_taken_for_told(
    room: Room, endpoint: Endpoint
) -> None:
    await room.set(1, endpoint.url)
    await room.tell(1, "a")
    await room.until(lambda: len(endpoint.taken) == 1 and room.left(1) == 0)
    (room.spool / FILE).unlink()
    for _ in range(2):
        with pytest.raises(SpoolError):
            await room.tell(1, "b")
    assert room.lost == 1
    await room.end()
    await room.start()
    assert await room.posting.position() == {}
    await room.tell(1, "a")
    await room.until(lambda: len(endpoint.taken) == 2 and room.left(1) == 0)


async def test_what_waits_for_a_topic_that_takes_nothing_is_on_disk_alone(
    room: Room, endpoint: Endpoint
) -> None:
    endpoint.fate = lambda post: 500
    await room.set(1, endpoint.url)
    await room.tell(1, *[f"m{number}" for number in range(30)])
    await room.until(lambda: room.posting.refused >= 3)
    await room.tell(1, *[f"n{number}" for number in range(30)])
    lines = room.posting._posters[1]._queue._lines.values()
    await room.until(lambda: sum(map(len, lines)) == 60)
    assert [entry.body for line in lines for entry in line] == [None] * 60
    endpoint.fate = lambda post: 200
    await room.until(lambda: len({post.id for post in endpoint.taken}) == 60, step_s=1.0)
    await room.until(lambda: room.left(1) == 0)
