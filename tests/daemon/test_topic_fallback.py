"""The end of a topic: its owner hears of it first."""

import pytest

from relay.base.errors import RelayError
from relay.daemon.notifier.topic_fallback import KIND, drop, words
from relay.directory.notifying import Topic
from relay.directory.topics import Dropped

TOPIC = Topic(3, 7, "news", "https://hook.example/in")


class FakeTopics:
    def __init__(self) -> None:
        self.dropped: list[tuple[int, str]] = []

    def users(self, topic_id: int) -> tuple[tuple[str, str], ...]:
        return (("example.org", "Bounce"),)

    def drop(self, topic_id: int, reason: str) -> Dropped | None:
        self.dropped.append((topic_id, reason))
        return None


async def test_the_owner_is_told_and_then_it_is_dropped() -> None:
    topics, told = FakeTopics(), []

    async def notice(*words: object) -> str:
        assert topics.dropped == []
        told.append(words)
        return "id"

    await drop(topics, notice, TOPIC, "503 Busy", 24, set())
    [(account, subject, text, kind, about)] = told
    assert (account, kind, about) == (7, KIND, "news")
    assert subject == "Notifications to topic news have stopped"
    for part in ("24 hours", "https://hook.example/in", "503 Busy", "example.org: Bounce", "activate news"):
        assert part in text
    assert topics.dropped == [(3, "took nothing for 24 hours; it said: 503 Busy")]


async def test_a_topic_whose_owner_cannot_be_told_now_is_not_dropped_now() -> None:
    topics = FakeTopics()

    async def notice(*_: object) -> str:
        raise RelayError("no worker is ready")

    with pytest.raises(RelayError):
        await drop(topics, notice, TOPIC, "503", 24, set())
    assert topics.dropped == []


async def test_a_directory_that_cannot_be_written_repeats_no_mail() -> None:
    failures = [RelayError("locked")] * 3
    notices: list[object] = []

    class Locked(FakeTopics):
        def drop(self, topic_id: int, reason: str) -> Dropped | None:
            if failures:
                raise failures.pop()
            return super().drop(topic_id, reason)

    async def notice(*words: object) -> str:
        notices.append(words)
        return "id"

    topics, told = Locked(), set[int]()
    for _ in range(3):
        with pytest.raises(RelayError):
            await drop(topics, notice, TOPIC, "503", 24, told)
    await drop(topics, notice, TOPIC, "503", 24, told)
    assert (len(notices), len(topics.dropped), told) == (1, 1, set())


def test_a_topic_that_was_told_nothing_is_said_so() -> None:
    assert "nothing at present" in words(TOPIC, (), "503", 24)[1]
