"""Credentials: create, list, delete.

An account holds two at most, so that one can be rotated while the other is in use. The secret leaves here
once, in the answer of ``create``; afterwards only the snapshot opens it, to know the passwords.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import func, select

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import secrets
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.models import AccountTable, CredentialTable
from relay.directory.records import Credential, CredentialState

LIMIT = 2


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
        """A new credential of the account. Raises DirectoryError if it has two already."""
        vault = self._key_file.vault()
        key_id, secret = secrets.new_key_id(), secrets.new_secret()
        with self._database.writing() as session:
            owner = find_account(session, account)
            held = select(func.count()).where(CredentialTable.account_id == owner.id)
            if session.scalar(held) == LIMIT:
                raise DirectoryError(
                    f"account {account!r} has {LIMIT} credentials already: "
                    f"delete one that is no longer used, see `relay credential list {account}`"
                )
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
            return tuple(
                (
                    Credential(
                        row.key_id,
                        row.account_id,
                        row.created_at,
                        CredentialState(row.state),
                        row.last_used_at,
                    ),
                    name,
                )
                for row, name in session.execute(rows)
            )

    def delete(self, key_id: str) -> None:
        """Remove a credential; logins with it fail from the next poll on."""
        with self._database.writing() as session:
            row = session.get(CredentialTable, key_id)
            if row is None:
                raise DirectoryError(f"no credential {key_id!r}: see `relay credential list`")
            session.delete(row)
