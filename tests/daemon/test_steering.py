"""The operator's steps on the shards of one worker, with the queue's real parts around them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.base.events import Change, Transcript
from relay.base.message import Attempt, Message
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Host, Route
from relay.daemon.worker.steering import leads_to
from relay.spool import operate, views
from relay.spool.choosing import Chosen
from relay.spool.event_log import EventLog
from tests.daemon.conftest import Started
from tests.fakes.prepared import SENDER


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def path(started: Started) -> Path:
    return started.works.config.spool.path


def waiting(started: Started) -> dict[str, str]:
    """State by recipient."""
    found = [views.show(path(started), one.id) for one in views.list_messages(path(started))]
    return {r.address: r.state.value for m in found if m is not None for r in m.recipients}


async def deferred(started: Started, count: int = 1) -> list[str]:
    """So many messages that wait on disk: the first was tried, for the others the site is down."""
    ids = [await started.submit() for _ in range(count)]
    await until(lambda: started.works.outbound.settler.deferred > 0)
    await until(lambda: started.works.outbound.scheduler.window.held == 0)
    return ids


async def steer(started: Started, operation: str, **more) -> dict[str, int]:
    """As the command line does it: what arrives from now on, bounces too, is not meant."""
    chosen = Chosen(older_than=SystemClock().now(), sender=more.pop("sender", None))
    total, cursor = {"done": 0, "messages": 0, "busy": 0}, None
    while True:
        step = await started.works.steering.step(operation, chosen, cursor, "root", **more)
        cursor = step.pop("cursor")
        total = {name: total[name] + step[name] for name in total}
        if cursor is None:
            return total


async def test_a_step_ends_where_the_next_begins(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    await deferred(started, 5)
    monkeypatch.setitem(operate.CHUNK, "hold", 2)
    step = started.works.steering.step
    first = await step("hold", Chosen(), None, "root")
    assert (first["done"], first["cursor"][0]) == (2, 1)
    second = await step("hold", Chosen(), first["cursor"], "root")
    third = await step("hold", Chosen(), second["cursor"], "root")
    assert (second["done"], third["done"]) == (2, 1)
    last = await step("hold", Chosen(), third["cursor"], "root")
    assert last == {"done": 0, "messages": 0, "busy": 0, "cursor": None}
    assert started.works.steering.operated == {"hold": 5}


async def test_deleted_with_a_word_to_the_sender(started: Started) -> None:
    (message_id,) = await deferred(started)
    shown = views.show(path(started), message_id)
    await started.works.shards[1].commit(Change(transcripts=[Transcript(shown.key, 0, 1.0, "> MAIL")]))
    assert await steer(started, "bounce") == {"done": 1, "messages": 1, "busy": 0}
    assert views.transcripts(path(started), shown) == {}
    assert views.show(path(started), message_id) is None
    (bounce,) = [one for one in views.list_messages(path(started)) if one.sender == ""]
    assert bounce.address == SENDER
    shard = started.works.shards[1]
    message = views.show(path(started), bounce.id)
    content = (await shard.contents([message]))[message.key].decode()
    assert "Final-Recipient: rfc822; x@receiver.example" in content
    assert "Status: 5.7.1" in content
    assert "administrator of this mail server has deleted the message" in " ".join(content.split())
    assert "Subject: x" in content  # the header of what was deleted
    events = [one.event for one in EventLog(path(started)).of_message(message_id)]
    assert [one.kind.value for one in events] == ["Send", "Bounce"]
    assert '"reason":"deleted"' in events[-1].detail


async def test_bounces_are_deleted_without_a_bounce(started: Started) -> None:
    await deferred(started)
    await steer(started, "bounce")
    assert (await steer(started, "bounce", sender=""))["done"] == 1
    assert waiting(started) == {}


async def test_what_a_connection_has_in_hand_is_not_bounced(started: Started) -> None:
    (message_id,) = await deferred(started)
    message = views.show(path(started), message_id)
    taken = started.works.outbound.scheduler.lanes.taken
    attempt = Attempt(message, message.recipients, "hop:x")
    taken.add(attempt)
    assert await steer(started, "bounce") == {"done": 0, "messages": 0, "busy": 1}
    assert waiting(started) == {"x@receiver.example": "deferred"}
    taken.discard(attempt)
    assert (await steer(started, "bounce"))["done"] == 1


async def test_what_is_taken_at_the_last_moment_is_let_go_again(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    (message_id,) = await deferred(started)
    message = views.show(path(started), message_id)
    scheduler = started.works.outbound.scheduler
    answers = iter([set(), {(message.key, 0)}])
    monkeypatch.setattr(scheduler, "taken", lambda shard, keys: next(answers))
    step = await started.works.steering.step("bounce", Chosen(), None, "root")
    assert (step["done"], step["busy"]) == (0, 1)
    assert waiting(started) == {"x@receiver.example": "deferred"}


async def test_a_bounce_that_cannot_be_made_leaves_the_mail_held(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deferred(started)

    def fail(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(started.works.outbound.settler.telling._bounces, "make", fail)
    assert (await steer(started, "bounce"))["done"] == 0
    assert waiting(started) == {"x@receiver.example": "held"}


async def test_rerouted_and_back(started: Started) -> None:
    (message_id,) = await deferred(started)
    await steer(started, "hold")
    assert (await steer(started, "reroute", next_hop="[::1]:2525"))["done"] == 1

    def domain() -> str:
        message: Message | None = views.show(path(started), message_id)
        assert message is not None
        return message.recipients[0].domain

    assert domain() == "[::1]:2525"
    assert await started.works.steering.count("back", Chosen()) == 1
    assert (await steer(started, "back"))["done"] == 1
    assert domain() == "receiver.example"
    assert await started.works.steering.count("back", Chosen()) == 0


@pytest.mark.parametrize(
    ("site", "is_it"),
    [("mx:a.example", True), ("MX:A.example", True), ("a.example", True), ("b.example", False)],
)
def test_a_site_goes_by_its_name_or_by_that_of_a_host(site: str, is_it: bool) -> None:
    assert leads_to(Route("mx:a.example", (Host("a.example"),)), site) is is_it
    assert not leads_to(Deferred(Scope.SITE, Reason.DNS_TEMPORARY), site)
