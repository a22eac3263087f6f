"""The duty that renews MTA-STS policies: once an hour, in portions, those that are due."""

from collections.abc import Sequence

from relay.daemon.duties.sts_duty import StsDuty
from relay.daemon.duties.watch import Watch
from tests.fakes.clock import ManualClock


class FakePolicies:
    def __init__(self) -> None:
        self.is_due: list[str] = []
        self.looks = 0
        self.renewed: list[str] = []

    def due(self) -> Sequence[str]:
        self.looks += 1
        return list(self.is_due)

    async def renew(self, domain: str) -> None:
        self.renewed.append(domain)


async def test_once_an_hour_what_is_due() -> None:
    policies, clock = FakePolicies(), ManualClock()
    watch = Watch([StsDuty(policies, clock)], batch=2)
    assert await watch.round() == 0
    policies.is_due = ["a.example", "b.example", "c.example"]
    assert await watch.round() == 0
    assert policies.looks == 1
    clock.advance(3600)
    assert await watch.round() == 3
    assert sorted(policies.renewed) == policies.is_due
    assert await watch.round() == 0
    assert policies.looks == 2
