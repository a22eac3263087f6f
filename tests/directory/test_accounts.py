"""Accounts: what the administrator does with them."""

import pytest

from relay.base.errors import DirectoryError
from relay.directory.records import Account, AccountState
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
        (lambda: directory.accounts.show("blog"), "`relay account create blog`"),
        (lambda: directory.accounts.pause("blog"), "`relay account list`"),
        (lambda: directory.accounts.delete("blog"), "`relay account list`"),
    ]
    revision = directory.revision()
    for call, remedy in cases:
        with pytest.raises(DirectoryError, match=remedy):
            call()
    assert directory.revision() == revision
