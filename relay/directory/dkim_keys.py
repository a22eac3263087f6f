"""The DKIM of identities in the database: their keys and how their records stand.

``read`` gives all that a decision needs (``Dkim``), ``apply`` writes what was decided, in one transaction and
only if nothing has changed in between: so a snapshot always has one active key of each algorithm, and two who
decide at once (a watch, an administrator) cannot both turn the keys. ``claim_due`` hands an identity whose
check is due to one asker only.

Also here: another set of keys for an identity, made by the relay or brought by the owner. While its DKIM is
verified the old keys sign on until the records of the new ones are seen; else the new ones replace them at
once. Blocking, for threads and the CLI.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import key_rows, keys
from relay.directory.claims import claim
from relay.directory.database import Database
from relay.directory.dkim_life import Standing
from relay.directory.dkim_records import PublicKey
from relay.directory.dkim_rotation import KeyRow, Turn
from relay.directory.identities import find_identity, identity_of
from relay.directory.key_rows import NewKey
from relay.directory.models import DkimKeyTable, IdentityTable
from relay.directory.records import IdentityKind, IdentityRow, IdentityState, KeyOrigin, KeyState, RecordState
from relay.directory.secrets import KeyFile

_SELECTOR = re.compile(r"(?!.{64})[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Dkim:
    """The DKIM of a domain identity at one moment."""

    identity: IdentityRow
    standing: Standing
    keys: tuple[KeyRow, ...]
    public: tuple[PublicKey, ...]  # of the same keys, in their order
    next_check_at: float | None


class DkimKeys:
    """The DKIM part of a directory."""

    def __init__(self, database: Database, key_file: KeyFile, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._clock = clock

    def of(self, name: str, account: str | None = None) -> Dkim:
        """The DKIM of a domain. Raises DirectoryError for an address: it has none of its own."""
        with self._database.reading() as session:
            row, _ = find_identity(session, name, account)
            _check_domain(row)
            return self._dkim(session, row)

    def read(self, identity_id: int) -> Dkim | None:
        """The DKIM of the identity of this number; None if it is gone."""
        with self._database.reading() as session:
            row = session.get(IdentityTable, identity_id)
            return None if row is None else self._dkim(session, row)

    def published(self) -> tuple[PublicKey, ...]:
        """The public keys of all identities of all accounts; 0.2 ms a key."""
        with self._database.reading() as session:
            rows = [key_rows.row_of(row) for row in session.scalars(select(DkimKeyTable))]
        vault = self._key_file.vault()
        return tuple(key_rows.public_key(vault, row) for row in rows)

    def claim_due(self, limit: int, hold_s: float) -> tuple[int, ...]:
        """Identities whose check is due, each given to one asker; due again in ``hold_s`` unless applied."""
        now = self._clock.now()
        return claim(self._database, IdentityTable.dkim_next_check_at, now, now + hold_s, limit)

    def apply(self, before: Dkim, standing: Standing, turn: Turn, next_check_at: float | None) -> bool:
        """Write what was decided about ``before``; False, and nothing is written, if that holds no more."""
        number = before.identity.id
        if turn.is_none and before.standing.state is standing.state:
            # The revision stays: a check a day of ten thousand identities is not ten thousand new snapshots.
            values = {**_columns(standing), "dkim_next_check_at": next_check_at}
            table, at = IdentityTable, before.next_check_at
            same = table.dkim_next_check_at.is_(None) if at is None else table.dkim_next_check_at == at
            one = update(table).where(table.id == number, table.dkim_state == before.standing.state, same)
            with self._database.writing(is_visible=False) as session:
                return bool(session.execute(one.values(**values)).rowcount)  # type: ignore[attr-defined]
        vault = self._key_file.vault()
        made = {key.id: key_rows.another(vault, key) for key in before.keys if key.id in turn.renew}
        now = self._clock.now()
        with self._database.writing() as session:
            row = session.get(IdentityTable, number)
            if row is None or self._standing(row) != before.standing or _rows(session, row) != before.keys:
                return False
            for name, value in _columns(standing).items():
                setattr(row, name, value)
            row.dkim_next_check_at = next_check_at
            if standing.state is RecordState.VERIFIED and row.state == IdentityState.PENDING:
                row.next_check_at = self._clock.now()  # DKIM records prove the domain as well as its token
            for key in session.scalars(select(DkimKeyTable).where(DkimKeyTable.identity_id == number)):
                if key.id in turn.drop:
                    session.delete(key)
                    continue
                if key.id in made:
                    key.private = vault.seal(key_rows.sealed_under(key.selector, key.domain), made[key.id])
                    key.state = KeyState.STANDBY
                elif key.id in turn.promote:
                    key.state = KeyState.ACTIVE
                elif key.id in turn.retire:
                    key.state = KeyState.RETIRED
                else:
                    continue
                key.changed_at = now
            return True

    def make_keys(
        self,
        name: str,
        *,
        algorithms: Sequence[str],
        bits: int = 2048,
        account: str | None = None,
        is_verified: bool = False,
    ) -> Dkim:
        """A new set of keys of the relay for a domain: three tokens of each algorithm.

        ``is_verified``: on an administrator's word that the records are there, they sign at once.
        """
        made = key_rows.make_tokens(algorithms, bits, is_first=False)
        return self._replace(name, account, made, KeyOrigin.RELAY, is_verified=is_verified)

    def import_key(
        self, name: str, selector: str, pem: bytes, *, account: str | None = None, is_verified: bool = False
    ) -> Dkim:
        """A key that the owner brought, under a selector of its own; ``is_verified`` as in ``make_keys``.

        Raises DirectoryError if the key or the selector does not serve, or the selector has a key.
        """
        selector = selector.lower()
        if _SELECTOR.fullmatch(selector) is None:
            raise DirectoryError(
                f"{selector!r} is no selector: use letters, digits and hyphens, e.g. relay2026"
            )
        last: DirectoryError | None = None
        for algorithm in keys.ALGORITHMS:
            try:
                keys.load(pem, name, selector, algorithm)  # with the test of its numbers
            except DirectoryError as error:
                last = last or error
            else:
                brought = NewKey(selector, algorithm, pem, KeyState.STANDBY, KeyOrigin.OWNER)
                return self._replace(name, account, [brought], KeyOrigin.OWNER, is_verified=is_verified)
        assert last is not None
        raise last

    def _replace(
        self, name: str, account: str | None, made: Sequence[NewKey], origin: KeyOrigin, *, is_verified: bool
    ) -> Dkim:
        vault = self._key_file.vault()
        now = self._clock.now()
        with self._database.writing() as session:
            row, _ = find_identity(session, name, account)
            _check_domain(row)
            is_signing = row.dkim_state == RecordState.VERIFIED and not is_verified
            for key in session.scalars(select(DkimKeyTable).where(DkimKeyTable.identity_id == row.id)):
                if key.state == KeyState.STANDBY:
                    session.delete(key)
                    continue
                key.is_leaving = True
                if key.state == KeyState.ACTIVE and not is_signing:
                    key.state, key.changed_at = KeyState.RETIRED, now
            session.flush()
            _check_free(session, row.name, made)
            key_rows.store(session, vault, row, made, now)
            row.key_origin = origin
            if not is_signing:
                self._begin(session, row, now)
                if is_verified:
                    row.dkim_state, row.dkim_pending_since = RecordState.VERIFIED, None
            row.dkim_next_check_at = now  # the owner may have published the records before
            session.flush()
            return self._dkim(session, row)

    def _begin(self, session: Session, row: IdentityTable, now: float) -> None:
        row.dkim_state, row.dkim_seen_at, row.dkim_missing_since = RecordState.PENDING, None, None
        row.dkim_pending_since = now
        rows = list(session.scalars(select(DkimKeyTable).where(DkimKeyTable.identity_id == row.id)))
        signing = {key.algorithm for key in rows if key.state == KeyState.ACTIVE and not key.is_leaving}
        for key in sorted(rows, key=lambda key: key.id):
            if key.state == KeyState.STANDBY and key.algorithm not in signing:
                signing.add(key.algorithm)
                key.state = KeyState.ACTIVE

    def _dkim(self, session: Session, row: IdentityTable) -> Dkim:
        rows = _rows(session, row)
        vault = self._key_file.vault() if rows else None
        public = tuple(key_rows.public_key(vault, key) for key in rows if vault is not None)
        return Dkim(identity_of(row), self._standing(row), rows, public, row.dkim_next_check_at)

    @staticmethod
    def _standing(row: IdentityTable) -> Standing:
        return Standing(
            RecordState(row.dkim_state), row.dkim_seen_at, row.dkim_pending_since, row.dkim_missing_since
        )


def _rows(session: Session, row: IdentityTable) -> tuple[KeyRow, ...]:
    found = session.scalars(select(DkimKeyTable).where(DkimKeyTable.identity_id == row.id))
    return tuple(key_rows.in_order([key_rows.row_of(key) for key in found]))


def _columns(standing: Standing) -> dict[str, float | str | None]:
    return {
        "dkim_state": standing.state,
        "dkim_seen_at": standing.seen_at,
        "dkim_pending_since": standing.pending_since,
        "dkim_missing_since": standing.missing_since,
    }


def _check_domain(row: IdentityTable) -> None:
    if row.kind != IdentityKind.DOMAIN:
        domain = row.name.rpartition("@")[2]
        raise DirectoryError(f"{row.name} has no records: an address is signed for by {domain}, ask for that")


def _check_free(session: Session, domain: str, made: Sequence[NewKey]) -> None:
    wanted = [key.selector for key in made]
    taken = session.scalars(
        select(DkimKeyTable.selector).where(DkimKeyTable.domain == domain, DkimKeyTable.selector.in_(wanted))
    ).all()
    if taken:
        raise DirectoryError(
            f"{taken[0]}._domainkey.{domain} has a key already, and mail that it signed may be under way: "
            f"publish the new key under another selector"
        )
