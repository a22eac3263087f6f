"""Suspensions as rows: made, named in normal form, listed, removed, read into the snapshot."""

import pytest

from relay.base.errors import DirectoryError
from relay.directory.records import Suspended, Suspension
from relay.directory.snapshot import KeyRing, Snapshot
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock


def test_what_is_suspended_is_listed_and_read(directory: Directory, clock: ManualClock) -> None:
    account = directory.accounts.create("shop")
    before = directory.revision()
    rows = directory.suspensions
    first = rows.add(Suspended.DOMAIN, "Bücher.Example.", "they asked")
    assert first == Suspension(Suspended.DOMAIN, "xn--bcher-kva.example", "they asked", clock.now())
    rows.add(Suspended.SITE, "mx:MX1.example,mx2.example")
    rows.add(Suspended.ACCOUNT, "shop", "abuse")
    rows.add(Suspended.DOMAIN, ".example.org")
    assert directory.revision() > before  # workers see it by that
    assert [(one.kind.value, one.name) for one in rows.list()] == [
        ("account", "shop"),
        ("domain", ".example.org"),
        ("domain", "xn--bcher-kva.example"),
        ("site", "mx:mx1.example,mx2.example"),
    ]
    snapshot = Snapshot(directory.read(), KeyRing(directory.vault(), "us-east-1"))
    assert set(snapshot.suspensions) == set(rows.list())
    assert snapshot.account_numbers() == {"shop": account.id}


def test_twice_is_once_with_the_newer_reason(directory: Directory, clock: ManualClock) -> None:
    since = directory.suspensions.add(Suspended.DOMAIN, "example.org", "one").since
    clock.advance(60)
    again = directory.suspensions.add(Suspended.DOMAIN, "EXAMPLE.org", "two")
    assert (again.since, again.reason) == (since, "two")
    assert directory.suspensions.list() == (again,)


def test_resumed_once_and_all_at_once(directory: Directory) -> None:
    rows = directory.suspensions
    for name in ("a.example", "b.example", "c.example"):
        rows.add(Suspended.DOMAIN, name)
    rows.remove(Suspended.DOMAIN, "A.example")
    with pytest.raises(DirectoryError, match=r"a\.example is not suspended: see `relay queue suspended`"):
        rows.remove(Suspended.DOMAIN, "a.example")
    assert rows.clear() == 2
    assert rows.list() == ()


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (Suspended.DOMAIN, "", "cannot name a domain"),
        (Suspended.DOMAIN, ".", "cannot name a domain"),
        (Suspended.DOMAIN, "two words", "cannot name a domain"),
        (Suspended.SITE, "a\nb", "cannot name a site"),
        (Suspended.SITE, "x" * 1025, "cannot name a site"),
        (Suspended.ACCOUNT, "nobody", "no account 'nobody'"),
    ],
)
def test_what_names_nothing_is_refused(directory: Directory, kind: Suspended, name: str, said: str) -> None:
    with pytest.raises(DirectoryError, match=said):
        directory.suspensions.add(kind, name)
    assert directory.suspensions.list() == ()
