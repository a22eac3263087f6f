"""The life of identities in the database: claimed, settled, confirmed, begun anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.directory.life import CLAIM_S, Confirmation
from relay.directory.links import Link
from relay.directory.records import IdentityKind, IdentityState, RecordState
from relay.directory.store import Directory
from relay.directory.verification import Standing, Step
from tests.fakes.clock import ManualClock

ADDRESS, DOMAIN = "a@example.org", "example.org"


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(
    request: pytest.FixtureRequest, key_file: Path, tmp_path: Path, clock: ManualClock
) -> Iterator[Directory]:
    url = f"sqlite:///{tmp_path / 'directory.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    directory = Directory(url, key_file, "us-east-1", clock)
    directory.migrate()
    for account in directory.accounts.list():  # of the test before, on the same server
        directory.accounts.delete(account.name)
    directory.accounts.create("shop")
    yield directory
    directory.close()


def sent_link(shop: Directory, clock: ManualClock) -> Link:
    """The link that went out to a new address."""
    (address,) = shop.life.due(10)
    sent = Step(IdentityState.PENDING, pending_since=clock.now(), next_check_at=clock.now() + 86400)
    assert settle(shop, address, sent)
    return Link(address.id, int(clock.now()) + 86400, address.token)


def settle(shop: Directory, standing: Standing, step: Step) -> bool:
    (is_stored,) = shop.life.settle([(standing, step)])
    return is_stored


def state_of(shop: Directory, name: str) -> IdentityState:
    return shop.life.standing(name).state


def test_a_new_identity_is_due_at_once_and_one_of_the_administrators_word_never(
    shop: Directory, clock: ManualClock
) -> None:
    shop.identities.add("shop", DOMAIN)
    shop.identities.add("shop", "word.example", is_verified=True)
    (due,) = shop.life.due(10)
    assert (due.name, due.kind, due.state) == (DOMAIN, IdentityKind.DOMAIN, IdentityState.PENDING)
    assert (len(due.token), due.dkim_state) == (32, RecordState.NONE)
    assert (due.pending_since, due.claimed_until) == (clock.now(), clock.now() + CLAIM_S)
    assert shop.life.due(10) == ()
    shop.identities.verify(DOMAIN)
    clock.advance(10 * 86400)
    assert shop.life.due(10) == ()
    assert shop.life.standing(DOMAIN).token == ""


def test_only_a_change_of_state_is_seen_by_the_workers(shop: Directory, clock: ManualClock) -> None:
    shop.identities.add("shop", DOMAIN)
    revision = shop.revision()
    (due,) = shop.life.due(10)
    waits = Step(IdentityState.PENDING, pending_since=due.pending_since, next_check_at=clock.now() + 5)
    assert settle(shop, due, waits)
    assert shop.revision() == revision
    clock.advance(5)
    (due,) = shop.life.due(10)
    assert settle(shop, due, Step(IdentityState.VERIFIED, next_check_at=clock.now() + 86400))
    assert shop.revision() == revision + 1
    assert [one.name for one in shop.read().identities] == [DOMAIN]


def test_what_changed_meanwhile_is_left_alone(shop: Directory, clock: ManualClock) -> None:
    shop.identities.add("shop", DOMAIN)
    failed = Step(IdentityState.FAILED)
    (due,) = shop.life.due(10)
    shop.identities.verify(DOMAIN)
    assert not settle(shop, due, failed)
    assert state_of(shop, DOMAIN) is IdentityState.VERIFIED
    shop.identities.remove(DOMAIN)
    assert not settle(shop, due, failed)
    shop.identities.add("shop", "other.example")
    (first,) = shop.life.due(10)
    clock.advance(CLAIM_S)  # the first one hangs; its claim has run out
    (second,) = shop.life.due(10)
    assert not settle(shop, first, failed)
    assert settle(shop, second, failed)


def test_steps_of_several_are_one_transaction(shop: Directory, clock: ManualClock) -> None:
    for name in ("a.example", "b.example", "c.example"):
        shop.identities.add("shop", name)
    first, second, third = shop.life.due(10)
    shop.identities.remove(second.name)
    revision = shop.revision()
    verified = Step(IdentityState.VERIFIED, next_check_at=clock.now() + 86400)
    waits = Step(IdentityState.PENDING, pending_since=clock.now(), next_check_at=clock.now() + 5)
    assert shop.life.settle([(first, verified), (second, verified), (third, waits)]) == [True, False, True]
    assert shop.revision() == revision + 1
    assert (state_of(shop, first.name), state_of(shop, third.name)) == (
        IdentityState.VERIFIED,
        IdentityState.PENDING,
    )


def test_a_link_verifies_once(shop: Directory, clock: ManualClock) -> None:
    shop.identities.add("shop", ADDRESS)
    link = sent_link(shop, clock)
    assert shop.life.due(10) == ()
    assert shop.life.look_up(link) == (Confirmation.GOOD, ADDRESS)
    assert state_of(shop, ADDRESS) is IdentityState.PENDING
    assert shop.life.confirm(link) == (Confirmation.GOOD, ADDRESS)
    assert state_of(shop, ADDRESS) is IdentityState.VERIFIED
    assert shop.life.confirm(link) == (Confirmation.USED, ADDRESS)
    (due,) = shop.life.due(10)  # the contact is to be told
    assert due.state is IdentityState.VERIFIED


def test_links_that_do_not_work(shop: Directory, clock: ManualClock) -> None:
    shop.identities.add("shop", ADDRESS)
    shop.identities.add("shop", DOMAIN, is_verified=True)
    old = sent_link(shop, clock)
    shop.life.restart(ADDRESS)
    new = sent_link(shop, clock)
    assert shop.life.confirm(old)[0] is Confirmation.USED
    clock.advance(86400)
    assert shop.life.confirm(new) == (Confirmation.EXPIRED, ADDRESS)
    (due,) = shop.life.due(10)
    assert settle(shop, due, Step(IdentityState.FAILED))
    assert shop.life.confirm(new)[0] is Confirmation.EXPIRED
    domain = shop.life.standing(DOMAIN)
    assert shop.life.confirm(Link(domain.id, new.expires_at + 9, domain.token))[0] is Confirmation.GONE
    shop.identities.remove(ADDRESS)
    assert shop.life.confirm(new) == (Confirmation.GONE, "")


def test_a_proof_begins_anew(shop: Directory, clock: ManualClock) -> None:
    shop.identities.add("shop", DOMAIN)
    (due,) = shop.life.due(10)
    assert settle(shop, due, Step(IdentityState.REVOKED))
    clock.advance(500)
    again = shop.life.restart(DOMAIN)
    assert (again.state, again.token, again.pending_since) == (
        IdentityState.PENDING,
        due.token,  # what the owner has published is still right
        clock.now(),
    )
    assert [one.name for one in shop.life.due(10)] == [DOMAIN]
    shop.identities.verify(DOMAIN)
    with pytest.raises(DirectoryError, match="is verified"):
        shop.life.restart(DOMAIN)
    with pytest.raises(DirectoryError, match="no identity"):
        shop.life.restart("gone.example")


def test_whoever_waits_can_be_looked_at_sooner(shop: Directory, clock: ManualClock) -> None:
    shop.identities.add("shop", DOMAIN)
    (due,) = shop.life.due(10)
    later = Step(IdentityState.PENDING, pending_since=due.pending_since, next_check_at=clock.now() + 3600)
    assert settle(shop, due, later)
    assert shop.life.due(10) == ()
    assert shop.life.hurry(DOMAIN)
    assert [one.name for one in shop.life.due(10)] == [DOMAIN]
    shop.identities.verify(DOMAIN)
    assert not shop.life.hurry(DOMAIN)
    assert shop.life.due(10) == ()
