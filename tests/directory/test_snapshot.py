"""The snapshot: who logs in, and which identity covers which address."""

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import DirectoryError
from relay.base.events import EventKind
from relay.directory import keys, secrets
from relay.directory.notifying import NEEDED, NotificationRow, Notifying
from relay.directory.records import (
    Account,
    Contents,
    Credential,
    IdentityRow,
    IdentityState,
    OnMailFromFailure,
    RecordState,
    SealedCredential,
    SealedKey,
    kind_of,
)
from relay.directory.secrets import Vault
from relay.directory.snapshot import KeyRing, Snapshot

VAULT = Vault(bytes(32))
PEM = keys.generate(keys.ED25519)
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY_ID = "RLAYAAAAAAAAAAAAAAAA"


def identity(number: int, name: str, *, is_verified: bool = True, is_dkim_on: bool = True) -> IdentityRow:
    state = IdentityState.VERIFIED if is_verified else IdentityState.PENDING
    return IdentityRow(number, 1, name, kind_of(name), state, is_dkim_on)


def key(number: int, identity: IdentityRow, selector: str = "s1") -> SealedKey:
    sealed = VAULT.seal(f"{selector}._domainkey.{identity.name}", PEM)
    return SealedKey(number, identity.id, identity.name, selector, keys.ED25519, sealed)


def snapshot_of(*rows: IdentityRow, ring: KeyRing | None = None, **contents: object) -> Snapshot:
    domains = [row for row in rows if "@" not in row.name]
    contents = {"keys": tuple(key(row.id, row) for row in domains), **contents}
    return Snapshot(
        Contents(revision=1, identities=rows, **contents),  # type: ignore[arg-type]
        ring or KeyRing(VAULT, "us-east-1"),
    )


HELD = (
    identity(1, "example.org"),
    identity(2, "mail.example.org"),
    identity(3, "Joe@example.org"),
    identity(4, "ann@mail.example.org"),
    identity(5, "andrew+recipient1@elsewhere.example"),
    identity(6, "only@elsewhere.example"),
    identity(7, "pending.example", is_verified=False),
    identity(8, "xn--bcher-kva.example"),
)


@pytest.mark.parametrize(
    ("address", "covered_by", "signed_by"),
    [
        ("a@example.org", "example.org", "example.org"),
        ("a@EXAMPLE.org", "example.org", "example.org"),
        ("a@b.c.example.org", "example.org", "example.org"),
        ("a@mail.example.org", "mail.example.org", "mail.example.org"),
        ("a@x.mail.example.org", "mail.example.org", "mail.example.org"),
        ("Joe@Example.Org", "Joe@example.org", "example.org"),
        ("Joe+news@example.org", "Joe@example.org", "example.org"),
        ("Joe+a+b@example.org", "Joe@example.org", "example.org"),
        ("joe@example.org", "example.org", "example.org"),
        ("ann@mail.example.org", "ann@mail.example.org", "mail.example.org"),
        ("only@elsewhere.example", "only@elsewhere.example", None),
        ("only+x@elsewhere.example", "only@elsewhere.example", None),
        ("Only@elsewhere.example", None, None),
        ("andrew+recipient1@elsewhere.example", "andrew+recipient1@elsewhere.example", None),
        ("andrew@elsewhere.example", None, None),
        ("andrew+recipient2@elsewhere.example", None, None),
        ("andrew+recipient1+recipient2@elsewhere.example", None, None),
        ("+only@elsewhere.example", None, None),
        ("a@pending.example", None, None),
        ("a@bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a@BÜCHER.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a@notexample.org", None, None),
        ("a@org", None, None),
        ('"a@example.org"@evil.example', None, None),
        ("a@example.org@evil.example", None, None),
        ("a@[192.0.2.1]", None, None),
        ("a@", None, None),
        ("@example.org", None, None),
        ("example.org", None, None),
        ("", None, None),
        ("a@☃\u200d", None, None),
    ],
)
def test_the_most_granular_verified_identity_covers(
    address: str, covered_by: str | None, signed_by: str | None
) -> None:
    snapshot = snapshot_of(*HELD)
    found = snapshot.identity_for(1, address)
    assert snapshot.covers(1, address) is (found is not None)
    assert (found.name if found else None) == covered_by
    assert [key.domain for key in found.keys] == ([signed_by] if signed_by else []) if found else True


def test_an_identity_serves_its_own_account_only() -> None:
    snapshot = snapshot_of(identity(1, "example.org"))
    assert snapshot.identity_for(2, "a@example.org") is None
    assert not snapshot.covers(2, "a@example.org")


def test_a_domain_without_keys_is_signed_for_by_its_parent() -> None:
    parent, child = identity(1, "example.org"), identity(2, "mail.example.org")
    found = snapshot_of(parent, child, keys=(key(1, parent),)).identity_for(1, "a@mail.example.org")
    assert found is not None
    assert (found.name, [k.domain for k in found.keys]) == ("mail.example.org", ["example.org"])


def test_each_identity_has_its_own_dkim_switch() -> None:
    snapshot = snapshot_of(
        identity(1, "off.example", is_dkim_on=False),
        identity(2, "on@off.example"),
        identity(3, "on.example"),
        identity(4, "off@on.example", is_dkim_on=False),
    )
    signed = {
        address: bool(snapshot.identity_for(1, address).keys)  # type: ignore[union-attr]
        for address in ("a@off.example", "on@off.example", "a@on.example", "off@on.example")
    }
    assert signed == {
        "a@off.example": False,
        "on@off.example": True,
        "a@on.example": True,
        "off@on.example": False,
    }


def test_keys_are_opened_when_first_used_and_kept_for_later_snapshots() -> None:
    ring = KeyRing(VAULT, "us-east-1")
    row = identity(1, "example.org")
    sealed = key(7, row)
    damaged = replace(key(8, identity(2, "damaged.example")), private=b"junk", identity_id=2)
    rows = (row, identity(2, "damaged.example"))
    first = snapshot_of(*rows, keys=(sealed, damaged), ring=ring)
    used = first.identity_for(1, "a@example.org")
    later = snapshot_of(*rows, keys=(sealed, damaged), ring=ring).identity_for(1, "a@example.org")
    assert used is not None
    assert later is not None
    assert later.keys[0] is used.keys[0]
    assert first.identity_for(1, "b@example.org") is used
    with pytest.raises(DirectoryError, match="does not open"):
        first.identity_for(1, "a@damaged.example")

    replaced = snapshot_of(row, keys=(key(7, row),), ring=ring).identity_for(1, "a@example.org")
    assert replaced is not None
    assert replaced.keys[0] is not used.keys[0]


def test_what_the_directory_dropped_is_forgotten() -> None:
    ring = KeyRing(VAULT, "us-east-1")
    snapshot_of(identity(1, "example.org"), ring=ring, credentials=(credential(),)).identity_for(
        1, "a@example.org"
    )
    assert (len(ring._keys), len(ring._digests)) == (1, 1)
    snapshot_of(ring=ring)
    assert (len(ring._keys), len(ring._digests)) == (0, 0)


def credential(key_id: str = KEY_ID, account_id: int = 1) -> SealedCredential:
    return SealedCredential(key_id, account_id, VAULT.seal(key_id, SECRET.encode()))


@pytest.mark.parametrize(
    ("username", "password", "is_let_in"),
    [
        (KEY_ID, secrets.smtp_password(SECRET, "us-east-1"), True),
        (KEY_ID, secrets.old_smtp_password(SECRET), True),
        (KEY_ID, secrets.smtp_password(SECRET, "eu-west-1"), False),
        (KEY_ID, SECRET, False),
        (KEY_ID, "", False),
        (KEY_ID, "\udcff", False),
        (KEY_ID, "pässword", False),
        (KEY_ID.lower(), secrets.smtp_password(SECRET, "us-east-1"), False),
        ("RLAYBBBBBBBBBBBBBBBB", secrets.smtp_password(SECRET, "us-east-1"), False),
        ("", "", False),
    ],
)
def test_who_logs_in(username: str, password: str, is_let_in: bool) -> None:
    snapshot = snapshot_of(credentials=(credential(),))
    assert snapshot.authenticate(username, password) == (Credential(KEY_ID, 1) if is_let_in else None)


@given(st.text(), st.text())
def test_no_one_else_logs_in_and_nothing_raises(username: str, password: str) -> None:
    assert SNAPSHOT.authenticate(username, password) is None


@given(st.text())
def test_any_text_may_be_asked_for(address: str) -> None:
    found = SNAPSHOT.identity_for(1, address)
    assert found is None or address.rpartition("@")[0]


SNAPSHOT = snapshot_of(*HELD, credentials=(credential(),))


def test_a_damaged_credential_is_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing(VAULT, "us-east-1")
    damaged = replace(credential("RLAYBBBBBBBBBBBBBBBB"), secret=b"junk")
    for _ in range(2):
        snapshot = snapshot_of(credentials=(credential(), damaged), ring=ring)
        assert snapshot.authenticate(KEY_ID, secrets.old_smtp_password(SECRET)) is not None
    assert [record.message for record in caplog.records] == ["credential left out"]
    assert SECRET not in caplog.text


def test_another_key_file_is_found_out_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(DirectoryError, match="not the key file of this directory"):
        snapshot_of(credentials=(credential(),), ring=KeyRing(Vault(b"k" * 32), "us-east-1"))


def test_a_credential_is_had_while_one_may_log_in_with_it() -> None:
    assert SNAPSHOT.has_credential(KEY_ID)
    assert not SNAPSHOT.has_credential("RLAYBBBBBBBBBBBBBBBB")
    assert not SNAPSHOT.has_credential("")


def test_accounts_by_number_and_name() -> None:
    shop = Account(3, "shop")
    snapshot = snapshot_of(accounts=(shop,))
    assert snapshot.account(3) is shop
    assert snapshot.account(4) is None
    assert snapshot.account_named("shop") is shop
    assert snapshot.account_named("blog") is None


def test_a_mail_from_domain_holds_below_its_identity_until_a_nearer_one_has_its_own() -> None:
    asked = {"mail_from_state": RecordState.VERIFIED, "mail_from_on_failure": OnMailFromFailure.REJECT}
    rows = [
        replace(identity(1, "example.org"), mail_from="bounce.example.org", **asked),
        identity(2, "mail.example.org"),
        replace(identity(3, "own.example.org"), mail_from="b.own.example.org"),
        identity(4, "joe@mail.example.org"),
        identity(5, "joe@elsewhere.example"),
    ]
    snapshot = snapshot_of(*rows)
    found = {
        address: snapshot.identity_for(1, address).mail_from  # type: ignore[union-attr]
        for address in (
            "a@example.org",
            "a@mail.example.org",
            "joe@mail.example.org",
            "a@own.example.org",
            "joe@elsewhere.example",
        )
    }
    above = "bounce.example.org"
    assert list(found.values()) == [above, above, above, "b.own.example.org", ""]
    joe = snapshot.identity_for(1, "joe@mail.example.org")
    assert joe is not None
    assert (joe.mail_from_state, joe.mail_from_on_failure) == tuple(asked.values())


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("example.org", True),
        ("Example.ORG", True),
        ("Joe@example.org", True),
        ("Joe@EXAMPLE.org", True),
        ("joe@example.org", False),
        ("Joe+label@example.org", False),
        ("sub.example.org", False),
        ("pending.example", False),
        ("", False),
        ("@", False),
    ],
)
def test_an_identity_is_known_by_just_its_name(name: str, is_there: bool) -> None:
    snapshot = snapshot_of(*HELD)
    assert snapshot.has_identity(1, name) is is_there
    assert not snapshot.has_identity(2, name)


def test_an_identity_says_whether_its_headers_are_wanted_and_its_feedback_mailed() -> None:
    row = identity(1, "example.org")
    told = tuple(NotificationRow(1, row.name, kind, None, True) for kind in NEEDED)
    plain = snapshot_of(row)
    assert plain.is_forwarding(1, row.name)
    assert plain.notifying(1, row.name, EventKind.BOUNCE) is None
    found = plain.identity_for(1, "a@example.org")
    assert found is not None
    assert (found.is_forwarding, found.has_headers) == (True, False)
    asked = snapshot_of(row, notifications=told, unforwarded=frozenset({(1, row.name)}))
    assert asked.notifying(1, row.name, EventKind.BOUNCE) == Notifying(None, True)
    assert not asked.is_forwarding(1, row.name)
    found = asked.identity_for(1, "a@example.org")
    assert found is not None
    assert (found.is_forwarding, found.has_headers) == (False, True)
