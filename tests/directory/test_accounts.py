"""Accounts: what the administrator does with them."""

import pytest

from relay.base.errors import DirectoryError
from relay.directory.accounts import UNLIMITED
from relay.directory.records import Access, Account, AccountState, OverQuota
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock


def test_the_life_of_an_account(directory: Directory, clock: ManualClock) -> None:
    accounts = directory.accounts
    shop = accounts.create("shop", "owner@example.org")
    assert shop == Account(
        1, "shop", "owner@example.org", created_at=clock.now(), max_send_rate=5.0, max_24_hours=10_000
    )
    assert accounts.show("shop") == shop

    paused = accounts.pause("shop", "too many bounces")
    assert (paused.state, paused.reason) == (AccountState.PAUSED, "too many bounces")
    assert accounts.show("shop") == paused
    assert accounts.resume("shop") == shop

    assert accounts.create("blog").contact == ""
    assert [account.name for account in accounts.list()] == ["blog", "shop"]
    accounts.delete("shop")
    assert [account.name for account in accounts.list()] == ["blog"]


@pytest.mark.parametrize(
    ("before", "access", "after"),
    [
        ((1.0, 200), Access.PRODUCTION, (5.0, 10_000)),  # still the sandbox's: they rise
        ((2.0, 200), Access.PRODUCTION, (2.0, 10_000)),  # chosen: stays
        ((1.0, 500), Access.PRODUCTION, (5.0, 500)),
        ((UNLIMITED, UNLIMITED), Access.PRODUCTION, (UNLIMITED, UNLIMITED)),
        ((1.0, 200), Access.SANDBOX, (1.0, 200)),
    ],
)
def test_limits_that_nobody_chose_follow_the_access(
    directory: Directory, before: tuple[float, int], access: Access, after: tuple[float, int]
) -> None:
    rate, quota = before
    directory.accounts.create("shop", access=Access.SANDBOX, max_send_rate=rate, max_24_hours=quota)
    shop = directory.accounts.set("shop", access=access)
    assert (shop.max_send_rate, shop.max_24_hours) == after
    assert shop.access is access
    back = directory.accounts.set("shop", access=Access.SANDBOX)
    assert (back.max_send_rate, back.max_24_hours) == before


def test_only_what_is_given_is_set(directory: Directory) -> None:
    directory.accounts.create("shop", "owner@example.org")
    revision = directory.revision()
    shop = directory.accounts.set("shop", over_quota=OverQuota.HOLD, max_24_hours=7)
    assert shop == directory.accounts.show("shop")
    assert (shop.over_quota, shop.max_24_hours, shop.max_send_rate) == (OverQuota.HOLD, 7, 5.0)
    assert (shop.contact, shop.access) == ("owner@example.org", Access.PRODUCTION)
    assert directory.accounts.set("shop", contact="").contact == ""
    assert directory.revision() == revision + 2
    assert directory.read().accounts[0].max_24_hours == 7


@pytest.mark.parametrize("limits", [{"max_send_rate": rate} for rate in (0, -2, float("inf"), float("nan"))])
def test_a_rate_that_is_none_is_refused(directory: Directory, limits: dict[str, float]) -> None:
    with pytest.raises(DirectoryError, match="`relay account pause`"):
        directory.accounts.create("shop", **limits)
    directory.accounts.create("shop")
    with pytest.raises(DirectoryError, match="`relay account pause`"):
        directory.accounts.set("shop", **limits)


@pytest.mark.parametrize("quota", [0, -2, 2**31])
def test_a_quota_that_is_none_is_refused(directory: Directory, quota: int) -> None:
    with pytest.raises(DirectoryError, match="`relay account pause`"):
        directory.accounts.create("shop", max_24_hours=quota)


def test_a_number_is_never_used_twice(directory: Directory) -> None:
    first = directory.accounts.create("shop").id
    directory.accounts.delete("shop")
    assert directory.accounts.create("shop").id > first > 0


def test_a_deleted_account_takes_all_it_owns_with_it(directory: Directory) -> None:
    directory.accounts.create("shop")
    directory.credentials.create("shop")
    directory.identities.add("shop", "example.org", is_verified=True)
    directory.accounts.delete("shop")
    contents = directory.read()
    assert (contents.accounts, contents.credentials, contents.identities, contents.keys) == ((), (), (), ())


def test_what_cannot_be_done_says_what_can(directory: Directory) -> None:
    directory.accounts.create("shop")
    cases = [
        (lambda: directory.accounts.create("shop"), "choose another name"),
        (lambda: directory.accounts.create(""), "use up to 64 letters"),
        (lambda: directory.accounts.create("-shop"), "use up to 64 letters"),
        (lambda: directory.accounts.create("a b"), "use up to 64 letters"),
        (lambda: directory.accounts.create("x" * 65), "use up to 64 letters"),
        (lambda: directory.accounts.create("blog", "nobody"), "postmaster@example.org"),
        (lambda: directory.accounts.set("shop", contact="nobody"), "postmaster@example.org"),
        (lambda: directory.accounts.set("blog", contact="a@example.org"), "`relay account list`"),
        (lambda: directory.accounts.show("blog"), "`relay account create blog`"),
        (lambda: directory.accounts.pause("blog"), "`relay account list`"),
        (lambda: directory.accounts.delete("blog"), "`relay account list`"),
    ]
    revision = directory.revision()
    for call, remedy in cases:
        with pytest.raises(DirectoryError, match=remedy):
            call()
    assert directory.revision() == revision
