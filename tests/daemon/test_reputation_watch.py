"""The watch over reputations: told once, paused where configured, judged anew once resumed."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from relay.base.counts import Counts, Place
from relay.base.errors import DirectoryError, SpoolError
from relay.daemon.link import LinkError
from relay.daemon.notifier.reputation_watch import ReputationWatch
from relay.directory.records import Account, AccountState
from relay.spool.statistics import Statistics
from relay.spool.statistics_views import reading
from relay.verdict.reputation import Rate, Thresholds
from relay.verdict.standing_text import read
from tests.fakes.clock import ManualClock

NOW = 1_800_000_000.0


class Office:
    """The directory, the sink and the post around a watch."""

    def __init__(self, spool: Path, stack: AsyncExitStack) -> None:
        self.changed: set[int] = set()
        self.accounts = {7: Account(7, "shop"), 8: Account(8, "news")}
        self.old: dict[int, Account] = {}  # what the snapshot still says
        self.mails: list[tuple[int, str]] = []
        self.limits = Thresholds()
        self.clock = ManualClock(NOW)
        self.is_post_open = True
        self.is_directory_open = True
        self._spool = spool
        self._thread = ThreadPoolExecutor(1)
        stack.callback(self._thread.shutdown)
        self.statistics = Statistics(spool)
        stack.callback(self.statistics.close)
        self.begin()

    def begin(self) -> None:
        """As after a start."""
        self.watch = ReputationWatch(
            spool=self._spool,
            statistics=self.statistics,
            thread=self._thread,
            counting=self,
            accounts=lambda: self,
            show=self.show,
            pause=self.pause,
            notify=self.notify,
            limits=lambda: self.limits,
            clock=self.clock,
        )

    def account(self, account_id: int) -> Account | None:
        return self.old.get(account_id) or self.accounts.get(account_id)

    def show(self, name: str) -> Account:
        if not self.is_directory_open:
            raise DirectoryError("locked")
        return self.accounts[self.account_numbers()[name]]

    def account_numbers(self) -> dict[str, int]:
        return {one.name: one.id for one in self.accounts.values()}

    def pause(self, name: str, reason: str) -> None:
        if not self.is_directory_open:
            raise DirectoryError("locked")
        self.set(name, AccountState.PAUSED, reason)

    def set(self, name: str, state: AccountState, reason: str = "") -> None:
        number = self.account_numbers()[name]
        self.accounts[number] = replace(self.accounts[number], state=state, reason=reason)

    async def notify(self, account_id: int, subject: str, text: str, kind: str, about: str = "") -> str:
        if not self.is_post_open:
            raise LinkError("no worker is ready")
        assert (kind, bool(text)) == ("reputation", True)
        self.mails.append((account_id, subject))
        return "id"

    def count(self, mails: int, bounced: int = 0, complained: int = 0, account: int = 7) -> None:
        place = Place(account, int(self.clock.now()) // 900 * 900, "shop.example", "there.example")
        self.statistics.add({place: Counts(mails=mails, bounced=bounced, complained=complained)}, {1: 1})
        self.changed.add(account)

    def status(self, account: int = 7) -> str:
        with reading(self._spool) as views:
            return read(views.standings().get(account, (0.0, ""))[1]).status.value


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        yield Office(tmp_path, stack)


REVIEW = (7, "Bounce rate 6%: your account is under review")
PAUSED = (7, "Bounce rate 12%: your account's sending is paused")


async def test_it_warns_once_also_across_a_restart(office: Office) -> None:
    office.count(10_000, 600)
    office.count(10_000, account=8)
    await office.watch.look()
    assert office.mails == [REVIEW]
    assert (office.status(7), office.status(8)) == ("Under review", "Healthy")
    office.begin()
    for _ in range(3):
        office.count(1, 0)
        await office.watch.look()
    assert office.mails == [REVIEW]
    assert not office.accounts[7].is_paused


async def test_without_pause_it_warns_a_second_time(office: Office) -> None:
    office.count(10_000, 600)
    await office.watch.look()
    office.count(0, 600)
    await office.watch.look()
    assert office.mails == [REVIEW, (7, "Bounce rate 12%: your account's sending may be paused")]
    assert not office.accounts[7].is_paused
    assert office.status() == "Pending sending pause"


async def test_it_pauses_and_says_why(office: Office) -> None:
    office.limits = Thresholds(is_pausing=True)
    office.count(10_000, 1200)
    await office.watch.look()
    assert office.mails == [PAUSED]
    assert office.accounts[7].is_paused
    assert office.accounts[7].reason == (
        "bounce rate 12% (1,200 of 10,000), [reputation] bounce_pause is 10%; "
        "once the cause is gone: relay account resume shop"
    )
    office.count(20_000)
    await office.watch.look()
    office.begin()
    await office.watch.look()
    assert (office.mails, office.status()) == ([PAUSED], "Sending paused")


async def test_resumed_it_is_judged_by_later_mail(office: Office) -> None:
    office.limits = Thresholds(is_pausing=True)
    office.count(10_000, 1200)
    await office.watch.look()
    office.set("shop", AccountState.ACTIVE)
    office.clock.advance(5.0)
    await office.watch.look()
    assert office.status() == "Healthy"
    assert office.statistics.standings()[7][0] == NOW + 5.0
    office.count(100)
    await office.watch.look()
    assert (office.mails, office.watch.volumes[7].mails) == ([PAUSED], 100)
    office.count(10_000, 1300)
    await office.watch.look()
    assert [subject for _, subject in office.mails] == [
        PAUSED[1],
        "Bounce rate 12.9%: your account's sending is paused",
    ]


async def test_what_is_seen_of_the_directory_may_be_older_than_the_pause(office: Office) -> None:
    office.limits = Thresholds(is_pausing=True)
    office.old = dict(office.accounts)
    office.count(10_000, 1200)
    for is_directory_open in (True, True, False, True):
        office.is_directory_open = is_directory_open
        await office.watch.look()
    assert (office.mails, office.status()) == ([PAUSED], "Sending paused")
    assert office.statistics.standings()[7][0] == 0.0  # nobody has resumed it
    office.old = {}
    await office.watch.look()
    assert office.status() == "Sending paused"


async def test_whom_somebody_else_paused_and_resumed_is_judged_anew_too(office: Office) -> None:
    office.count(10_000, 600)
    await office.watch.look()
    office.set("shop", AccountState.PAUSED, "asked for it")
    await office.watch.look()
    assert office.status() == "Under review"
    office.set("shop", AccountState.ACTIVE)
    await office.watch.look()
    await office.watch.look()
    assert (office.status(), office.mails) == ("Healthy", [REVIEW])


async def test_a_pause_of_somebody_else_keeps_its_reason(office: Office) -> None:
    office.limits = Thresholds(is_pausing=True)
    office.set("shop", AccountState.PAUSED, "asked for it")
    office.count(10_000, 1200)
    await office.watch.look()
    assert (office.accounts[7].reason, office.status()) == ("asked for it", "Sending paused")


async def test_nobody_can_write_the_mail_now(office: Office) -> None:
    office.limits, office.is_post_open = Thresholds(is_pausing=True), False
    office.count(10_000, 1200)
    await office.watch.look()
    assert (office.status(), office.accounts[7].is_paused) == ("Healthy", False)
    office.is_post_open = True
    await office.watch.look()
    assert (office.mails, office.status(), office.accounts[7].is_paused) == ([PAUSED], "Sending paused", True)


async def test_a_crash_between_mail_and_record_repeats_the_mail_and_loses_none(office: Office) -> None:
    office.limits, office.is_directory_open = Thresholds(is_pausing=True), False
    office.count(10_000, 1200)
    await office.watch.look()  # the mail is out, the account not paused, nothing put down
    assert (office.mails, office.status()) == ([PAUSED], "Healthy")
    office.begin()
    office.is_directory_open = True
    await office.watch.look()
    assert (office.mails, office.status(), office.accounts[7].is_paused) == (
        [PAUSED] * 2,
        "Sending paused",
        True,
    )


async def test_while_it_can_neither_pause_nor_put_down_it_writes_one_mail(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.limits, office.is_directory_open = Thresholds(is_pausing=True), False
    office.count(10_000, 1200)
    for _ in range(3):
        await office.watch.look()
    office.is_directory_open = True
    failures = [SpoolError("disk full")] * 2
    put_standing = Statistics.put_standing

    def failing(statistics: Statistics, account_id: int, text: str) -> None:
        if failures:
            raise failures.pop()
        put_standing(statistics, account_id, text)

    monkeypatch.setattr(Statistics, "put_standing", failing)
    for _ in range(3):
        await office.watch.look()
    assert (office.mails, office.status(), office.accounts[7].is_paused) == ([PAUSED], "Sending paused", True)


async def test_both_rates_are_told_and_put_down_one_by_one(office: Office) -> None:
    told: list[str] = []

    async def fail_at_the_second(*_: object, **__: object) -> str:
        if len(told) == 1:
            raise LinkError("gone")
        told.append(office.status())
        return ""

    office.watch._notify = fail_at_the_second  # type: ignore[assignment]
    office.count(10_000, 600, 20)
    await office.watch.look()
    assert office.status() == "Under review"
    office.begin()
    await office.watch.look()
    assert office.mails == [(7, "Complaint rate 0.2%: your account is under review")]


async def test_time_alone_heals(office: Office) -> None:
    office.count(10_000, 600)
    await office.watch.look()
    office.clock.advance(1800.0)
    office.count(30_000)
    await office.watch.look()
    assert office.status() == "Almost healed"
    office.clock.advance(86_399.0)
    await office.watch.look()
    assert office.status() == "Almost healed"
    office.clock.advance(1.0)
    await office.watch.look()
    assert office.status() == "Healthy"


async def test_gauges_are_of_the_accounts_with_the_most_mail(office: Office) -> None:
    office.accounts = {n: Account(n, f"account-{n:03}") for n in range(1, 121)}
    for n in office.accounts:
        office.count(1000 + n, 600 if n == 120 else 0, account=n)
    await office.watch.look()
    found = office.watch.readings()
    assert {len(found[name]) for name in found} == {100}
    assert found["bounce_rates"]["account-120"] == pytest.approx(600 / 1120)
    assert (found["statuses"]["account-120"], found["statuses"]["account-021"]) == (3, 0)
    assert "account-020" not in found["bounce_rates"]
    del office.accounts[120]
    assert "account-120" not in office.watch.readings()["bounce_rates"]
    assert office.watch.volumes[120].rate(Rate.COMPLAINT) == 0.0


async def test_the_next_look_waits_by_what_the_last_one_cost_not_by_how_long_it_waited(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.count(10_000, 600)
    telling = office.notify

    async def slowly(*words: str) -> str:
        office.clock.advance(60.0)
        return await telling(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(office.watch, "_notify", slowly)
    await office.watch.look()
    assert office.mails == [REVIEW]
    assert office.watch.pause_s == 2.0

    ticks = iter([5.0, 5.5])
    monkeypatch.setattr("relay.daemon.notifier.reputation_watch.thread_time", lambda: next(ticks))
    office.count(1)
    await office.watch.look()
    assert office.watch.pause_s == pytest.approx(10.0, abs=0.5)
