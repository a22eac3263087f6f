"""Who is kept back: the account's own list or the service's, by reason, and what nobody can say."""

from collections.abc import Collection

import pytest

from relay.base.errors import DirectoryError, Refused
from relay.base.message import Recipient
from relay.base.suppression import (
    ON_ACCOUNT_LIST,
    ON_ACCOUNT_LIST_FOR_COMPLAINT,
    ON_SERVICE_LIST,
    SERVICE,
    SuppressionReason,
)
from relay.directory.records import Account
from relay.policy.suppression import Suppression
from tests.fakes.clock import ManualClock

BOUNCE, COMPLAINT = SuppressionReason
SIMULATOR = "simulator.relay.example"


class Lists:
    """Entries as (list, address) -> (reason, since)."""

    def __init__(self, now: float, **entries: tuple[int, SuppressionReason, float]) -> None:
        self.on = {
            (where, f"{name}@x.example"): (why, now - age) for name, (where, why, age) in entries.items()
        }
        self.is_empty = not entries
        self.asked: list[str] = []
        self.is_broken = False

    def may_have(self, list_of: int, listed: str) -> bool:
        return (list_of, listed) in self.on or listed.startswith(("stale", "success"))

    async def find(self, list_of: int, listed: Collection[str], after: float) -> dict[str, SuppressionReason]:
        self.asked += listed
        if self.is_broken:
            raise DirectoryError("gone")
        found = {one: self.on[list_of, one] for one in listed if (list_of, one) in self.on}
        return {one: why for one, (why, since) in found.items() if list_of != SERVICE or since > after}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lists(clock: ManualClock) -> Lists:
    return Lists(
        clock.now(),
        bounced=(1, BOUNCE, 1e6),
        complained=(1, COMPLAINT, 1e6),
        served=(SERVICE, BOUNCE, 100.0),
        forgotten=(SERVICE, BOUNCE, 1000.0),
    )


def recipients(*names: str, domain: str = "x.example") -> list[Recipient]:
    return [Recipient(number, f"{name}@{domain}", domain) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("reasons", "kept_back"),
    [
        ("BOUNCE,COMPLAINT", {"Bounced": ON_ACCOUNT_LIST, "complained": ON_ACCOUNT_LIST_FOR_COMPLAINT}),
        ("BOUNCE", {"Bounced": ON_ACCOUNT_LIST}),
        ("COMPLAINT", {"complained": ON_ACCOUNT_LIST_FOR_COMPLAINT}),
        ("", {"served": ON_SERVICE_LIST}),  # without a list of its own the account is bound by the service's
    ],
)
async def test_the_accounts_own_list_overrides_the_services(
    lists: Lists, clock: ManualClock, reasons: str, kept_back: dict[str, str]
) -> None:
    suppression = Suppression(lists, clock, 500.0, SIMULATOR)
    account = Account(1, "shop", suppressed_reasons=reasons)
    everyone = recipients("Bounced", "complained", "served", "forgotten", "stale", "nobody")
    suspects = suppression.suspects(account, everyone)
    assert "nobody@x.example" not in [one.address for one in suspects]
    await suppression.confirm(account, suspects)
    marked = {one.address.partition("@")[0]: one.domain for one in everyone if one.domain != "x.example"}
    assert marked == kept_back
    assert (suppression.suppressed, suppression.looked_up) == (len(kept_back), len(suspects))
    assert everyone[0].address == "Bounced@x.example"  # as it was given


async def test_another_accounts_list_is_its_own(lists: Lists, clock: ManualClock) -> None:
    suppression = Suppression(lists, clock, 500.0, SIMULATOR)
    assert suppression.suspects(Account(2, "blog"), recipients("bounced", "complained", "served")) == []
    assert lists.asked == []


async def test_the_simulator_is_on_no_list(lists: Lists, clock: ManualClock) -> None:
    suppression = Suppression(lists, clock, 500.0, SIMULATOR)
    assert suppression.suspects(Account(1, "shop"), recipients("success", domain=SIMULATOR)) == []


async def test_what_nobody_can_say_is_temporary(lists: Lists, clock: ManualClock) -> None:
    suppression = Suppression(lists, clock, 500.0, SIMULATOR)
    account = Account(1, "shop")
    lists.is_broken = True
    suspects = suppression.suspects(account, recipients("bounced", "nobody"))
    with pytest.raises(Refused) as caught:
        await suppression.confirm(account, suspects)
    assert (caught.value.reply.code, caught.value.detail) == (451, "gone")
    assert suppression.suspects(account, recipients("nobody")) == []  # who is known not to be listed passes


def test_with_empty_lists_nobody_is_looked_up(clock: ManualClock) -> None:
    lists = Lists(clock.now())
    suppression = Suppression(lists, clock, 500.0, SIMULATOR)
    assert suppression.suspects(Account(1, "shop"), recipients("stale")) == []
