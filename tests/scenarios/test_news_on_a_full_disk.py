"""The disk of the spool is full: news wait in the event log, and are told when there is room again."""

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.events import EventKind
from relay.daemon.notifier.following import Follower
from relay.daemon.notifier.notifications import Notifications
from relay.daemon.notifier.outbox import FILE as OUTBOX
from relay.daemon.notifier.outbox import look
from relay.directory.refresh import LiveSnapshot
from tests.codec.notifications import BOUNCE, SEND
from tests.daemon.test_notifications import Relay, until
from tests.fakes import disk
from tests.fakes.authority import Authority
from tests.fakes.endpoint import Endpoint

BLOCK = 4096
EVENTS = 40


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path / "spool", "16M") as folder:
        yield folder


def fill(folder: Path) -> Path:
    """Not a byte is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(BLOCK)) == BLOCK:
                pass
        except OSError:
            pass
    return ballast


async def test_what_happens_on_a_full_disk_is_told_once_there_is_room(
    tmp_path: Path, spool: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.daemon.notifier.following._LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("relay.daemon.notifier.following._PAUSE_S", 0.01)
    caplog.set_level(logging.INFO)
    authority = Authority(tmp_path)
    relay = Relay(tmp_path, authority)
    async with AsyncExitStack() as stack:
        stack.callback(relay.desk.shards.close)
        stack.callback(relay.directory.close)
        endpoint = stack.enter_context(Endpoint(authority))
        relay.topic(endpoint.url)
        live = LiveSnapshot(relay.directory)
        await live.start(stack)
        notifications = Notifications(
            lambda: relay.config, live, relay.directory.topics, relay._notice, relay.clock
        )
        await notifications.start(stack)
        for number in range(EVENTS):
            relay.desk.log(EventKind.SEND, SEND, at=1.0 + number)
            relay.desk.log(EventKind.BOUNCE, BOUNCE, at=1.5 + number)
        ballast = fill(spool)
        follower = Follower(spool, notifications.sink, poll_s=0.01)
        await follower.start(stack)
        await until(lambda: follower.failures >= 3)
        assert endpoint.seen == []
        ballast.unlink()
        await until(lambda: len({post.id for post in endpoint.taken}) == EVENTS)
        await until(lambda: not look(spool))
    said = [one for one in caplog.records if one.message.startswith("events are")]
    assert [one.message for one in said] == ["events are not taken; tried again", "events are taken again"]
    assert OUTBOX in vars(said[0])["why"]
    assert "full" in vars(said[0])["why"]
