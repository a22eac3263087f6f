"""The ledger's shell: what is on disk before an answer leaves, and what becomes of it when the disk fails."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import StartError
from relay.base.events import Change, Event, EventKind
from relay.daemon.link import LinkError
from relay.daemon.supervisor.ledger_file import FILE
from relay.daemon.supervisor.ledger_keeper import LedgerKeeper
from relay.policy.ledger import QuotaWarning, Way
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock


class Room:
    """A supervisor's ledger that can be killed, and what it stored."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.clock = ManualClock()
        self.warned: list[QuotaWarning] = []
        self.failures: list[BaseException] = []
        self.stack = AsyncExitStack()

    async def warn(self, warning: QuotaWarning) -> None:
        self.warned.append(warning)

    async def start(self) -> None:
        self.keeper = LedgerKeeper(self.spool, self.clock, self.warn, self.failures.append)
        await self.keeper.start(self.stack)

    async def lease(
        self, quota: int = 999, rate: float = -1.0, over: str = "reject", account: int = 7, needs: int = 1
    ) -> Any:
        answer = await self.keeper.answer(
            1,
            "lease",
            {
                "account": account,
                "limits": [rate, quota, over],
                "needs": [[1, 1]] * needs,
                "back": [0, []],
                "in_hand": [0, 0],
                "created_at": 0.0,
                "longest_s": 50_000.0,
            },
        )
        return json.loads(json.dumps(answer))

    def stored(self, account: int = 7) -> int:
        """What another process would read from the file now."""
        connection = sqlite3.connect(f"file:{self.spool / FILE}?mode=ro", uri=True)
        try:
            (total,) = connection.execute(
                "SELECT coalesce(sum(count), 0) FROM sent WHERE account = ?", (account,)
            ).fetchone()
            return int(total)
        finally:
            connection.close()

    async def restart(self) -> None:
        await self.stack.aclose()
        await self.start()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.start()
    yield made
    await made.stack.aclose()
    assert made.failures == []


async def test_what_is_granted_and_lent_is_on_disk_before_the_answer(room: Room) -> None:
    answer = await room.lease(quota=999, needs=3)
    assert [verdict[0] for verdict in answer["verdicts"]] == ["accept"] * 3
    tokens, quota, minute = answer["slice"]
    assert (tokens, quota) == (62, 62)
    assert room.stored() == 65
    await room.keeper.answer(1, "end lease", {"account": 7, "tokens": 62, "minutes": [[minute, 62]]})
    assert await room.keeper.sent(7, is_limited=True) == 3
    await room.restart()
    assert room.stored() == 3
    assert await room.keeper.sent(7, is_limited=True) == 3


async def test_what_was_lent_when_all_was_killed_counts_as_sent(room: Room) -> None:
    await room.lease(quota=999)
    other = Room(room.spool)
    other.clock = room.clock
    await other.start()  # from what is on disk
    assert await other.keeper.sent(7, is_limited=True) == 63
    await other.stack.aclose()


async def test_large_quotas_are_ahead_on_disk_and_exact_after_an_orderly_end(room: Room) -> None:
    writes = 0
    real = room.keeper._file.write

    def counted(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        real(*arguments)

    room.keeper._file.write = counted  # type: ignore[method-assign]
    for _ in range(10):
        tokens, quota, minute = (await room.lease(quota=10_000_000))["slice"]
        assert (tokens, quota) == (100, 100)
        assert room.stored() >= room.keeper._ledger.accounts[7].sent.total
    assert writes == 1
    assert room.stored() == 101 + 10_000
    await room.keeper.answer(1, "end lease", {"account": 7, "tokens": 1000, "minutes": [[minute, 1000]]})
    room.clock.advance(61.0)
    await room.keeper._write_once()
    assert room.stored() == 10
    await room.lease(quota=10_000_000)
    await room.restart()
    assert room.stored() == 111


async def test_the_quota_is_kept_over_restarts_and_jumps_of_the_clock(room: Room) -> None:
    for jump in (0.0, -10 * 86_400.0, 20 * 86_400.0):
        room.clock.jump(jump)
        await room.lease(quota=3)
        await room.restart()
    (refused,) = (await room.lease(quota=3))["verdicts"]
    assert refused[:2] == ["refuse", "quota"]
    room.clock.advance(86_400.0 + 60.0)
    assert (await room.lease(quota=3))["verdicts"][0][0] == "accept"


async def test_mail_kept_for_later_is_not_forgotten(room: Room) -> None:
    waits = [(await room.lease(quota=-1, rate=1.0, over="smooth"))["verdicts"][0] for _ in range(4)]
    assert [wait[0] for wait in waits] == ["accept", "delay", "delay", "delay"]
    assert [wait[2] for wait in waits[1:]] == pytest.approx([1.0, 2.0, 3.0], abs=1e-3)
    await room.restart()
    (wait,) = (await room.lease(quota=-1, rate=1.0, over="smooth"))["verdicts"]
    assert wait[2] == pytest.approx(4.0, abs=1e-3)


async def test_a_disk_that_does_not_take_it_grants_nothing(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await room.lease(quota=5)
    room.keeper._file._opened.execute("PRAGMA query_only=1")
    for _ in range(3):
        with pytest.raises(LinkError, match="cannot be written"):
            await room.lease(quota=5)
    room.keeper._file._opened.execute("PRAGMA query_only=0")
    answers = [(await room.lease(quota=5))["verdicts"][0][0] for _ in range(5)]
    assert answers == ["accept"] * 4 + ["refuse"]
    assert room.stored() == 5
    assert caplog.text.count("the ledger of limits cannot be written") == 1
    assert "the ledger of limits is written again" in caplog.text


async def test_many_requests_share_transactions(room: Room) -> None:
    writes = 0
    real = room.keeper._file.write

    def counted(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        real(*arguments)

    room.keeper._file.write = counted  # type: ignore[method-assign]
    await asyncio.gather(*[room.lease(account=number) for number in range(100)])
    assert writes < 20
    assert sum(room.stored(number) for number in range(100)) == 100 * 63


async def test_a_warning_is_handed_over_until_someone_takes_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.daemon.supervisor.ledger_keeper._RETRY_WARNING_S", 0.0)
    taken = asyncio.Event()
    refusals = [LinkError("no worker is ready")] * 3

    async def warn(warning: QuotaWarning) -> None:
        if refusals:
            raise refusals.pop()
        room.warned.append(warning)
        if len(room.warned) == 2:
            taken.set()

    monkeypatch.setattr(room.keeper, "_warn", warn)
    for _ in range(12):
        await room.lease(quota=10)
    async with asyncio.timeout(10.0):
        await taken.wait()
    assert sorted(warning.percent for warning in room.warned) == [80, 100]
    await room.restart()
    await room.lease(quota=10)
    assert len(room.warned) == 2, "a restart does not repeat them"


async def test_an_account_that_is_not_known_is_counted_from_the_events(room: Room) -> None:
    now = room.clock.now()
    async with AsyncExitStack() as stack:
        shard = await Shard.open(room.spool, 1, SpoolLimits(0), room.clock, stack)
        detail = '{"destination":["a@b.example","c@d.example"]}'
        events = [Event(now - age, EventKind.SEND, "id", 7, detail) for age in (90_000.0, 4000.0, 30.0)]
        await shard.commit(Change(events=[*events, Event(now, EventKind.SEND, "id", 8, detail)]))
        answers = [(await room.lease(quota=5))["verdicts"][0] for _ in range(2)]
        assert await room.keeper.sent(8, is_limited=False) == 2
    assert [answer[0] for answer in answers] == [Way.ACCEPT, Way.REFUSE]
    assert room.stored() == 5
    await room.restart()
    assert await room.keeper.sent(7, is_limited=True) == 5


async def test_what_cannot_be_opened_does_not_start(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    room = Room(tmp_path)
    async with room.stack:
        with pytest.raises(StartError, match="the ledger of limits cannot be opened"):
            await room.start()


async def test_it_knows_what_it_is_asked(room: Room) -> None:
    with pytest.raises(LinkError, match="unknown request 'nonsense'"):
        await room.keeper.answer(1, "nonsense", {"account": 7})
    await room.keeper.answer(1, "give back", {"account": 7, "tokens": 1, "minutes": [[1, 1]]})
