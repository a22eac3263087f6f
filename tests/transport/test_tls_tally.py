"""Counts of sessions' TLS: by day, bounded, kept when the disk refuses them."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from relay.base.errors import SpoolError
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType, TlsSession
from relay.transport.tls_tally import TlsTally
from tests.fakes.clock import ManualClock

DAY_S = 86_400
MIDNIGHT = 20_000 * DAY_S
STS = TlsPolicy("a.example", TlsPolicyType.STS, ("version: STSv1",), ("mx.a.example",))
EXPIRED = TlsSession(STS, TlsFailure.CERTIFICATE_EXPIRED, "mx.a.example", "192.0.2.1", "", "has expired")


class FakeRecords:
    def __init__(self) -> None:
        self.added: list[Mapping[tuple[int, TlsSession], int]] = []
        self.is_full = False

    def add(self, counts: Mapping[tuple[int, TlsSession], int]) -> None:
        if self.is_full:
            raise SpoolError("no space left on device")
        self.added.append(counts)


async def test_by_day_and_kind() -> None:
    records, clock = FakeRecords(), ManualClock(MIDNIGHT - 1.0)
    tally = TlsTally(records, clock)
    for host in ("mx1.a.example", "mx2.a.example"):
        tally.note(TlsSession(STS, host=host, address="192.0.2.1"))  # successes are not told apart
    tally.note(EXPIRED)
    clock.advance(1)
    tally.note(EXPIRED)
    await tally.flush()
    await tally.flush()
    assert records.added == [{(19_999, TlsSession(STS)): 2, (19_999, EXPIRED): 1, (20_000, EXPIRED): 1}]


async def test_what_the_disk_refuses_goes_with_the_next() -> None:
    records = FakeRecords()
    tally = TlsTally(records, ManualClock(MIDNIGHT))
    records.is_full = True
    tally.note(EXPIRED)
    await tally.flush()
    tally.note(EXPIRED)
    records.is_full = False
    await tally.flush()
    assert records.added == [{(20_000, EXPIRED): 2}]


async def test_it_is_bounded() -> None:
    records = FakeRecords()
    tally = TlsTally(records, ManualClock(MIDNIGHT), limit=2)
    for number in range(5):
        tally.note(TlsSession(TlsPolicy(f"{number}.example")))
    tally.note(TlsSession(TlsPolicy("0.example"), TlsFailure.VALIDATION_FAILURE, detail="x" * 1000))
    tally.note(TlsSession(TlsPolicy("0.example")))
    await tally.flush()
    assert records.added == [
        {
            (20_000, TlsSession(TlsPolicy("0.example"))): 2,
            (20_000, TlsSession(TlsPolicy("1.example"))): 1,
            (20_000, TlsSession(TlsPolicy(""))): 3,
            (20_000, TlsSession(TlsPolicy(""), TlsFailure.VALIDATION_FAILURE)): 1,
        }
    ]


async def test_details_are_bounded() -> None:
    records = FakeRecords()
    tally = TlsTally(records, ManualClock(MIDNIGHT))
    tally.note(TlsSession(STS, TlsFailure.VALIDATION_FAILURE, detail="x" * 1000))
    await tally.flush()
    assert records.added == [{(20_000, TlsSession(STS, TlsFailure.VALIDATION_FAILURE, detail="x" * 200)): 1}]


async def test_the_end_flushes() -> None:
    records = FakeRecords()
    async with AsyncExitStack() as stack:
        tally = TlsTally(records, ManualClock(MIDNIGHT))
        await tally.start(stack)
        tally.note(EXPIRED)
    assert records.added == [{(20_000, EXPIRED): 1}]


async def test_nothing_is_counted_where_nobody_reports() -> None:
    records = FakeRecords()
    tally = TlsTally(records, ManualClock(MIDNIGHT), is_on=False)
    tally.note(EXPIRED)
    tally.note(TlsSession(STS))
    await tally.flush()
    assert records.added == []
    assert (tally.good, tally.failed) == (1, {"certificate-expired": 1})  # for the scrape
