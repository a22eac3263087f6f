"""The directory as a whole, on each database: what was done is what is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.directory.dkim_life import Standing
from relay.directory.dkim_rotation import Turn
from relay.directory.records import AccountState, RecordState
from relay.directory.snapshot import KeyRing, Snapshot
from relay.directory.store import Directory
from tests.fakes.clock import ManualClock


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, key_file: Path, clock: ManualClock
) -> Iterator[Directory]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'd.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    directory = Directory(url, key_file, "us-east-1", clock)
    directory.migrate()
    for account in directory.accounts.list():  # of tests before, on the same server
        directory.accounts.delete(account.name)
    yield directory
    directory.close()


def test_what_was_done_is_what_is_read(anywhere: Directory, clock: ManualClock) -> None:
    anywhere.migrate()
    before = anywhere.revision()
    shop = anywhere.accounts.create("shop", "owner@example.org")
    new = anywhere.credentials.create("shop")
    anywhere.identities.add("shop", "example.org", algorithms=["ed25519-sha256"], is_verified=True)
    anywhere.identities.add("shop", "pending.example")
    anywhere.accounts.pause("shop", "holiday")
    assert anywhere.revision() == before + 5
    anywhere.credentials.mark_used({new.key_id: 100.0})
    assert [one.last_used_at for one, _ in anywhere.credentials.list()] == [100.0]

    contents = anywhere.read()
    assert contents.revision == before + 5
    (account,) = contents.accounts
    assert (account.id, account.state, account.reason) == (shop.id, AccountState.PAUSED, "holiday")
    assert account.created_at == clock.now()
    snapshot = Snapshot(contents, KeyRing(anywhere.vault(), anywhere.region))
    login = snapshot.authenticate(new.smtp_username, new.smtp_password)
    assert login is not None
    assert login.account_id == shop.id
    identity = snapshot.identity_for(shop.id, "a@mail.example.org")
    assert identity is not None
    assert [key.domain for key in identity.keys] == ["example.org"]
    assert snapshot.identity_for(shop.id, "a@pending.example") is None


def test_a_failed_operation_leaves_nothing(anywhere: Directory) -> None:
    anywhere.accounts.create("shop")
    before = anywhere.read()
    for call in (
        lambda: anywhere.accounts.create("shop"),
        lambda: anywhere.credentials.create("blog"),
        lambda: anywhere.identities.remove("example.org"),
    ):
        with pytest.raises(DirectoryError):
            call()
    assert anywhere.read() == before


def test_the_key_file_is_not_needed_where_no_secret_is(tmp_path: Path) -> None:
    directory = Directory(f"sqlite:///{tmp_path / 'd.db'}", tmp_path / "none", "us-east-1")
    directory.migrate()
    directory.accounts.create("shop")
    directory.identities.add("shop", "a@example.org")
    assert len(directory.accounts.list()) == 1
    with pytest.raises(DirectoryError, match="no key file"):
        directory.vault()
    assert str(directory).endswith("d.db")
    directory.close()


def test_dkim_keys_are_claimed_and_turned(anywhere: Directory, clock: ManualClock) -> None:
    anywhere.accounts.create("shop")
    anywhere.identities.add("shop", "example.org", algorithms=["ed25519-sha256"])
    clock.advance(3600)
    (number,) = anywhere.dkim.claim_due(9, 60)
    assert anywhere.dkim.claim_due(9, 60) == ()
    before = anywhere.dkim.of("example.org")
    assert before.identity.id == number
    one, two, _ = before.keys
    turn = Turn(promote=(two.id,), retire=(one.id,))
    seen = Standing(RecordState.VERIFIED, clock.now())
    assert anywhere.dkim.apply(before, seen, turn, clock.now() + 9)
    assert not anywhere.dkim.apply(before, seen, turn, clock.now() + 9)
    after = anywhere.dkim.of("example.org")
    assert (after.keys[0].id, after.standing) == (two.id, seen)
    revision = anywhere.revision()
    assert anywhere.dkim.apply(after, Standing(RecordState.VERIFIED, clock.now() + 1), Turn(), None)
    assert anywhere.revision() == revision
