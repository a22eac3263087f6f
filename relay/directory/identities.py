"""Identities and their DKIM keys: add, verify, list, remove, and the records to publish.

A domain gets its keys when it is added, before it is verified, so that its owner publishes all at once. An
address has no keys of its own: the covering domain's sign for it. ``verify`` is the administrator's word
that the account owns the identity. Two accounts may hold the same name; each has its own keys and selectors.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import keys
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.models import AccountTable, DkimKeyTable, IdentityTable
from relay.directory.records import (
    IdentityKind,
    IdentityRow,
    IdentityState,
    KeyOrigin,
    KeyState,
    OnMailFromFailure,
    RecordState,
    SealedKey,
    identity_name,
    kind_of,
)
from relay.directory.secrets import KeyFile, Vault

LIMIT = 10_000
_SELECTOR_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Held:
    """An identity, with the name of the account that holds it."""

    identity: IdentityRow
    account: str


class Identities:
    """The identities of a directory."""

    def __init__(self, database: Database, key_file: KeyFile, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._clock = clock

    def add(
        self,
        account: str,
        name: str,
        *,
        algorithms: Sequence[str] = (keys.RSA,),
        bits: int = 2048,
        is_verified: bool = False,
    ) -> Held:
        """A new identity, pending unless ``is_verified``; a domain gets one key of each algorithm.

        Raises DirectoryError if the account has it already, has 10,000, or the name is no domain or address.
        """
        name = identity_name(name)
        kind = kind_of(name)
        # Made before the transaction: a key takes long enough to keep other writers waiting.
        pems = [] if kind is IdentityKind.ADDRESS else [(a, keys.generate(a, bits)) for a in algorithms]
        vault = self._key_file.vault() if pems else None
        now = self._clock.now()
        with self._database.writing() as session:
            owner = find_account(session, account)
            held = set(
                session.scalars(select(IdentityTable.name).where(IdentityTable.account_id == owner.id))
            )
            if name in held:
                raise DirectoryError(
                    f"account {account!r} has {name} already: see `relay identity list {account}`"
                )
            if len(held) >= LIMIT:
                raise DirectoryError(f"account {account!r} has {LIMIT} identities, which is all it may have")
            row = IdentityTable(
                account_id=owner.id,
                name=name,
                kind=kind,
                state=IdentityState.VERIFIED if is_verified else IdentityState.PENDING,
                is_dkim_on=True,
                created_at=now,
                verified_at=now if is_verified else None,
                token="" if is_verified else new_token(),
                pending_since=now if kind is IdentityKind.DOMAIN and not is_verified else None,
                next_check_at=None if is_verified else now,
                key_origin=KeyOrigin.RELAY,
                dkim_state=RecordState.VERIFIED if is_verified else RecordState.PENDING,
                mail_from="",
                mail_from_state=RecordState.NONE,
                mail_from_on_failure=OnMailFromFailure.USE_DEFAULT,
            )
            session.add(row)
            session.flush()
            for algorithm, pem in pems:
                assert vault is not None
                session.add(_key_row(vault, row, algorithm, pem, now))
            return Held(identity_of(row), account)

    def verify(self, name: str, account: str | None = None) -> Held:
        """Mark an identity verified, on the administrator's word; its records are not looked at any more."""
        with self._database.writing() as session:
            row, owner = find_identity(session, name, account)
            row.state = IdentityState.VERIFIED
            row.verified_at = self._clock.now()
            row.token = ""
            row.pending_since = row.missing_since = row.next_check_at = None
            session.flush()
            return Held(identity_of(row), owner)

    def set_dkim(self, name: str, is_on: bool, account: str | None = None) -> Held:
        """Switch DKIM on or off for mail whose most granular verified identity this is."""
        with self._database.writing() as session:
            row, owner = find_identity(session, name, account)
            row.is_dkim_on = is_on
            session.flush()
            return Held(identity_of(row), owner)

    def list(self, account: str | None = None) -> tuple[Held, ...]:
        """Identities by account and name; all, or those of one account."""
        rows = (
            select(IdentityTable, AccountTable.name)
            .join(AccountTable, AccountTable.id == IdentityTable.account_id)
            .order_by(AccountTable.name, IdentityTable.name)
        )
        with self._database.reading() as session:
            if account is not None:
                rows = rows.where(IdentityTable.account_id == find_account(session, account).id)
            return tuple(Held(identity_of(row), owner) for row, owner in session.execute(rows))

    def remove(self, name: str, account: str | None = None) -> None:
        """Remove an identity with its keys; mail that is already spooled keeps its signature."""
        with self._database.writing() as session:
            row, _ = find_identity(session, name, account)
            session.delete(row)

    def signing_keys(self, name: str, account: str | None = None) -> tuple[keys.SigningKey, ...]:
        """The keys of a domain identity, opened. Raises DirectoryError for an address: it has none."""
        with self._database.reading() as session:
            row, _ = find_identity(session, name, account)
            if row.kind == IdentityKind.ADDRESS:
                domain = row.name.rpartition("@")[2]
                raise DirectoryError(
                    f"{row.name} has no records: an address is signed for by {domain}, ask for that"
                )
            sealed = [
                key_of(key)
                for key in session.scalars(
                    select(DkimKeyTable).where(DkimKeyTable.identity_id == row.id).order_by(DkimKeyTable.id)
                )
            ]
        vault = self._key_file.vault()
        return tuple(open_key(vault, key) for key in sealed)


def new_token() -> str:
    """A fresh proof of ownership: 160 random bits, in letters that survive a provider that changes case."""
    return "".join(random.choice(_SELECTOR_ALPHABET) for _ in range(32))


def open_key(vault: Vault, sealed: SealedKey) -> keys.SigningKey:
    """The key of a row. Raises DirectoryError if it does not open."""
    pem = vault.unseal(f"{sealed.selector}._domainkey.{sealed.domain}", sealed.private)
    return keys.load(pem, sealed.domain, sealed.selector, sealed.algorithm, is_proven=True)


def identity_of(row: IdentityTable) -> IdentityRow:
    """The row as a word."""
    return IdentityRow(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        kind=IdentityKind(row.kind),
        state=IdentityState(row.state),
        is_dkim_on=row.is_dkim_on,
        key_origin=KeyOrigin(row.key_origin),
        dkim_state=RecordState(row.dkim_state),
        mail_from=row.mail_from,
        mail_from_state=RecordState(row.mail_from_state),
        mail_from_on_failure=OnMailFromFailure(row.mail_from_on_failure),
    )


def key_of(row: DkimKeyTable) -> SealedKey:
    """The row as a word, still sealed."""
    return SealedKey(row.id, row.identity_id, row.domain, row.selector, row.algorithm, row.private)


def _key_row(vault: Vault, identity: IdentityTable, algorithm: str, pem: bytes, now: float) -> DkimKeyTable:
    selector = "".join(random.choice(_SELECTOR_ALPHABET) for _ in range(16))
    return DkimKeyTable(
        identity_id=identity.id,
        domain=identity.name,
        selector=selector,
        algorithm=algorithm,
        private=vault.seal(f"{selector}._domainkey.{identity.name}", pem),
        state=KeyState.ACTIVE,
        created_at=now,
        changed_at=now,
    )


def find_identity(session: Session, name: str, account: str | None) -> tuple[IdentityTable, str]:
    """The row and its account's name. Raises DirectoryError if there is none, or more than one."""
    name = identity_name(name)
    query = (
        select(IdentityTable, AccountTable.name)
        .join(AccountTable, AccountTable.id == IdentityTable.account_id)
        .where(IdentityTable.name == name)
    )
    if account is not None:
        query = query.where(IdentityTable.account_id == find_account(session, account).id)
    found = session.execute(query).all()
    if not found:
        raise DirectoryError(
            f"no identity {name}: see `relay identity list`, or add it with `relay identity add`"
        )
    if len(found) > 1:
        owners = ", ".join(sorted(owner for _, owner in found))
        raise DirectoryError(f"{name} is held by several accounts ({owners}): name one with --account")
    row, owner = found[0]
    return row, owner
