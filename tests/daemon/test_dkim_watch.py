"""The watch over DKIM records: against DNS answers, the clock moved, with what the contact reads."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.daemon.duties.dkim_watch import DkimDuty, look
from relay.daemon.duties.watch import Watch
from relay.directory import keys
from relay.directory.dkim_life import Pace, Sight
from relay.directory.dkim_records import service_zone, to_publish
from relay.directory.published import zone_line
from relay.directory.records import KeyState, RecordState
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from relay.transport.resolve import Resolver
from tests.fakes.clock import ManualClock
from tests.fakes.dns import FakeDns

NAME, SERVICE = "example.org", "relay.example"
HOUR, DAY = 3600.0, 86400.0


class Contacts:
    """The mails to the contact."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.fault: Exception | None = None

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        if self.fault is not None:
            raise self.fault
        assert (account_id, about) == (1, NAME)
        self.sent.append((kind.removeprefix("dkim-"), text))
        return "id"


class Bench:
    """A directory, a DNS server, and the watch between them."""

    def __init__(self, folder: Path, dns: FakeDns, resolver: Resolver, clock: ManualClock) -> None:
        create_key_file(folder / "relay.key")
        url = f"sqlite:///{folder / 'directory.db'}"
        self.directory = Directory(url, folder / "relay.key", "us-east-1", clock)
        self.directory.migrate()
        self.directory.accounts.create("shop")
        self.contacts, self.clock, self.dns, self.resolver = Contacts(), clock, dns, resolver
        self.pace, self.service, self.oldest_at = Pace(), SERVICE, inf
        duty = DkimDuty(
            self.directory.dkim,
            resolver,
            self.contacts,
            clock,
            lambda: self.pace,
            lambda: self.service,
            lambda: self.oldest_at,
        )
        self.watch = Watch([duty])

    def add(self, *, is_verified: bool = False, algorithms: Sequence[str] = (keys.ED25519,)) -> None:
        self.directory.identities.add("shop", NAME, algorithms=algorithms, is_verified=is_verified)

    def publish(self) -> None:
        """What the relay prints, in the zones of the owner and of the service domain."""
        records = to_publish(self.directory.dkim.of(NAME).public, SERVICE)
        records += service_zone(self.directory.dkim.published(), SERVICE)
        self.dns.zone = {
            one.name: {one.type: [zone_line(one).partition(f" IN {one.type} ")[2]]} for one in records
        }

    async def after(self, seconds: float) -> RecordState:
        self.clock.advance(seconds)
        await self.watch.round()
        return self.state

    @property
    def state(self) -> RecordState:
        return self.directory.dkim.of(NAME).standing.state

    def signing(self) -> list[str]:
        return [key.selector for key in self.directory.dkim.of(NAME).keys if key.state is KeyState.ACTIVE]

    def told(self) -> list[str]:
        return [kind for kind, _ in self.contacts.sent]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    async with FakeDns() as dns, AsyncExitStack() as stack:
        resolver = Resolver(clock, dns.address, 2.0)
        await resolver.start(stack)
        made = Bench(tmp_path, dns, resolver, clock)
        stack.callback(made.directory.close)
        yield made


async def test_the_whole_life_of_a_domain(bench: Bench) -> None:
    bench.add()
    assert await bench.after(HOUR) is RecordState.PENDING
    bench.publish()
    assert await bench.after(HOUR) is RecordState.VERIFIED
    assert await bench.after(DAY) is RecordState.VERIFIED
    zone, bench.dns.zone = bench.dns.zone, {}
    assert await bench.after(DAY) is RecordState.WARNED
    bench.dns.zone = zone
    assert await bench.after(4 * DAY) is RecordState.VERIFIED
    bench.dns.zone = {}
    assert await bench.after(DAY) is RecordState.WARNED
    bench.dns.zone = {name: "SERVFAIL" for name in zone}
    assert await bench.after(9 * DAY) is RecordState.WARNED  # what the DNS cannot say changes nothing
    bench.dns.zone = {}
    assert await bench.after(HOUR) is RecordState.FAILED
    assert bench.told() == ["verified", "warned", "recovered", "warned", "revoked"]
    bench.dns.zone = zone
    assert await bench.after(30 * DAY) is RecordState.FAILED  # nobody looks any more
    bench.directory.identities.set_dkim(NAME, True)
    assert await bench.after(0) is RecordState.VERIFIED


async def test_what_is_not_found_in_three_days_has_failed(bench: Bench) -> None:
    bench.add()
    bench.publish()
    name = next(iter(bench.dns.zone))
    bench.dns.zone[name] = {"TXT": ['"v=DKIM1; k=ed25519; p=AAAA"']}  # one of three is wrong
    assert await bench.after(71 * HOUR) is RecordState.PENDING
    assert await bench.after(2 * HOUR) is RecordState.FAILED
    ((kind, text),) = bench.contacts.sent
    assert kind == "failed"
    assert f"{name}: the record holds another key" in text


async def test_an_administrators_word_is_not_taken_back_by_a_dns_without_the_records(bench: Bench) -> None:
    bench.add(is_verified=True)
    assert bench.dns.asked == []
    for _ in range(9):
        assert await bench.after(DAY) is RecordState.VERIFIED
    assert len(bench.dns.asked) >= 3
    assert bench.told() == []


async def test_old_keys_turn_and_their_selectors_get_new_ones(bench: Bench) -> None:
    bench.add(algorithms=(keys.RSA, keys.ED25519))
    bench.publish()
    await bench.after(HOUR)
    first = bench.signing()
    texts = {key.name: key.text for key in bench.directory.dkim.published()}
    await bench.after(91 * DAY)
    second = bench.signing()
    assert (len(second), set(first) & set(second)) == (2, set())
    assert {key.name: key.text for key in bench.directory.dkim.published()} == texts
    await bench.after(2 * DAY)
    renewed = {key.selector for key in bench.directory.dkim.published() if key.text != texts[key.name]}
    assert renewed == set(first)
    assert await bench.after(DAY) is RecordState.VERIFIED  # their records are old still: a reserve is missing
    assert bench.told() == ["verified"]
    await bench.after(91 * DAY)
    assert set(bench.signing()) & (set(first) | set(second)) == set()
    bench.publish()
    await bench.after(91 * DAY)
    assert len(bench.signing()) == 2


async def test_an_owner_who_publishes_the_keys_is_told_of_new_ones(bench: Bench) -> None:
    bench.service = ""
    bench.add()
    bench.publish()
    await bench.after(HOUR)
    await bench.after(91 * DAY)
    await bench.after(2 * DAY)
    assert bench.told() == ["verified", "renewed"]
    assert "relay identity records example.org" in bench.contacts.sent[-1][1]


async def test_a_key_stays_published_while_mail_that_it_signed_is_held(bench: Bench) -> None:
    bench.add()
    bench.publish()
    await bench.after(HOUR)
    bench.oldest_at = bench.clock.now() + HOUR  # an account is over its quota: it is held
    texts = {key.text for key in bench.directory.dkim.published()}
    await bench.after(91 * DAY)
    await bench.after(30 * DAY)
    assert {key.text for key in bench.directory.dkim.published()} == texts
    bench.oldest_at = bench.clock.now()  # released at last
    await bench.after(DAY)
    assert len({key.text for key in bench.directory.dkim.published()} - texts) == 1


async def test_nothing_turns_while_no_reserve_is_seen(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.add()
    bench.publish()
    await bench.after(HOUR)
    (first,) = bench.signing()
    for name in [name for name in bench.dns.zone if first not in name]:
        del bench.dns.zone[name]
    await bench.after(91 * DAY)
    assert bench.signing() == [first]
    assert "dkim keys not turned" in caplog.messages


async def test_a_reserve_steps_in_where_only_the_signing_keys_record_is_gone(bench: Bench) -> None:
    bench.add()
    bench.publish()
    await bench.after(HOUR)
    (first,) = bench.signing()
    del bench.dns.zone[f"{first}._domainkey.{NAME}"]
    assert await bench.after(DAY) is RecordState.VERIFIED
    assert bench.signing() != [first]
    assert bench.told() == ["verified"]


async def test_an_owners_key_is_awaited_while_the_others_sign(bench: Bench) -> None:
    bench.add()
    bench.publish()
    await bench.after(HOUR)
    before = bench.signing()
    bench.directory.dkim.import_key(NAME, "mine", keys.generate(keys.RSA, 1024))
    assert await bench.after(HOUR) is RecordState.VERIFIED
    assert bench.signing() == before
    bench.publish()
    assert await bench.after(HOUR) is RecordState.VERIFIED
    assert bench.signing() == ["mine"]
    assert bench.told() == ["verified"]


async def test_a_letter_that_cannot_be_stored_keeps_the_state(bench: Bench) -> None:
    bench.add()
    bench.publish()
    bench.contacts.fault = SpoolError("disk full")
    assert await bench.after(HOUR) is RecordState.PENDING
    bench.contacts.fault = None
    assert await bench.after(HOUR) is RecordState.VERIFIED
    assert bench.told() == ["verified"]


async def test_an_identity_that_is_removed_during_a_look_is_no_error(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.add(is_verified=True)
    bench.clock.advance(DAY)
    (number,) = bench.directory.dkim.claim_due(9, 60)
    bench.directory.identities.remove(NAME)
    duty = DkimDuty(bench.directory.dkim, bench.resolver, bench.contacts, bench.clock, Pace, str, float)
    await duty.check(number)
    assert bench.told() == []


async def test_a_look_tells_what_is_wrong(bench: Bench) -> None:
    bench.add()
    one, two, three = bench.directory.dkim.of(NAME).public
    bench.dns.zone = {
        one.name: {"TXT": [f'"{one.text}"']},
        two.name: {"CNAME": ["nowhere.example."]},
        three.name: "SERVFAIL",
    }
    bench.resolver.forget()
    seen = await look(bench.resolver, [one, two, three])
    assert [seen[key.id][0] for key in (one, two, three)] == [Sight.SEEN, Sight.ABSENT, Sight.UNKNOWN]
    assert seen[two.id][1] == "there is no TXT record"
    assert seen[three.id][1].startswith("the DNS gives no answer")


async def test_the_pace_follows_the_configuration(bench: Bench) -> None:
    bench.add()
    bench.publish()
    await bench.after(HOUR)
    first = bench.signing()
    bench.pace = replace(bench.pace, rotate_every_s=DAY)
    await bench.after(2 * DAY)
    assert bench.signing() != first
