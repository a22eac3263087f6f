"""The watch over identities, round by round, with the clock moved: what is asked, mailed and stored."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError, SpoolError
from relay.daemon.duties.identity_watch import IdentityWatch
from relay.daemon.duties.watch import Watch
from relay.directory.life import CLAIM_S, Confirmation
from relay.directory.records import Account, IdentityState
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from relay.directory.verification import Settings, Standing, Step
from relay.transport.answers import Answer, Status
from tests.fakes.clock import ManualClock

HOUR, DAY = 3600.0, 86400.0
DOMAIN, ADDRESS = "example.org", "new@example.org"
GONE, OUTAGE = Answer(Status.NO_DOMAIN), Answer(Status.TEMPORARY)


@dataclass
class World:
    """A directory, the DNS, and the mail that is sent."""

    directory: Directory
    clock: ManualClock
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    letters: list[tuple[str, str]] = field(default_factory=list)  # to whom, kind or text
    failure: Exception | None = None
    url: str = "https://relay.example"
    states: list[IdentityState] = field(default_factory=list)  # of DOMAIN, whenever a letter was sent

    def __post_init__(self) -> None:
        duty = IdentityWatch(
            life=self.directory.life,
            dns=self,
            notices=self,
            account=lambda number: Account(number, "shop"),
            link=self.link,
            settings=Settings(),
            prefix="_relay",
            clock=self.clock,
            random=lambda: 0.0,
        )
        self.watch = Watch([duty])

    def link(self, standing: Standing, expires_at: float) -> str:
        if not self.url:
            return ""
        return f"{self.url}/{self.directory.life.make_link(standing, expires_at)}"

    async def txt(self, name: str, *, is_fresh: bool = False) -> Answer:
        assert is_fresh
        self.asked.append(name)
        return self.answers.get(name, GONE)

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        if self.failure:
            raise self.failure
        self.letters.append((about, kind))
        self.states.append(self.state(about))
        return "id"

    async def mail(self, address: str, subject: str, text: str) -> str:
        if self.failure:
            raise self.failure
        self.letters.append((address, text))
        return "id"

    def state(self, name: str = DOMAIN) -> IdentityState:
        return self.directory.life.standing(name).state

    def publish(self, name: str = f"_relay.{DOMAIN}") -> None:
        token = self.directory.life.standing(DOMAIN).token
        self.answers[name] = Answer(Status.FOUND, texts=("something else", token))

    async def after(self, seconds: float) -> list[tuple[str, str]]:
        """Move the clock, do a round; the letters of that round."""
        self.clock.advance(seconds)
        before = len(self.letters)
        await self.watch.round()
        return self.letters[before:]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = ManualClock()
    create_key_file(tmp_path / "relay.key")
    directory = Directory(f"sqlite:///{tmp_path / 'd.db'}", tmp_path / "relay.key", "x", clock)
    directory.migrate()
    directory.accounts.create("shop")
    yield World(directory, clock)
    directory.close()


async def test_a_domain_lives_through_all_states(world: World) -> None:
    world.directory.identities.add("shop", DOMAIN)
    assert await world.after(0) == []
    assert world.asked == [f"_relay.{DOMAIN}", f"relay.{DOMAIN}"]
    world.publish()
    assert await world.after(5) == [(DOMAIN, "identity-verified")]
    assert await world.after(HOUR) == []
    assert await world.after(DAY) == []
    world.answers.clear()
    assert await world.after(DAY) == [(DOMAIN, "identity-warned")]
    assert world.state() is IdentityState.WARNED
    world.publish()
    assert await world.after(10) == [(DOMAIN, "identity-warning-cancelled")]
    world.answers.clear()
    assert await world.after(DAY) == [(DOMAIN, "identity-warned")]
    assert await world.after(71 * HOUR) == []
    assert await world.after(HOUR) == [(DOMAIN, "identity-revoked")]
    assert world.state() is IdentityState.REVOKED
    world.publish()
    assert await world.after(30 * DAY) == []
    world.directory.life.restart(DOMAIN)
    assert await world.after(0) == [(DOMAIN, "identity-verified")]


async def test_a_name_without_the_underscore_does_as_well(world: World) -> None:
    world.directory.identities.add("shop", DOMAIN)
    world.publish(f"relay.{DOMAIN}")
    assert await world.after(0) == [(DOMAIN, "identity-verified")]


async def test_an_outage_of_the_dns_is_not_gone(world: World) -> None:
    world.directory.identities.add("shop", DOMAIN)
    world.publish()
    await world.after(0)
    world.answers = {f"_relay.{DOMAIN}": OUTAGE}
    for _ in range(10):
        assert await world.after(DAY) == []
    assert world.state() is IdentityState.VERIFIED


async def test_after_three_days_without_the_record_it_has_failed(world: World) -> None:
    world.directory.identities.add("shop", DOMAIN)
    for _ in range(71):
        assert await world.after(HOUR) == []
    assert await world.after(HOUR) == [(DOMAIN, "identity-failed")]
    assert world.state() is IdentityState.FAILED


async def test_the_mail_goes_first_and_again_if_it_could_not(world: World) -> None:
    world.directory.identities.add("shop", DOMAIN)
    world.publish()
    world.failure = SpoolError("disk full")
    assert await world.after(0) == []
    assert world.state() is IdentityState.PENDING
    world.failure = None
    assert await world.after(CLAIM_S - 1) == []
    assert await world.after(1) == [(DOMAIN, "identity-verified")]
    assert world.states == [IdentityState.PENDING]  # as it was when the letter was handed in


async def test_the_link_is_sent_once_and_its_use_is_told(world: World) -> None:
    world.directory.identities.add("shop", ADDRESS)
    ((to, text),) = await world.after(0)
    assert to == ADDRESS
    assert await world.after(HOUR) == []
    (url,) = [line for line in text.splitlines() if line.startswith("https://relay.example/")]
    life = world.directory.life
    assert life.confirm(life.read_link(url.rpartition("/")[2])) == (Confirmation.GOOD, ADDRESS)
    assert await world.after(0) == [(ADDRESS, "identity-verified")]
    assert await world.after(30 * DAY) == []
    assert world.asked == []


async def test_a_link_that_nobody_used_fails_the_address(world: World) -> None:
    world.directory.identities.add("shop", ADDRESS)
    ((_, text),) = await world.after(0)
    url = next(line for line in text.splitlines() if line.startswith("https://relay.example/"))
    assert await world.after(DAY - 1) == []
    assert await world.after(1) == [(ADDRESS, "identity-failed")]
    life = world.directory.life
    assert life.confirm(life.read_link(url.rpartition("/")[2]))[0] is Confirmation.EXPIRED
    assert world.state(ADDRESS) is IdentityState.FAILED


async def test_without_a_page_the_address_waits_for_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.url = ""
    world.directory.identities.add("shop", ADDRESS)
    assert await world.after(0) == []
    assert "set [verification] url" in caplog.text
    world.url = "https://relay.example"
    assert [to for to, _ in await world.after(HOUR)] == [ADDRESS]


async def test_an_address_that_cannot_be_written_to_fails(world: World) -> None:
    world.directory.identities.add("shop", ADDRESS)
    original = world.mail

    async def refuse(address: str, subject: str, text: str) -> str:
        raise ValueError("bad local part")

    world.mail = refuse  # type: ignore[method-assign]
    assert await world.after(0) == [(ADDRESS, "identity-failed")]
    world.mail = original  # type: ignore[method-assign]


async def test_what_the_administrator_did_meanwhile_stands(world: World) -> None:
    world.directory.identities.add("shop", DOMAIN)
    original = world.txt

    async def meanwhile(name: str, *, is_fresh: bool = False) -> Answer:
        world.directory.identities.verify(DOMAIN)
        return await original(name, is_fresh=is_fresh)

    world.txt = meanwhile  # type: ignore[method-assign]
    await world.after(0)
    assert world.state() is IdentityState.VERIFIED
    assert await world.after(30 * DAY) == []


async def test_many_are_written_together_and_a_failure_is_everyones(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"d{number}@example.org" for number in range(40)]
    for name in names:
        world.directory.identities.add("shop", name)
    sizes: list[int] = []
    settle = world.directory.life.settle

    def counted(steps: Sequence[tuple[Standing, Step]]) -> list[bool]:
        sizes.append(len(steps))
        if len(sizes) == 1:
            raise DirectoryError("server gone")
        return settle(steps)

    monkeypatch.setattr(world.directory.life, "settle", counted)
    await world.watch.round()
    assert sum(sizes) == 40
    assert len(sizes) < 40
    assert len(caplog.records) == sizes[0]
    await world.after(CLAIM_S)  # those whose write failed
    assert sum(sizes) == 40 + sizes[0]
    assert {to for to, _ in world.letters} == set(names)


async def test_several_nodes_send_each_letter_once(world: World, tmp_path: Path) -> None:
    names = {f"d{number}@example.org" for number in range(30)}
    for name in names:
        world.directory.identities.add("shop", name)
    nodes = [
        Directory(f"sqlite:///{tmp_path / 'd.db'}", tmp_path / "relay.key", "x", world.clock)
        for _ in range(3)
    ]
    others = [World(node, world.clock) for node in nodes]
    await asyncio.gather(*[one.watch.round() for one in others])
    sent = [to for one in others for to, _ in one.letters]
    assert sorted(sent) == sorted(names)
    for node in nodes:
        node.close()
