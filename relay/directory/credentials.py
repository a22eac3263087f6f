"""Credentials: create, list, disable, enable, delete, and when each was last used.

An account has two active ones at most, so that one can be rotated while the other is in use; an inactive one
logs no one in, and may be made active again. The secret leaves here once, in the answer of ``create``;
afterwards only the snapshot opens it, to know the passwords.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import secrets
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.models import AccountTable, CredentialTable
from relay.directory.records import Credential, CredentialState

LIMIT = 2  # active ones


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What its owner must write down now: it is not shown again."""

    key_id: str
    account: str
    secret: str = field(repr=False)
    smtp_password: str = field(repr=False)

    @property
    def smtp_username(self) -> str:
        """The user name for SMTP is the key id."""
        return self.key_id


class Credentials:
    """The credentials of a directory."""

    def __init__(self, database: Database, key_file: secrets.KeyFile, region: str, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._region = region
        self._clock = clock

    def create(self, account: str) -> NewCredential:
        """A new credential of the account. Raises DirectoryError if it has two active ones."""
        vault = self._key_file.vault()
        key_id, secret = secrets.new_key_id(), secrets.new_secret()
        with self._database.writing() as session:
            owner = find_account(session, account)
            _check_room(session, owner)
            session.add(
                CredentialTable(
                    key_id=key_id,
                    account_id=owner.id,
                    secret=vault.seal(key_id, secret.encode()),
                    state=CredentialState.ACTIVE,
                    created_at=self._clock.now(),
                )
            )
        return NewCredential(key_id, account, secret, secrets.smtp_password(secret, self._region))

    def list(self, account: str | None = None) -> tuple[tuple[Credential, str], ...]:
        """Credentials with the names of their accounts, oldest first; all, or those of one account."""
        rows = (
            select(CredentialTable, AccountTable.name)
            .join(AccountTable, AccountTable.id == CredentialTable.account_id)
            .order_by(AccountTable.name, CredentialTable.created_at)
        )
        with self._database.reading() as session:
            if account is not None:
                rows = rows.where(CredentialTable.account_id == find_account(session, account).id)
            return tuple((_credential_of(row), name) for row, name in session.execute(rows))

    def disable(self, key_id: str) -> Credential:
        """Nobody logs in with it from the next poll on, and open sessions that did send no more."""
        return self._set_state(key_id, CredentialState.INACTIVE)

    def enable(self, key_id: str) -> Credential:
        """Logins with it work again. Raises DirectoryError if its account has two active ones."""
        return self._set_state(key_id, CredentialState.ACTIVE)

    def mark_used(self, uses: Mapping[str, float]) -> None:
        """Note when credentials were last used, by key id; later notes stay, unknown ids are passed over.

        The revision stays as it is: no worker has to read the directory anew for this. Raises DirectoryError
        if the database cannot be written within a second.
        """
        if not uses:
            return
        table = CredentialTable.__table__.c
        statement = (
            update(CredentialTable.__table__)  # type: ignore[arg-type]  # a Table, typed as FromClause
            .where(table.key_id == bindparam("used_key"))
            .where(or_(table.last_used_at.is_(None), table.last_used_at < bindparam("used_at")))
            .values(last_used_at=bindparam("used_at"))
        )
        with self._database.noting() as session:
            session.connection().execute(
                statement, [{"used_key": key_id, "used_at": at} for key_id, at in sorted(uses.items())]
            )

    def _set_state(self, key_id: str, state: CredentialState) -> Credential:
        with self._database.writing() as session:
            row = _find(session, key_id)
            if state is CredentialState.ACTIVE and row.state != state:
                owner = session.get_one(AccountTable, row.account_id)
                _check_room(session, owner)
            row.state = state
            session.flush()
            return _credential_of(row)

    def delete(self, key_id: str) -> None:
        """Remove a credential; logins with it fail from the next poll on."""
        with self._database.writing() as session:
            session.delete(_find(session, key_id))


def _find(session: Session, key_id: str) -> CredentialTable:
    row = session.get(CredentialTable, key_id)
    if row is None:
        raise DirectoryError(f"no credential {key_id!r}: see `relay credential list`")
    return row


def _check_room(session: Session, owner: AccountTable) -> None:
    """Raise DirectoryError if no further credential of the account may be active."""
    active = select(func.count()).where(
        CredentialTable.account_id == owner.id, CredentialTable.state == CredentialState.ACTIVE
    )
    if (session.scalar(active) or 0) >= LIMIT:
        raise DirectoryError(
            f"account {owner.name!r} has {LIMIT} active credentials already: "
            f"disable or delete one that is no longer used, see `relay credential list {owner.name}`"
        )


def _credential_of(row: CredentialTable) -> Credential:
    state = CredentialState(row.state)
    return Credential(row.key_id, row.account_id, row.created_at, state, row.last_used_at)
