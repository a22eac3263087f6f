"""What a worker and what the disk alone say of a message that waits."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from relay.base.events import Change, Transcript
from relay.base.message import RecipientState
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Source
from relay.base.suppression import ON_ACCOUNT_LIST, ON_SERVICE_LIST
from relay.daemon.worker.explaining import Explaining, from_disk
from relay.directory.records import Suspended
from relay.spool import views
from tests.daemon.conftest import Started
from tests.fakes.routes import FakeRoutes
from tests.fakes.spool import message

NOBODY = "0000019a8c3b1f20-5b1c0000-0000-4000-8000-000000000000-000001"


@pytest.fixture
async def waits(started: Started) -> str:
    """A message that was tried once."""
    message_id = await started.submit()
    async with asyncio.timeout(20):
        while not started.works.outbound.settler.deferred or started.works.outbound.scheduler.window.held:
            await asyncio.sleep(0.01)
    return message_id


def path(started: Started) -> Path:
    return started.works.config.spool.path


async def explained(started: Started, message_id: str, sites: dict[str, Any] | None = None) -> dict[str, Any]:
    works = started.works
    router = works.outbound.router if sites is None else FakeRoutes(sites)
    explaining = Explaining(
        path(started),
        works.outbound.scheduler,
        router,
        works.live,
        works.clock,
        lambda message: Source("pool-a"),
    )
    found = await explaining.explain(message_id)
    assert found is not None
    (recipient,) = found["recipients"]
    return {**found, **recipient}


async def test_the_worker_names_route_lane_and_limit(started: Started, waits: str, nobody: int) -> None:
    found = await started.works.explaining.explain(waits)
    assert found is not None
    (recipient,) = found["recipients"]
    site = f"hop:127.0.0.1:{nobody}"
    assert recipient["route"] == {
        "site": site,
        "hosts": [f"127.0.0.1:{nobody}"],
        "tls": "none",
        "tls_asked_by": "",
        "source": "",
    }
    assert (recipient["lane"]["name"], recipient["lane"]["waiting"]) == (site, 0)
    assert recipient["lane"]["rule"] == "default"
    assert recipient["limit"] == "backoff"
    assert (found["account"], found["id"]) == ("tests", waits)


async def test_its_lane_is_that_of_its_source(started: Started, waits: str) -> None:
    found = await explained(started, waits)
    assert found["lane"]["name"].endswith("@pool-a")
    assert found["route"]["source"] == "pool-a"


async def test_without_a_route_there_is_no_lane(started: Started, waits: str) -> None:
    unknown = Deferred(Scope.SITE, Reason.DNS_TEMPORARY, detail="SERVFAIL")
    found = await explained(started, waits, {"receiver.example": unknown})
    assert not {"route", "lane"} & set(found)


async def test_what_is_suspended_is_named_with_what_would_resume_it(started: Started, waits: str) -> None:
    started.works.directory.suspensions.add(Suspended.SITE, ".example", "a test")
    await started.works.live.poll()
    found = await explained(started, waits, {"receiver.example": "mx1.big.example"})
    assert (found["limit"], found["why"]) == ("suspension", "site .example is suspended: a test")
    assert found["advice"] == 'relay queue resume --site ".example"'


async def test_the_disk_alone_tells_what_it_can(started: Started, waits: str) -> None:
    message = views.show(path(started), waits)
    assert message is not None
    said = Transcript(message.key, 0, 1000.0, "> MAIL\n< 450 later")
    await started.works.shards[1].commit(Change(transcripts=[said]))
    found = from_disk(path(started), waits, started.works.clock.now())
    assert found is not None
    (recipient,) = found["recipients"]
    assert (recipient["limit"], recipient["where"]) == ("backoff", "on disk, deferred")
    assert (recipient["transcript"], recipient["transcript_at"]) == ("> MAIL\n< 450 later", 1000.0)
    assert (await explained(started, waits))["transcript"] == "> MAIL\n< 450 later"


@pytest.mark.parametrize(
    ("domain", "whose"), [(ON_ACCOUNT_LIST, "the account's"), (ON_SERVICE_LIST, "the service-wide")]
)
async def test_who_is_suppressed_and_held_is_named(started: Started, domain: str, whose: str) -> None:
    works = started.works
    held = message("x@receiver.example", "y@receiver.example")
    held.recipients[0].domain = domain
    for one in held.recipients:
        one.state = RecipientState.HELD
    await works.shards[1].commit(Change(stored=[held]))
    found = await works.explaining.explain(held.id)
    assert found is not None
    suppressed, fine = found["recipients"]
    assert suppressed["suppressed"].startswith(f"on {whose} suppression list")
    assert (suppressed["limit"], suppressed["route"]["site"]) == ("hold", "suppressed")
    assert "suppressed" not in fine


async def test_what_is_not_there(started: Started) -> None:
    assert from_disk(path(started), NOBODY, 0.0) is None
    assert await started.works.explaining.explain(NOBODY) is None
