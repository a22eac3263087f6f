"""The watch over MAIL FROM domains: against DNS answers, the clock moved, with what the contact reads."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.daemon.duties.mail_from_duty import MailFromDuty
from relay.daemon.duties.watch import Watch
from relay.directory.mail_from_life import Times
from relay.directory.records import OnMailFromFailure, RecordState
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from relay.transport.resolve import Resolver
from tests.fakes.clock import ManualClock
from tests.fakes.dns import FakeDns

HOST, DOMAIN = "relay.example.net", "bounce.example.org"
RIGHT = {"MX": [f"10 {HOST}."]}
HOUR = 3600.0


class Notices:
    """The mails to the contact."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.fault: Exception | None = None

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        if self.fault is not None:
            raise self.fault
        assert (account_id, about) == (1, "example.org")
        self.sent.append((kind, subject, text))
        return "id"


class Bench:
    def __init__(self, folder: Path, dns: FakeDns, resolver: Resolver, clock: ManualClock) -> None:
        create_key_file(folder / "relay.key")
        self.directory = Directory(
            f"sqlite:///{folder / 'directory.db'}", folder / "relay.key", "us-east-1", clock
        )
        self.directory.migrate()
        self.directory.accounts.create("shop")
        self.directory.identities.add("shop", "example.org", is_verified=True)
        self.notices, self.clock, self.dns = Notices(), clock, dns
        self.watch = Watch(
            [
                MailFromDuty(
                    self.directory.mail_froms,
                    resolver,
                    self.notices,
                    clock,
                    HOST,
                    Times(72 * HOUR, 72 * HOUR, HOUR),
                )
            ]
        )

    def ask(self, on_failure: OnMailFromFailure = OnMailFromFailure.USE_DEFAULT) -> None:
        self.directory.mail_froms.put("example.org", DOMAIN, on_failure)

    async def after(self, hours: float) -> RecordState:
        self.clock.advance(hours * HOUR)
        await self.watch.round()
        return self.directory.read().identities[0].mail_from_state

    def told(self) -> list[str]:
        return [kind.removeprefix("mail-from-") for kind, _, _ in self.notices.sent]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    async with FakeDns() as dns, AsyncExitStack() as stack:
        resolver = Resolver(clock, dns.address, 2.0)
        await resolver.start(stack)
        made = Bench(tmp_path, dns, resolver, clock)
        yield made
        made.directory.close()


async def test_a_whole_life(bench: Bench) -> None:
    bench.ask()
    assert await bench.after(0) is RecordState.PENDING
    bench.dns.zone[DOMAIN] = RIGHT
    assert await bench.after(1) is RecordState.VERIFIED
    assert await bench.after(1) is RecordState.VERIFIED
    bench.dns.zone[DOMAIN] = {"MX": ["10 elsewhere.example."]}
    assert await bench.after(1) is RecordState.WARNED
    bench.dns.zone[DOMAIN] = RIGHT
    assert await bench.after(1) is RecordState.VERIFIED
    del bench.dns.zone[DOMAIN]
    assert await bench.after(1) is RecordState.WARNED
    assert await bench.after(71) is RecordState.WARNED
    assert await bench.after(1) is RecordState.FAILED
    bench.dns.zone[DOMAIN] = RIGHT
    asked = len(bench.dns.asked)
    assert await bench.after(100) is RecordState.FAILED
    assert len(bench.dns.asked) == asked  # as SES: it is looked for no more
    bench.ask()
    assert await bench.after(0) is RecordState.VERIFIED
    assert bench.told() == ["verified", "warned", "verified", "warned", "failed", "verified"]


async def test_the_contact_reads_what_is_wrong_and_what_to_publish(bench: Bench) -> None:
    bench.ask(OnMailFromFailure.REJECT)
    bench.dns.zone[DOMAIN] = RIGHT
    await bench.after(0)
    bench.dns.zone[DOMAIN] = {"MX": [f"10 {HOST}.", "20 elsewhere.example."]}
    await bench.after(1)
    _, subject, text = bench.notices.sent[-1]
    assert subject == f"The MX record of {DOMAIN} is gone"
    assert f"{DOMAIN}.  MX  10 {HOST}." in text
    assert f"The DNS says: 10 {HOST}, 20 elsewhere.example" in text
    assert "Mail from example.org is refused until then" in text
    await bench.after(72)
    _, _, text = bench.notices.sent[-1]
    assert f"relay identity mail-from example.org set {DOMAIN}" in text


@pytest.mark.parametrize("outage", ["SERVFAIL", "REFUSED"])
async def test_what_the_dns_cannot_answer_changes_nothing(bench: Bench, outage: str) -> None:
    bench.ask()
    bench.dns.zone[DOMAIN] = RIGHT
    await bench.after(0)
    bench.dns.zone[DOMAIN] = outage
    for _ in range(4):
        assert await bench.after(50) is RecordState.VERIFIED
    assert bench.told() == ["verified"]


async def test_what_could_not_be_told_is_not_stored_and_comes_again(bench: Bench) -> None:
    bench.ask()
    bench.dns.zone[DOMAIN] = RIGHT
    bench.notices.fault = SpoolError("disk full")
    assert await bench.after(0) is RecordState.PENDING
    bench.notices.fault = None
    assert await bench.after(1) is RecordState.VERIFIED
    assert bench.told() == ["verified"]


async def test_no_mail_from_domain_no_question(bench: Bench) -> None:
    await bench.after(1)
    assert bench.dns.asked == []
