"""Reports on a day's TLS: who gets one, when, by which way, and what happens where one is not taken."""

import email
import email.policy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import SpoolFull
from relay.base.message import TlsWish
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType, TlsSession
from relay.codec.tls_report import Reporter
from relay.daemon.duties.tls_report_duty import RETRY_S, From, TlsReportDuty
from relay.daemon.duties.watch import Watch
from relay.transport.answers import Answer, Status
from relay.transport.tls_records import TlsRecords
from tests.fakes.clock import ManualClock

DAY_S, DAY = 86_400, 20_000
DOMAIN = "receiver.example"
STS = TlsPolicy(DOMAIN, TlsPolicyType.STS, ("version: STSv1",), ("*.receiver.example",))
EXPIRED = TlsSession(
    STS, TlsFailure.CERTIFICATE_EXPIRED, "mx.receiver.example", "192.0.2.1", "", "has expired"
)
MAILTO, WEB = "mailto:tls@reports.example", "https://reports.example/v1"


class World:
    """The DNS, the mail, the web and the time of one test."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(DAY * DAY_S + 1000.0)
        self.records = TlsRecords(folder)
        self.texts: dict[str, str | Status] = {}
        self.mailed: list[tuple[str, bytes, TlsWish]] = []
        self.posted: list[tuple[str, bytes]] = []
        self.refusal = ""
        self.is_full = False
        self.chance = 0.0
        self.is_signed = True
        self.watch = Watch([self.duty()])

    def duty(self) -> TlsReportDuty:
        reporter = Reporter("Sender Inc.", "tls@sender.example", "sender.example")
        return TlsReportDuty(
            records=self.records,
            names=self,
            mail=self,
            post=self.post,
            come_from=lambda: From(reporter, "postmaster@sender.example", self.is_signed),
            spread_s=4 * 3600.0,
            clock=self.clock,
            random=lambda: self.chance,
        )

    async def txt(self, name: str, *, is_fresh: bool = False) -> Answer:
        found = self.texts.get(name.removeprefix("_smtp._tls."), Status.NO_DOMAIN)
        if isinstance(found, Status):
            return Answer(found)
        return Answer(Status.FOUND, texts=(found,))

    async def hand_in(self, address: str, content: bytes, tls: TlsWish = TlsWish.NONE) -> str:
        if self.is_full:
            raise SpoolFull("no space left on device")
        self.mailed.append((address, content, tls))
        return "an id"

    async def post(self, uri: str, compressed: bytes) -> str:
        self.posted.append((uri, compressed))
        return self.refusal

    async def at(self, seconds_after_midnight: float) -> None:
        """So long after the end of the day of the first sessions; then all that is due."""
        self.clock.advance((DAY + 1) * DAY_S + seconds_after_midnight - self.clock.now())
        await self.watch.round()


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.records.add(
        {(DAY, TlsSession(STS)): 9, (DAY, EXPIRED): 2, (DAY, TlsSession(TlsPolicy("b.example"))): 1}
    )
    found.texts[DOMAIN] = f"v=TLSRPTv1; rua={MAILTO},{WEB}"
    return found


def report_in(compressed: bytes) -> Any:
    return json.loads(gzip.decompress(compressed))


async def test_one_report_by_each_way(world: World) -> None:
    await world.watch.round()
    await world.at(299)
    assert (world.mailed, world.posted) == ([], [])
    await world.at(1000)
    [(address, content, wish)] = world.mailed
    assert (address, wish) == ("tls@reports.example", TlsWish.OPTIONAL)
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["From"] == "postmaster@sender.example"
    assert message["TLS-Report-Domain"] == DOMAIN
    _, part = message.iter_parts()
    [(uri, compressed)] = world.posted
    assert uri == WEB
    assert part.get_content() == compressed
    report = report_in(compressed)
    assert report["date-range"]["start-datetime"] == "2024-10-04T00:00:00Z"
    [policy] = report["policies"]
    assert policy["policy"]["policy-domain"] == DOMAIN
    assert policy["summary"] == {"total-successful-session-count": 9, "total-failure-session-count": 2}
    assert policy["failure-details"][0]["result-type"] == "certificate-expired"
    await world.at(DAY_S)
    assert (len(world.mailed), len(world.posted)) == (1, 1)
    assert world.records.sessions(DAY, DOMAIN) == []


async def test_who_did_not_ask_hears_nothing_and_the_counts_go(world: World) -> None:
    await world.at(1000)
    assert world.records.sessions(DAY, "b.example") == []
    assert [address for address, *_ in world.mailed] == ["tls@reports.example"]


async def test_they_are_spread_over_hours(world: World) -> None:
    world.chance = 0.5
    await world.at(1000)
    await world.at(1000 + 7100)
    assert world.mailed == []
    await world.at(1000 + 7200)
    assert len(world.mailed) == 1


async def test_a_dns_that_does_not_answer_is_asked_again(world: World) -> None:
    record, world.texts[DOMAIN] = world.texts[DOMAIN], Status.TEMPORARY
    await world.at(1000)
    assert len(world.records.sessions(DAY, DOMAIN)) == 2
    world.texts[DOMAIN] = record
    await world.at(1000 + RETRY_S[0])
    assert len(world.mailed) == 1


async def test_what_was_taken_is_not_sent_again(world: World) -> None:
    world.refusal = "reports.example: HTTP status 503"
    await world.at(1000)
    assert (len(world.mailed), len(world.posted)) == (1, 1)
    world.refusal = ""
    await world.at(1000 + RETRY_S[0])
    await world.at(1000 + DAY_S)
    assert (len(world.mailed), len(world.posted)) == (1, 2)
    assert world.posted[0] == world.posted[1]


async def test_nobody_is_tried_for_ever(world: World) -> None:
    world.refusal = "reports.example: HTTP status 503"
    for hours in range(72):
        await world.at(1000 + hours * 3600)
    assert (len(world.mailed), len(world.posted)) == (1, len(RETRY_S) + 1)
    assert world.records.sessions(DAY, DOMAIN) == []


async def test_mail_that_no_key_signs_is_not_sent(world: World) -> None:
    world.is_signed = False
    await world.at(1000)
    assert (world.mailed, len(world.posted)) == ([], 1)
    assert world.records.sessions(DAY, DOMAIN) == []  # nothing is left to do


async def test_a_spool_that_is_full_puts_it_off(world: World) -> None:
    world.is_full = True
    await world.at(1000)
    world.is_full = False
    await world.at(1000 + 3601)
    assert len(world.mailed) == 1


async def test_after_a_crash_it_is_made_again_with_the_same_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.watch.round()
    world.clock.advance(DAY_S)
    duty = world.duty()
    [report] = [one for one in duty.claim(10) if one.domain == DOMAIN]

    def die(*_: Any) -> None:
        raise SpoolFull("died before it was noted")

    with monkeypatch.context() as patched:
        patched.setattr(TlsRecords, "settle", die)
        with pytest.raises(SpoolFull):
            await duty.check(report)
    world.clock.advance(3700)
    after = world.duty()
    [again] = [one for one in after.claim(10) if one.domain == DOMAIN]
    await after.check(again)
    assert world.posted[0] == world.posted[1]


async def test_each_day_has_its_report(world: World) -> None:
    world.records.add({(DAY + 1, TlsSession(STS)): 1})
    await world.at(1000)
    await world.at(DAY_S + 1000)
    days = [report_in(body)["date-range"]["start-datetime"][:10] for _, body in world.posted]
    assert days == ["2024-10-04", "2024-10-05"]


async def test_a_damaged_file_ends_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "tls-sessions.db").write_bytes(b"no database " * 1000)
    for end in ("-wal", "-shm"):
        (tmp_path / f"tls-sessions.db{end}").unlink(missing_ok=True)
    await world.at(1000)
    world.records.add({(DAY + 1, TlsSession(STS)): 1})
    await world.at(DAY_S + 1000)
    assert len(world.posted) == 1
