"""Identities and their DKIM keys: add, verify, list, remove, and the records to publish.

A domain gets its keys when it is added, before it is verified, so that its owner publishes all at once. An
address has no keys of its own: the covering domain's sign for it. ``verify`` is the administrator's word
that the account owns the identity, and that its DKIM records are or will be there: its keys sign at once.
Two accounts may hold the same name; each has its own keys and selectors.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import key_rows, keys
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.key_rows import open_key
from relay.directory.models import AccountTable, DkimKeyTable, IdentityTable
from relay.directory.records import (
    IdentityKind,
    IdentityRow,
    IdentityState,
    KeyOrigin,
    OnMailFromFailure,
    RecordState,
    SealedKey,
    identity_name,
    kind_of,
)
from relay.directory.secrets import KeyFile

LIMIT = 10_000
_TOKEN_ALPHABET = key_rows.SELECTOR_ALPHABET
# Records that an administrator vouches for are first looked for when they may have been published.
_FIRST_LOOK_S = 86400.0


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
        """A new identity, pending unless ``is_verified``; a domain gets three keys of each algorithm.

        Raises DirectoryError if the account has it already, has 10,000, or the name is no domain or address.
        """
        name = identity_name(name)
        kind = kind_of(name)
        # Made before the transaction: a key takes long enough to keep other writers waiting.
        made = [] if kind is IdentityKind.ADDRESS else key_rows.make_tokens(algorithms, bits)
        vault = self._key_file.vault() if made else None
        dkim_state = RecordState.VERIFIED if is_verified else RecordState.PENDING
        now = self._clock.now()
        with self._database.writing() as session:
            owner = find_account(session, account)
            held = set(
                session.scalars(select(IdentityTable.name).where(IdentityTable.account_id == owner.id))
            )
            if name in held:
                raise DirectoryError(
                    f"account {account!r} has {name} already: see `relay identity list {account}`, or begin "
                    f"its verification anew with `relay identity verify --again {name}`"
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
                dkim_state=dkim_state if made else RecordState.NONE,
                dkim_pending_since=None if is_verified or not made else now,
                dkim_next_check_at=(now + _FIRST_LOOK_S if is_verified else now + 60) if made else None,
                mail_from="",
                mail_from_state=RecordState.NONE,
                mail_from_on_failure=OnMailFromFailure.USE_DEFAULT,
                is_forwarding=True,
            )
            session.add(row)
            session.flush()
            if vault is not None:
                key_rows.store(session, vault, row, made, now)
            return Held(identity_of(row), account)

    def verify(self, name: str, account: str | None = None) -> Held:
        """Mark an identity verified, on the administrator's word; its records are not looked at any more."""
        with self._database.writing() as session:
            row, owner = find_identity(session, name, account)
            row.state = IdentityState.VERIFIED
            row.verified_at = self._clock.now()
            row.token = ""
            row.pending_since = row.missing_since = row.next_check_at = None
            if row.dkim_state == RecordState.PENDING:
                row.dkim_state, row.dkim_pending_since = RecordState.VERIFIED, None
                row.dkim_next_check_at = self._clock.now() + _FIRST_LOOK_S
            session.flush()
            return Held(identity_of(row), owner)

    def set_dkim(self, name: str, is_on: bool, account: str | None = None) -> Held:
        """Switch DKIM on or off for mail whose most granular verified identity this is."""
        with self._database.writing() as session:
            row, owner = find_identity(session, name, account)
            row.is_dkim_on = is_on
            now = self._clock.now()
            if is_on and row.dkim_state == RecordState.FAILED:  # the records are looked for again
                row.dkim_state, row.dkim_seen_at, row.dkim_missing_since = RecordState.PENDING, None, None
                row.dkim_pending_since = now
            if is_on and row.dkim_state != RecordState.NONE:
                row.dkim_next_check_at = now  # whoever says so has just published something
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
        """The published keys of a domain, opened, those that sign first.

        Raises DirectoryError for an address: it has none.
        """
        with self._database.reading() as session:
            row, _ = find_identity(session, name, account)
            if row.kind == IdentityKind.ADDRESS:
                domain = row.name.rpartition("@")[2]
                raise DirectoryError(
                    f"{row.name} has no records: an address is signed for by {domain}, ask for that"
                )
            found = session.scalars(select(DkimKeyTable).where(DkimKeyTable.identity_id == row.id))
            sealed = key_rows.in_order([key_rows.row_of(key) for key in found])
        vault = self._key_file.vault()
        return tuple(open_key(vault, key) for key in sealed)


def new_token() -> str:
    """A fresh proof of ownership: 160 random bits, in letters that survive a provider that changes case."""
    return "".join(random.choice(_TOKEN_ALPHABET) for _ in range(32))


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
        is_forwarding=row.is_forwarding,
    )


def key_of(row: DkimKeyTable) -> SealedKey:
    """The row as a word, still sealed."""
    return SealedKey(row.id, row.identity_id, row.domain, row.selector, row.algorithm, row.private)


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
