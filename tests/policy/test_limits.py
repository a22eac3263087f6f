"""A worker's side of the limits: what passes at once, what waits for the ledger, and then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Any

import pytest

from relay.base.admission import Admission
from relay.base.errors import Refused, RelayError
from relay.base.message import Recipient
from relay.base.tasks import Tasks
from relay.directory.records import Account, OverQuota
from relay.policy.ledger import Ledger, Limits, Need
from relay.policy.limits import QUOTA_EXCEEDED, RATE_EXCEEDED, LeasedLimits
from tests.fakes.clock import ManualClock

ACCOUNT = Account(7, "shop", max_send_rate=1000.0, max_24_hours=100_000)
SIMULATOR = "simulator.relay.example"


class Room:
    """A worker's limits, and the real ledger at the other end of a link that may fail."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tasks = Tasks("test")
        self.ledger = Ledger()
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.trouble: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.limits = LeasedLimits(self.ask, self.clock, self.tasks, lambda: 100.0, SIMULATOR)

    async def ask(self, what: str, timeout_s: float, **fields: Any) -> Any:
        self.heard.append((what, fields))
        now = self.clock.now()
        if self.trouble is not None:
            raise self.trouble
        if what == "give back":
            self.ledger.give_back(7, fields["tokens"], fields["minutes"], now)
            return None
        if what == "end lease":
            self.ledger.end_lease(1, 7, fields["tokens"], fields["minutes"], now)
            return None
        rate, quota, over = fields["limits"]
        if fields["needs"]:
            self.ledger.end_lease(1, 7, *fields["back"], now)
        verdicts, lent = self.ledger.ask(
            1,
            7,
            Limits(rate, quota, OverQuota(over)),
            [Need(*one) for one in fields["needs"]],
            now,
            in_hand=fields["in_hand"],
            longest_s=fields["longest_s"],
        )
        await self.may_answer.wait()
        return {"verdicts": verdicts, "slice": lent}

    def take(
        self, account: Account = ACCOUNT, recipients: int = 1, to: str = "receiver.example"
    ) -> tuple[Admission[Any], Awaitable[None] | None]:
        admission: Admission[Any] = Admission()
        those = [Recipient(number, f"{number}@{to}", to) for number in range(recipients)]
        return admission, self.limits.take(account, those, admission)

    async def admit(
        self, account: Account = ACCOUNT, recipients: int = 1, to: str = "a.example"
    ) -> Admission[Any]:
        admission, waiting = self.take(account, recipients, to)
        if waiting is not None:
            await waiting
        return admission

    async def settle(self) -> None:
        while len(self.tasks):
            await asyncio.sleep(0)

    def count(self, what: str) -> int:
        return [name for name, _ in self.heard].count(what)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    await made.tasks.end()


async def test_without_limits_nobody_is_asked(room: Room) -> None:
    account = replace(ACCOUNT, max_send_rate=-1.0, max_24_hours=-1)
    admission, waiting = room.take(account)
    assert waiting is None
    assert (admission.tokens, room.heard) == (0, [])


async def test_the_first_asks_and_the_next_pass_at_once(room: Room) -> None:
    admission, waiting = room.take(recipients=3)
    assert waiting is not None
    await waiting
    assert (admission.tokens, admission.quota) == (3, 3)
    for _ in range(20):
        admission, waiting = room.take()
        assert waiting is None
        assert (admission.tokens, admission.quota) == (1, 1)
    assert (room.limits.asked, room.limits.waited, room.limits.leases) == (1, 1, 1)


async def test_the_next_slice_comes_before_the_first_is_used_up(room: Room) -> None:
    await room.admit()
    for _ in range(2000):
        _, waiting = room.take()
        assert waiting is None
        room.clock.advance(0.001)
        await room.settle()
    assert room.limits.waited == 1
    assert 40 < room.limits.asked < 110
    await room.limits.end()
    assert room.ledger.sent(7, room.clock.now()) == 2001


async def test_those_who_wait_go_with_one_request(room: Room) -> None:
    account = replace(ACCOUNT, max_send_rate=3.0)
    done = await asyncio.gather(*[room.admit(account) for _ in range(5)], return_exceptions=True)
    assert [isinstance(one, Refused) for one in done] == [False, False, False, True, True]
    assert room.count("lease") == 1


@pytest.mark.parametrize(
    ("changes", "reply"),
    [
        ({"max_send_rate": 1.0}, "454 4.7.1 Throttling failure: Maximum sending rate exceeded"),
        ({"max_24_hours": 1}, "454 4.7.1 Throttling failure: Daily message quota exceeded"),
    ],
)
async def test_refused_as_ses_does(room: Room, changes: dict[str, Any], reply: str) -> None:
    account = replace(ACCOUNT, **changes)
    await room.admit(account)
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            await room.admit(account)
        assert str(caught.value.reply) == reply
    assert room.count("lease") == 2, "for a tenth of a second nobody is asked again"
    room.clock.advance(0.11)
    with pytest.raises(Refused):
        await room.admit(account)
    assert room.count("lease") == 3
    assert sum(room.limits.refused.values()) == 4
    assert caught.value.why in ("rate", "quota")
    (told,) = room.limits.accounts().values()
    assert told == {
        "name": account.name,
        "quota": account.max_24_hours,
        "rate": account.max_send_rate,
        "throttled": {"refused": 4, "delayed": 0, "held": 0},
    }


async def test_the_simulator_passes_where_the_quota_is_used_up(room: Room) -> None:
    account = replace(ACCOUNT, max_24_hours=1)
    await room.admit(account)
    with pytest.raises(Refused):
        await room.admit(account)
    admission = await room.admit(account, to=SIMULATOR)
    assert (admission.tokens, admission.quota) == (1, 0)
    account = replace(account, max_send_rate=1.0)
    room.clock.advance(1.0)
    await room.admit(account, to=SIMULATOR)
    with pytest.raises(Refused) as caught:
        await room.admit(account, to=SIMULATOR)
    assert caught.value.reply == RATE_EXCEEDED
    with pytest.raises(Refused) as caught:
        await room.admit(account)
    assert caught.value.reply in (RATE_EXCEEDED, QUOTA_EXCEEDED)


async def test_smoothed(room: Room) -> None:
    account = replace(ACCOUNT, max_send_rate=1.0, over_quota=OverQuota.SMOOTH)
    first, second, third = [await room.admit(account) for _ in range(3)]
    assert (first.due_at, first.is_waiting, first.note) == (0.0, False, "")
    assert second.due_at == pytest.approx(room.clock.now() + 1.0, abs=1e-3)
    assert third.due_at == pytest.approx(room.clock.now() + 2.0, abs=1e-3)
    assert third.note.startswith("delayed until 2027-01-15T08:00:0")
    assert third.note.endswith("Z by the maximum sending rate of the account")
    assert room.limits.delayed == 2
    assert room.limits.accounts()[str(account.id)]["throttled"]["delayed"] == 2
    for _ in range(97):
        await room.admit(account)
    with pytest.raises(Refused) as caught:  # it would expire before
        await room.admit(account)
    assert caught.value.reply == RATE_EXCEEDED


async def test_held(room: Room) -> None:
    account = replace(ACCOUNT, max_24_hours=1, over_quota=OverQuota.HOLD)
    await room.admit(account)
    admission = await room.admit(account)
    assert admission.is_held
    assert admission.note == "held: the daily message quota of the account is reached"
    assert (admission.tokens, room.limits.held) == (0, 1)
    assert room.limits.accounts()[str(account.id)]["throttled"]["held"] == 1


async def test_the_accounts_told_are_those_that_asked_last(room: Room) -> None:
    for number in range(1, 6):
        room.clock.advance(1.0)
        await room.admit(replace(ACCOUNT, id=number, name=f"a{number}"))
    assert list(room.limits.accounts(most=2)) == ["5", "4"]
    assert len(room.limits.accounts()) == 5


async def test_a_ledger_that_cannot_be_asked_is_temporary(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.trouble = RelayError("gone")
    with pytest.raises(Refused) as caught:
        await room.admit()
    assert str(caught.value.reply) == "451 4.3.0 Temporary service failure"
    assert "the ledger of limits cannot be asked" in caplog.text
    room.trouble = ValueError("a bug of ours")
    with pytest.raises(Refused) as caught:
        await room.admit()
    assert caught.value.reply.code == 451
    room.trouble = None
    assert (await room.admit()).tokens == 1
    assert room.limits.refused["unknown"] == 2


async def test_an_answer_that_comes_too_late_is_not_spent(room: Room) -> None:
    room.may_answer.clear()
    _, waiting = room.take()
    assert waiting is not None
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    room.clock.advance(30.0)
    room.may_answer.set()
    with pytest.raises(Refused) as caught:
        await task
    assert caught.value.reply.code == 451
    assert room.limits.leases == 0


async def test_what_is_left_goes_back_when_the_lease_ends(room: Room) -> None:
    await room.admit()
    assert room.ledger.accounts[7].lent_tokens() == 50
    room.clock.advance(0.2)
    (known,) = room.limits._accounts.values()
    room.limits._end_if_over(known)
    await room.settle()
    assert room.ledger.accounts[7].sent.total == 1
    assert room.limits.leases == 0
    room.clock.advance(1.0)
    assert (await room.admit()).tokens == 1


async def test_a_lease_that_is_over_is_not_spent(room: Room) -> None:
    await room.admit()
    room.clock.advance(0.2)
    _, waiting = room.take()
    assert waiting is not None
    await waiting
    assert room.ledger.sent(7, room.clock.now()) == 2


async def test_other_limits_end_what_was_got_under_the_former(room: Room) -> None:
    await room.admit()
    lower = replace(ACCOUNT, max_24_hours=1)
    with pytest.raises(Refused) as caught:
        await room.admit(lower)
    assert caught.value.reply == QUOTA_EXCEEDED
    same = replace(lower, contact="other@example.org", max_24_hours=100_000)
    assert (await room.admit(same)).tokens == 1, "a refusal under other limits is forgotten"


async def test_what_was_not_stored_goes_back(room: Room) -> None:
    account = replace(ACCOUNT, max_24_hours=1)
    admission = await room.admit(account)
    room.limits.give_back(7, admission)
    room.limits.give_back(7, admission)  # twice is once
    await room.settle()
    assert room.count("give back") == 1
    assert (await room.admit(account)).tokens == 1


async def test_what_is_granted_to_one_who_has_gone_goes_back(room: Room) -> None:
    account = replace(ACCOUNT, max_send_rate=1.0)
    room.may_answer.clear()
    _, waiting = room.take(account)
    assert waiting is not None
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    room.may_answer.set()
    await room.settle()
    assert room.count("give back") == 1
    assert room.ledger.sent(7, room.clock.now()) == 0


async def test_at_the_end_all_goes_back(room: Room) -> None:
    await room.admit()
    await room.limits.end()
    assert room.ledger.accounts[7].sent.total == 1
    assert room.limits.leases == 0


async def test_a_slice_much_larger_than_what_is_sent_is_exchanged_in_time(room: Room) -> None:
    account = replace(ACCOUNT, max_send_rate=1e6, max_24_hours=10**9)
    await room.admit(account)
    for _ in range(1000):
        _, waiting = room.take(account)
        assert waiting is None
        room.clock.advance(0.01)
        await room.settle()
    assert room.limits.waited == 1
    assert room.limits.asked < 250
    assert room.ledger.accounts[7].sent.total < 1000 + 2 * 50_000
    await room.limits.end()
    assert room.ledger.accounts[7].sent.total == 1001
