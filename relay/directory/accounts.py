"""Accounts: create, list, show, set, pause, resume, delete.

Limits are in recipients: a second, and in any 24 hours; ``UNLIMITED`` is none. An account starts with those
of its access, and as long as they are, they follow it: with production access it gets those of production.
Limits that someone has chosen stay what they are.

A deleted account takes its credentials, identities and keys with it; mail of its that is already spooled is
still delivered, as it was promised. Account 0 is the relay itself and has no row.
"""

from __future__ import annotations

import re

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from relay.base.address import check_address
from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.base.suppression import SuppressionReason, reasons_text
from relay.directory.database import Database
from relay.directory.models import AccountTable, SuppressionTable
from relay.directory.records import Access, Account, AccountState, OverQuota

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
UNLIMITED = -1
_MOST = 2**31 - 1  # what the column of a quota holds on every database

STARTING_LIMITS = {Access.SANDBOX: (1.0, 200), Access.PRODUCTION: (5.0, 10_000)}
"""Recipients a second and in 24 hours, as SES starts an account with either access."""


class Accounts:
    """The accounts of a directory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        name: str,
        contact: str = "",
        *,
        access: Access = Access.PRODUCTION,
        max_send_rate: float | None = None,
        max_24_hours: int | None = None,
        over_quota: OverQuota = OverQuota.REJECT,
        source: str = "",
    ) -> Account:
        """A new account. ``contact`` is the address that hears of bounces and revocations. Limits are in
        recipients, -1 is none; those that are not given are where SES starts with that access.

        Raises DirectoryError if the name is taken or not of letters, digits, dot, dash and underscore, the
        contact is no address, or a limit no limit.
        """
        start_rate, start_quota = STARTING_LIMITS[access]
        if not _NAME.fullmatch(name):
            raise DirectoryError(
                f"{name!r} cannot name an account: use up to 64 letters, digits, dots, dashes, underscores"
            )
        _check_contact(contact)
        _check_limits(max_send_rate, max_24_hours)
        _check_source(source)
        with self._database.writing() as session:
            if session.scalar(select(AccountTable.id).where(AccountTable.name == name)) is not None:
                raise DirectoryError(f"there is an account {name!r} already: choose another name")
            row = AccountTable(
                name=name,
                contact=contact,
                state=AccountState.ACTIVE,
                reason="",
                access=access,
                max_send_rate=start_rate if max_send_rate is None else max_send_rate,
                max_24_hours=start_quota if max_24_hours is None else max_24_hours,
                over_quota=over_quota,
                source=source,
                created_at=self._clock.now(),
            )
            session.add(row)
            session.flush()
            return account_of(row)

    def list(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        with self._database.reading() as session:
            return tuple(map(account_of, session.scalars(select(AccountTable).order_by(AccountTable.name))))

    def show(self, name: str) -> Account:
        """One account. Raises DirectoryError if there is none of that name."""
        with self._database.reading() as session:
            return account_of(find_account(session, name))

    def set(
        self,
        name: str,
        *,
        contact: str | None = None,
        access: Access | None = None,
        max_send_rate: float | None = None,
        max_24_hours: int | None = None,
        over_quota: OverQuota | None = None,
        source: str | None = None,
        suppressed_reasons: frozenset[SuppressionReason] | None = None,
    ) -> Account:
        """Change what is given; None leaves it. A limit that is still the one that accounts start with
        follows the access; one that was chosen does not. Raises DirectoryError as ``create`` does.
        """
        if contact is not None:
            _check_contact(contact)
        _check_limits(max_send_rate, max_24_hours)
        _check_source(source or "")
        with self._database.writing() as session:
            row = find_account(session, name)
            if access is not None:
                old_rate, old_quota = STARTING_LIMITS[Access(row.access)]
                start_rate, start_quota = STARTING_LIMITS[access]
                if row.max_send_rate == old_rate:
                    row.max_send_rate = start_rate
                if row.max_24_hours == old_quota:
                    row.max_24_hours = start_quota
                row.access = access
            if contact is not None:
                row.contact = contact
            if max_send_rate is not None:
                row.max_send_rate = max_send_rate
            if max_24_hours is not None:
                row.max_24_hours = max_24_hours
            if over_quota is not None:
                row.over_quota = over_quota
            if source is not None:
                row.source = source
            if suppressed_reasons is not None:
                row.suppressed_reasons = reasons_text(suppressed_reasons)
            session.flush()
            return account_of(row)

    def pause(self, name: str, reason: str = "") -> Account:
        """Suspend sending; what is queued is still delivered."""
        return self._set_state(name, AccountState.PAUSED, reason)

    def resume(self, name: str) -> Account:
        """Let a paused account send again."""
        return self._set_state(name, AccountState.ACTIVE, "")

    def delete(self, name: str) -> None:
        """Remove the account with all that it owns."""
        with self._database.writing() as session:
            row = find_account(session, name)
            session.execute(delete(SuppressionTable).where(SuppressionTable.account_id == row.id))
            session.delete(row)

    def _set_state(self, name: str, state: AccountState, reason: str) -> Account:
        with self._database.writing() as session:
            row = find_account(session, name)
            row.state = state
            row.reason = reason
            session.flush()
            return account_of(row)


def _check_contact(contact: str) -> None:
    if not contact:
        return
    try:
        check_address(contact)
    except ValueError as error:
        raise DirectoryError(
            f"{contact!r} is not an address ({error}): give a contact such as postmaster@example.org"
        ) from None


def _check_source(source: str) -> None:
    """Whether the configuration has it only a relay can tell, which may run elsewhere."""
    if source and not _NAME.fullmatch(source):
        raise DirectoryError(
            f"{source!r} cannot name a source: give the name of a [[source]] or [[source_pool]], or none"
        )


def _check_limits(max_send_rate: float | None, max_24_hours: int | None) -> None:
    """Raise DirectoryError for what limits nothing or everything."""
    if max_send_rate not in (None, UNLIMITED) and not 0 < max_send_rate <= _MOST:  # nor NaN
        raise DirectoryError(
            f"a send rate of {max_send_rate:g} is none: give recipients a second, above zero, "
            f"or unlimited; `relay account pause` stops an account"
        )
    if max_24_hours is not None and max_24_hours != UNLIMITED and not 0 < max_24_hours <= _MOST:
        raise DirectoryError(
            f"a quota of {max_24_hours} is none: give recipients in 24 hours, 1 to {_MOST}, or unlimited; "
            f"`relay account pause` stops an account"
        )


def find_account(session: Session, name: str) -> AccountTable:
    """The row of an account. Raises DirectoryError if there is none of that name."""
    row = session.scalar(select(AccountTable).where(AccountTable.name == name))
    if row is None:
        raise DirectoryError(
            f"no account {name!r}: see `relay account list`, or `relay account create {name}`"
        )
    return row


def account_of(row: AccountTable) -> Account:
    """The row as a word."""
    return Account(
        id=row.id,
        name=row.name,
        contact=row.contact,
        state=AccountState(row.state),
        reason=row.reason,
        access=Access(row.access),
        created_at=row.created_at,
        max_send_rate=row.max_send_rate,
        max_24_hours=row.max_24_hours,
        over_quota=OverQuota(row.over_quota),
        source=row.source,
        suppressed_reasons=row.suppressed_reasons,
    )
