"""Policies found, kept and renewed: records from a dict, files that a test chooses, a clock that it moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from relay.base.tls_session import TlsFailure, TlsPolicyType, TlsSession
from relay.codec.mta_sts import StsMode, parse_policy
from relay.transport.answers import Answer, Status
from relay.transport.mta_sts import UNKNOWN, StsPolicies, must_fetch
from relay.transport.sts_fetch import FetchFailure
from relay.transport.sts_files import Kept, PolicyFiles
from tests.fakes.clock import ManualClock

DAY_S = 86_400
DOMAIN = "receiver.example"
BODY = b"version: STSv1\nmode: enforce\nmx: *.receiver.example\nmax_age: 604800\n"
TESTING = BODY.replace(b"enforce", b"testing")
DOWN = FetchFailure(TlsFailure.STS_POLICY_FETCH_ERROR, "the server is down")


class World:
    """The DNS, the web and the log, all of this test."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.ids: dict[str, str | Status] = {}
        self.files: dict[str, bytes | FetchFailure] = {}
        self.fetched: list[str] = []
        self.noted: list[TlsSession] = []
        self.changed: list[str] = []
        self.ttl_s = 300.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.turn = asyncio.Event()  # of a question to the DNS
        self.turn.set()
        self.folder = folder

    async def txt(self, name: str) -> Answer:
        self.asked.append(name)
        await self.turn.wait()
        found = self.ids.get(name.removeprefix("_mta-sts."), Status.NO_DOMAIN)
        expires_at = self.clock.monotonic() + self.ttl_s
        if isinstance(found, Status):
            return Answer(found, expires_at=expires_at)
        return Answer(Status.FOUND, texts=(f"v=STSv1; id={found};",), expires_at=expires_at)

    async def fetch(self, domain: str) -> bytes | FetchFailure:
        self.fetched.append(domain)
        await self.gate.wait()
        return self.files.get(domain, DOWN)

    def note(self, session: TlsSession) -> None:
        self.noted.append(session)

    def policies(self, wait_s: float = 30.0, limit: int = 100) -> StsPolicies:
        files = PolicyFiles(self.folder)
        return StsPolicies(self, self, files, self, self.clock, wait_s, limit, self.changed.append)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path / "mta-sts")
    found.ids[DOMAIN], found.files[DOMAIN] = "1", BODY
    return found


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as found:
        yield found


@pytest.fixture
async def policies(world: World, stack: AsyncExitStack) -> StsPolicies:
    return await started(world.policies(), stack)


async def started(made: StsPolicies, stack: AsyncExitStack) -> StsPolicies:
    await made.start(stack)
    return made


async def settled(policies: StsPolicies, domain: str = DOMAIN) -> None:
    """What goes on in the background is done."""
    await policies.renew(domain)


async def test_the_first_message_waits_and_the_next_does_not(world: World, policies: StsPolicies) -> None:
    assert policies.cached(DOMAIN) is UNKNOWN
    assert await policies.find(DOMAIN) == parse_policy(BODY, "1")
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")
    assert await policies.find(DOMAIN) == parse_policy(BODY, "1")
    assert world.fetched == [DOMAIN]
    assert await policies.find("other.example") is None
    assert (policies.held, policies.fetched, policies.failed) == (1, 1, 0)


async def test_many_at_once_fetch_once(world: World, policies: StsPolicies) -> None:
    found = await asyncio.gather(*[policies.find(DOMAIN) for _ in range(20)])
    assert found == [parse_policy(BODY, "1")] * 20
    assert world.fetched == [DOMAIN]


@pytest.mark.parametrize("status", [Status.NO_DOMAIN, Status.EMPTY, Status.TEMPORARY])
async def test_no_record_no_policy(world: World, policies: StsPolicies, status: Status) -> None:
    world.ids[DOMAIN] = status
    assert await policies.find(DOMAIN) is None
    assert policies.cached(DOMAIN) is None
    assert (world.fetched, world.noted) == ([], [])


@pytest.mark.parametrize(
    "domain", ["[192.0.2.1]", "localhost", "a..b", "../x", "a/b.c", "a" * 250 + ".example", ""]
)
async def test_what_is_no_domain_of_the_web_is_not_asked_about(policies: StsPolicies, domain: str) -> None:
    assert await policies.find(domain) is None


async def test_a_record_that_appears_is_found(world: World, policies: StsPolicies) -> None:
    published = world.ids.pop(DOMAIN)
    assert await policies.find(DOMAIN) is None
    world.ids[DOMAIN] = published
    world.clock.advance(world.ttl_s)
    assert policies.cached(DOMAIN) is None  # not kept waiting; found in the background
    await settled(policies)
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")


async def test_what_was_not_there_long_ago_is_asked_again(world: World, policies: StsPolicies) -> None:
    published = world.ids.pop(DOMAIN)
    assert await policies.find(DOMAIN) is None
    world.ids[DOMAIN] = published
    world.clock.advance(DAY_S)
    assert policies.cached(DOMAIN) is UNKNOWN
    assert await policies.find(DOMAIN) == parse_policy(BODY, "1")


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (DOWN, TlsFailure.STS_POLICY_FETCH_ERROR),
        (FetchFailure(TlsFailure.STS_WEBPKI_INVALID, "expired"), TlsFailure.STS_WEBPKI_INVALID),
        (b"<html>", TlsFailure.STS_POLICY_INVALID),
    ],
)
async def test_a_failed_fetch_is_noted_and_tried_again_after_five_minutes(
    world: World, policies: StsPolicies, got: bytes | FetchFailure, kind: TlsFailure
) -> None:
    world.files[DOMAIN] = got
    assert await policies.find(DOMAIN) is None
    assert policies.cached(DOMAIN) is None
    [noted] = world.noted
    assert (policies.held, policies.fetched, policies.failed) == (0, 0, 1)
    assert (noted.failure, noted.policy.domain, noted.policy.type) == (kind, DOMAIN, TlsPolicyType.STS)
    assert noted.detail
    world.clock.advance(299)
    assert policies.cached(DOMAIN) is None
    assert world.fetched == [DOMAIN]
    world.files[DOMAIN] = BODY
    world.clock.advance(1)
    assert policies.cached(DOMAIN) is None
    await settled(policies)
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")


async def test_another_id_brings_another_policy(world: World, policies: StsPolicies) -> None:
    await policies.find(DOMAIN)
    world.ids[DOMAIN], world.files[DOMAIN] = "2", TESTING
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")
    world.clock.advance(world.ttl_s)
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")  # until the other is there
    await settled(policies)
    assert policies.cached(DOMAIN) == parse_policy(TESTING, "2")
    assert world.changed == [DOMAIN, DOMAIN]
    world.clock.advance(DAY_S)
    await settled(policies)
    assert world.changed == [DOMAIN, DOMAIN]  # fetched anew, and the same


async def test_what_is_kept_holds_while_the_server_is_down(world: World, policies: StsPolicies) -> None:
    await policies.find(DOMAIN)
    world.ids[DOMAIN], world.files[DOMAIN] = "2", DOWN
    for _ in range(13):
        world.clock.advance(DAY_S / 2)
        assert policies.cached(DOMAIN) == parse_policy(BODY, "1")
        await settled(policies)
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")
    world.clock.advance(DAY_S / 2)  # seven days: max_age
    assert policies.cached(DOMAIN) is UNKNOWN
    assert await policies.find(DOMAIN) is None
    assert len(world.noted) > 13


async def test_what_is_kept_holds_without_a_record(world: World, policies: StsPolicies) -> None:
    await policies.find(DOMAIN)
    del world.ids[DOMAIN]
    world.clock.advance(6 * DAY_S)
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")
    await settled(policies)
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")
    world.clock.advance(DAY_S)
    assert await policies.find(DOMAIN) is None


async def test_it_outlives_the_relay(world: World, policies: StsPolicies, stack: AsyncExitStack) -> None:
    await policies.find(DOMAIN)
    world.ids[DOMAIN] = Status.TEMPORARY
    world.files[DOMAIN] = DOWN
    later = await started(world.policies(), stack)
    world.clock.advance(DAY_S)
    assert await later.find(DOMAIN) == parse_policy(BODY, "1")
    await settled(later)
    assert later.cached(DOMAIN) == parse_policy(BODY, "1")
    assert await later.expiry(DOMAIN) == world.clock.now() + 6 * DAY_S
    assert await later.expiry("other.example") == 0.0


async def test_one_worker_fetches_for_all(world: World, policies: StsPolicies, stack: AsyncExitStack) -> None:
    other = await started(world.policies(), stack)
    await policies.find(DOMAIN)
    await other.find(DOMAIN)
    await settled(other)
    assert world.fetched == [DOMAIN]


async def test_a_slow_server_does_not_keep_mail_for_long(world: World, stack: AsyncExitStack) -> None:
    policies = await started(world.policies(wait_s=0.01), stack)
    world.gate.clear()
    assert await policies.find(DOMAIN) is None
    assert await policies.find(DOMAIN) is None
    assert world.fetched == [DOMAIN]  # it goes on, and is waited for once more
    assert world.changed == []
    world.gate.set()
    await settled(policies)
    assert world.changed == [DOMAIN]
    assert policies.cached(DOMAIN) == parse_policy(BODY, "1")


async def test_the_time_does_not_run_while_the_question_waits_for_its_turn(
    world: World, stack: AsyncExitStack
) -> None:
    policies = await started(world.policies(wait_s=0.0), stack)
    world.turn.clear()
    domains = [f"d{number}.example" for number in range(50)]
    finding = [asyncio.ensure_future(policies.find(domain)) for domain in domains]
    while len(world.asked) < len(domains):
        await asyncio.sleep(0.001)
    assert not any(one.done() for one in finding)
    world.turn.set()
    await asyncio.gather(*finding)
    assert len(set(world.asked)) == len(domains)


async def test_many_that_are_late_are_one_warning_with_their_number(
    world: World, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    policies = await started(world.policies(wait_s=0.0), stack)
    world.gate.clear()
    for _ in range(5):
        assert await policies.find(DOMAIN) is None
    world.clock.advance(60)
    assert await policies.find(DOMAIN) is None
    counts = [vars(one)["domains"] for one in caplog.records if "in time" in one.message]
    assert counts == [1, 5]
    world.gate.set()


async def test_whoever_is_cancelled_does_not_take_it_from_the_others(
    world: World, policies: StsPolicies
) -> None:
    world.gate.clear()
    tasks = [asyncio.ensure_future(policies.find(DOMAIN)) for _ in range(2)]
    while not world.fetched:
        await asyncio.sleep(0)
    tasks[0].cancel()
    world.gate.set()
    assert await tasks[1] == parse_policy(BODY, "1")
    assert world.fetched == [DOMAIN]


async def test_a_policy_that_may_not_be_kept(world: World, policies: StsPolicies) -> None:
    world.files[DOMAIN] = BODY.replace(b"604800", b"0")
    for _ in range(5):
        assert await policies.find(DOMAIN) is None
    assert world.fetched == [DOMAIN]  # not for each message


async def test_a_short_life_is_renewed_at_its_half(world: World, policies: StsPolicies) -> None:
    world.files[DOMAIN], world.ttl_s = BODY.replace(b"604800", b"1200"), 3600.0
    await policies.find(DOMAIN)
    for _ in range(10):
        world.clock.advance(600)
        assert policies.cached(DOMAIN) not in (None, UNKNOWN)
        await settled(policies)
    assert len(world.fetched) == 11


async def test_mode_none_is_a_policy(world: World, policies: StsPolicies) -> None:
    world.files[DOMAIN] = b"version: STSv1\nmode: none\nmax_age: 86400\n"
    found = await policies.find(DOMAIN)
    assert found is not None
    assert found.mode is StsMode.NONE


async def test_the_number_of_domains_in_memory_is_bounded(world: World, stack: AsyncExitStack) -> None:
    policies = await started(world.policies(limit=3), stack)
    domains = [f"{name}.example" for name in "abcd"]
    for domain in domains:
        await policies.find(domain)
    assert [policies.cached(domain) for domain in domains] == [UNKNOWN, None, None, None]


async def test_what_is_due_is_renewed_though_nobody_writes(world: World, policies: StsPolicies) -> None:
    await policies.find(DOMAIN)
    assert list(policies.due()) == []
    world.clock.advance(DAY_S)
    assert list(policies.due()) == [DOMAIN]
    await policies.renew(DOMAIN)
    assert list(policies.due()) == []
    assert await policies.expiry(DOMAIN) == world.clock.now() + 7 * DAY_S
    world.clock.advance(8 * DAY_S)
    assert list(policies.due()) == []
    assert list(world.folder.iterdir()) == []  # expired


async def test_after_forget_everything_is_looked_at_again(world: World, policies: StsPolicies) -> None:
    await policies.find(DOMAIN)
    policies.forget()
    assert policies.cached(DOMAIN) is UNKNOWN
    world.files[DOMAIN] = DOWN
    assert await policies.find(DOMAIN) == parse_policy(BODY, "1")
    await settled(policies)


KEPT = Kept(DOMAIN, parse_policy(BODY, "1"), 1000.0)
SHORT = Kept(DOMAIN, replace(KEPT.policy, max_age_s=600), 1000.0)


@pytest.mark.parametrize(
    ("kept", "record_id", "now", "expected"),
    [
        (None, None, 1000.0, False),
        (None, "1", 1000.0, True),
        (KEPT, None, 1000.0 + DAY_S, False),
        (KEPT, "1", 999.0 + DAY_S, False),
        (KEPT, "1", 1000.0 + DAY_S, True),
        (KEPT, "2", 1000.0, True),
        (SHORT, "1", 1299.0, False),
        (SHORT, "1", 1300.0, True),
    ],
)
def test_when_to_fetch(kept: Kept | None, record_id: str | None, now: float, expected: bool) -> None:
    assert must_fetch(kept, record_id, now) is expected
