"""Identities: domains come with keys, addresses without; names are found in any case."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from relay.base.errors import DirectoryError
from relay.directory import identities, keys
from relay.directory.models import IdentityTable
from relay.directory.records import IdentityKind, IdentityState
from relay.directory.store import Directory


@pytest.fixture
def shop(directory: Directory) -> Directory:
    directory.accounts.create("shop")
    return directory


def test_a_domain_gets_three_rsa_keys_of_which_one_signs_and_waits_for_its_verification(
    shop: Directory,
) -> None:
    held = shop.identities.add("shop", "Example.ORG")
    assert held.account == "shop"
    assert (held.identity.name, held.identity.kind) == ("example.org", IdentityKind.DOMAIN)
    assert held.identity.state is IdentityState.PENDING
    three = shop.identities.signing_keys("EXAMPLE.org")
    assert len({key.selector for key in three}) == 3
    assert {(key.domain, key.algorithm) for key in three} == {("example.org", keys.RSA)}
    assert {key.private.key_size for key in three} == {2048}

    assert shop.read().identities == ()
    assert shop.identities.verify("example.org").identity.state is IdentityState.VERIFIED
    assert [row.name for row in shop.read().identities] == ["example.org"]
    assert len(shop.read().keys) == 1


def test_ed25519_is_added_where_asked_and_selectors_differ(shop: Directory) -> None:
    shop.identities.add("shop", "example.org", algorithms=keys.ALGORITHMS)
    six = shop.identities.signing_keys("example.org")
    assert [key.algorithm for key in six[:2]] == list(keys.ALGORITHMS)  # those that sign come first
    assert len({key.selector for key in six}) == 6


def test_an_address_has_no_keys_and_says_whose_sign(shop: Directory) -> None:
    shop.identities.add("shop", "Joe@example.org", is_verified=True)
    assert shop.read().keys == ()
    with pytest.raises(DirectoryError, match=r"signed for by example\.org"):
        shop.identities.signing_keys("Joe@example.org")


def test_private_keys_are_sealed_at_rest(shop: Directory, tmp_path: Path) -> None:
    shop.identities.add("shop", "example.org")
    shop.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("directory.db*"))
    assert b"PRIVATE KEY" not in stored


def test_the_same_domain_in_two_accounts_has_two_keys(shop: Directory) -> None:
    shop.accounts.create("blog")
    for account in ("shop", "blog"):
        shop.identities.add(account, "example.org")
    with pytest.raises(DirectoryError, match=r"several accounts \(blog, shop\): name one with --account"):
        shop.identities.verify("example.org")
    ours, theirs = (shop.identities.signing_keys("example.org", name)[0] for name in ("shop", "blog"))
    assert ours.selector != theirs.selector
    shop.identities.remove("example.org", "blog")
    assert [held.account for held in shop.identities.list()] == ["shop"]
    assert [held.account for held in shop.identities.list("blog")] == []


def test_dkim_is_switched_per_identity(shop: Directory) -> None:
    shop.identities.add("shop", "example.org", is_verified=True)
    assert not shop.identities.set_dkim("example.org", False).identity.is_dkim_on
    assert not shop.read().identities[0].is_dkim_on


def test_what_cannot_be_done_says_what_can(shop: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.identities.add("shop", "a@example.org")
    monkeypatch.setattr(identities, "LIMIT", 1)
    cases = [
        (lambda: shop.identities.add("shop", "a@EXAMPLE.org"), "`relay identity list shop`"),
        (lambda: shop.identities.add("shop", "b@example.org"), "has 1 identities"),
        (lambda: shop.identities.add("blog", "b@example.org"), "`relay account create blog`"),
        (lambda: shop.identities.add("shop", "example.org", algorithms=["md5"]), "use rsa-sha256"),
        (lambda: shop.identities.add("shop", "example.org", bits=512), "use 2048"),
        (lambda: shop.identities.verify("b@example.org"), "`relay identity add`"),
        (lambda: shop.identities.verify("a@example.org", "blog"), "no account 'blog'"),
        (lambda: shop.identities.remove("nonsense"), r"give example\.org"),
    ]
    for call, remedy in cases:
        with pytest.raises(DirectoryError, match=remedy):
            call()


def test_an_account_has_ten_thousand_and_no_more(shop: Directory) -> None:
    shop.identities.add("shop", "first@example.org")
    with shop._database.writing() as session:
        row = session.scalars(select(IdentityTable)).one()
        columns = [column.name for column in IdentityTable.__table__.c if column.name not in ("id", "name")]
        like_it = {name: getattr(row, name) for name in columns}
        session.execute(
            insert(IdentityTable), [{**like_it, "name": f"a{n}@example.org"} for n in range(9_998)]
        )
    shop.identities.add("shop", "last@example.org")
    with pytest.raises(DirectoryError, match="has 10000 identities, which is all it may have"):
        shop.identities.add("shop", "one-more@example.org")
    shop.identities.remove("a5@example.org")
    shop.identities.add("shop", "one-more@example.org")
    assert len(shop.identities.list("shop")) == 10_000


def test_a_key_moved_to_another_domain_does_not_open(shop: Directory) -> None:
    shop.identities.add("shop", "example.org", is_verified=True)
    (sealed,) = shop.read().keys
    moved = identities.SealedKey(
        sealed.id, sealed.identity_id, "evil.example", sealed.selector, sealed.algorithm, sealed.private
    )
    assert identities.open_key(shop.vault(), sealed).domain == "example.org"
    with pytest.raises(DirectoryError, match="does not open"):
        identities.open_key(shop.vault(), moved)
