"""DKIM in the database: claimed once, written whole or not at all; keys replaced without a gap."""

from collections import Counter
from dataclasses import replace

import pytest

from relay.base.errors import DirectoryError
from relay.directory import keys
from relay.directory.dkim_life import Pace, Sight, Standing
from relay.directory.dkim_rotation import Turn, turn
from relay.directory.records import KeyOrigin, KeyState, RecordState
from relay.directory.snapshot import KeyRing, Snapshot
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock

NAME = "example.org"
DAY = 86400.0


@pytest.fixture
def shop(directory: Directory) -> Directory:
    directory.accounts.create("shop")
    directory.identities.add("shop", NAME, algorithms=[keys.ED25519], is_verified=True)
    return directory


def states(shop: Directory) -> Counter[KeyState]:
    return Counter(key.state for key in shop.dkim.of(NAME).keys)


def selectors(shop: Directory, address: str = f"a@{NAME}") -> list[str]:
    """Which keys sign mail from this address."""
    snapshot = Snapshot(shop.read(), KeyRing(shop.vault(), shop.region))
    account = snapshot.account_named("shop")
    assert account is not None
    identity = snapshot.identity_for(account.id, address)
    assert identity is not None
    return [key.selector for key in identity.keys]


def turned(shop: Directory, clock: ManualClock, **how: bool) -> bool:
    """A turn with every record seen."""
    before = shop.dkim.of(NAME)
    sights = {key.id: Sight.SEEN for key in before.keys}
    done = turn(before.keys, sights, clock.now(), Pace(), **how)
    return not done.is_none and shop.dkim.apply(before, before.standing, done, clock.now() + DAY)


def test_what_is_due_is_given_out_once(shop: Directory, clock: ManualClock) -> None:
    assert shop.dkim.claim_due(9, 900) == ()
    clock.advance(DAY)
    (number,) = shop.dkim.claim_due(9, 900)
    assert number == shop.dkim.of(NAME).identity.id
    assert shop.dkim.claim_due(9, 900) == ()
    clock.advance(900)
    assert shop.dkim.claim_due(9, 900) == (number,)  # whoever had it died


def test_a_rotation_swaps_two_keys_in_one_transaction(shop: Directory, clock: ManualClock) -> None:
    (first,) = selectors(shop)
    before = shop.revision()
    clock.advance(DAY)
    assert turned(shop, clock, is_asked=True)
    assert shop.revision() == before + 1
    assert selectors(shop) != [first]
    assert states(shop) == {KeyState.ACTIVE: 1, KeyState.STANDBY: 1, KeyState.RETIRED: 1}
    assert first in {key.selector for key in shop.dkim.published()}
    clock.advance(Pace().retired_for_s)
    old = next(key for key in shop.dkim.of(NAME).public if key.selector == first)
    assert turned(shop, clock)
    new = next(key for key in shop.dkim.of(NAME).public if key.selector == first)
    assert (old.state, new.state) == (KeyState.RETIRED, KeyState.STANDBY)
    assert old.text != new.text
    (row,) = [key for key in shop.dkim.of(NAME).keys if key.selector == first]
    assert row.changed_at == clock.now() > row.created_at


def test_two_who_decide_at_once_turn_the_keys_once(shop: Directory, clock: ManualClock) -> None:
    before = shop.dkim.of(NAME)
    one, two, _ = before.keys
    swap = Turn(promote=(two.id,), retire=(one.id,))
    assert shop.dkim.apply(before, before.standing, swap, None)
    assert not shop.dkim.apply(before, before.standing, swap, None)
    assert states(shop)[KeyState.ACTIVE] == 1


def test_a_look_that_changes_nothing_for_mail_raises_no_revision(shop: Directory, clock: ManualClock) -> None:
    before, revision = shop.dkim.of(NAME), shop.revision()
    after = replace(before.standing, seen_at=clock.now())
    assert shop.dkim.apply(before, after, Turn(), clock.now() + 5)
    assert (shop.revision(), shop.dkim.of(NAME).standing) == (revision, after)
    assert shop.dkim.of(NAME).next_check_at == clock.now() + 5
    assert not shop.dkim.apply(before, before.standing, Turn(), clock.now() + 9)  # looked at since


def test_mail_is_signed_only_while_dkim_is_verified(shop: Directory) -> None:
    shop.identities.add("shop", f"joe@{NAME}", is_verified=True)
    assert len(selectors(shop)) == len(selectors(shop, f"joe@{NAME}")) == 1
    for state in (RecordState.PENDING, RecordState.WARNED, RecordState.FAILED):
        before = shop.dkim.of(NAME)
        assert shop.dkim.apply(before, Standing(state), Turn(), None)
        assert selectors(shop) == selectors(shop, f"joe@{NAME}") == []
    shop.identities.set_dkim(NAME, True)  # begins again
    assert shop.dkim.of(NAME).standing.state is RecordState.PENDING
    shop.identities.verify(NAME)
    assert len(selectors(shop)) == 1
    shop.identities.set_dkim(f"joe@{NAME}", False)
    assert (len(selectors(shop)), selectors(shop, f"joe@{NAME}")) == (1, [])


def test_an_owners_key_takes_over_when_it_is_seen_and_the_others_go(
    shop: Directory, clock: ManualClock
) -> None:
    signing = selectors(shop)
    pem = keys.generate(keys.RSA, 1024)
    dkim = shop.dkim.import_key("Example.ORG", "Mine2026", pem)
    assert dkim.identity.key_origin is KeyOrigin.OWNER
    assert selectors(shop) == signing  # no gap: these sign on until the new record is there
    assert shop.dkim.claim_due(9, 900) == (dkim.identity.id,)  # and it is looked for now
    assert turned(shop, clock)
    assert selectors(shop) == ["mine2026"]
    assert states(shop) == {KeyState.ACTIVE: 1, KeyState.RETIRED: 1}
    clock.advance(Pace().retired_for_s)
    assert turned(shop, clock)
    assert [key.selector for key in shop.dkim.of(NAME).keys] == ["mine2026"]

    shop.dkim.make_keys(NAME, algorithms=keys.ALGORITHMS, bits=1024)  # and back
    assert selectors(shop) == ["mine2026"]
    assert turned(shop, clock)
    assert len(selectors(shop)) == 2
    assert shop.dkim.of(NAME).identity.key_origin is KeyOrigin.RELAY


def test_new_keys_of_a_domain_that_is_not_verified_are_all_it_has(shop: Directory) -> None:
    shop.identities.add("shop", "new.example", algorithms=[keys.ED25519])
    dkim = shop.dkim.import_key("new.example", "mine", keys.generate(keys.ED25519))
    assert dkim.standing.state is RecordState.PENDING
    assert next((key.selector, key.state) for key in dkim.keys) == ("mine", KeyState.ACTIVE)


def test_an_administrators_word_makes_new_keys_sign_at_once(shop: Directory) -> None:
    (old,) = selectors(shop)
    shop.dkim.make_keys(NAME, algorithms=[keys.ED25519], is_verified=True)
    (new,) = selectors(shop)
    assert new != old
    assert states(shop) == {KeyState.ACTIVE: 1, KeyState.STANDBY: 2, KeyState.RETIRED: 1}


def test_what_cannot_be_imported_says_why(shop: Directory) -> None:
    good = keys.generate(keys.ED25519)
    shop.identities.add("shop", f"a@{NAME}")
    taken = selectors(shop)[0]
    cases = [
        ("sel ector", good, NAME, "use letters, digits"),
        ("a" * 64, good, NAME, "use letters, digits"),
        ("s", b"nonsense", NAME, "unencrypted PEM"),
        (taken, good, NAME, "under another selector"),
        ("s", good, f"a@{NAME}", r"signed for by example\.org"),
        ("s", good, "none.example", "`relay identity add`"),
    ]
    before = shop.dkim.of(NAME)
    for selector, pem, name, remedy in cases:
        with pytest.raises(DirectoryError, match=remedy):
            shop.dkim.import_key(name, selector, pem)
    assert shop.dkim.of(NAME) == before
    assert shop.dkim.read(999) is None


def test_records_that_are_found_let_the_proof_of_the_domain_be_looked_at(
    shop: Directory, clock: ManualClock
) -> None:
    shop.identities.add("shop", "new.example", algorithms=[keys.ED25519])
    clock.advance(DAY)
    assert len(shop.life.due(9)) == 1
    before = shop.dkim.of("new.example")
    assert shop.dkim.apply(before, Standing(RecordState.VERIFIED, clock.now()), Turn(), None)
    assert [one.dkim_state for one in shop.life.due(9)] == [RecordState.VERIFIED]


def test_switching_on_what_is_awaited_looks_at_once(shop: Directory) -> None:
    shop.identities.add("shop", "new.example", algorithms=[keys.ED25519])
    assert shop.dkim.claim_due(9, 900) == ()
    shop.identities.set_dkim("new.example", True)
    assert shop.dkim.claim_due(9, 900) == (shop.dkim.of("new.example").identity.id,)
