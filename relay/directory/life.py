"""The life of identities in the database: what is due, what became of it, and links that are used.

Contract: ``due`` claims (see ``claims``); ``settle`` stores a step only if the identity is still as it was
claimed, and says whether it did: an identity that was removed, verified by word or restarted meanwhile keeps
what it has. The revision rises only when a state changes. ``confirm`` takes a link once: the nonce in the
row is compared and removed in one transaction.

Blocking; for threads and the CLI.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import links
from relay.directory.claims import claim
from relay.directory.database import Database
from relay.directory.identities import find_identity, new_token
from relay.directory.links import Link
from relay.directory.models import IdentityTable
from relay.directory.records import IdentityKind, IdentityState, RecordState
from relay.directory.secrets import KeyFile
from relay.directory.verification import Standing, Step

CLAIM_S = 300.0


class Confirmation(Enum):
    """What a link comes to."""

    GOOD = "good"
    EXPIRED = "expired"
    USED = "used"  # or one that a newer one replaced
    GONE = "gone"  # the identity was removed


class Life:
    """The part of ``Identities`` that time changes."""

    def __init__(self, database: Database, key_file: KeyFile, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._clock = clock

    def due(self, limit: int) -> tuple[Standing, ...]:
        """Identities to look at now; nobody else's for ``CLAIM_S``."""
        now = self._clock.now()
        until = now + CLAIM_S
        ids = claim(self._database, IdentityTable.next_check_at, now, until, limit)
        if not ids:
            return ()
        with self._database.reading() as session:
            rows = session.scalars(select(IdentityTable).where(IdentityTable.id.in_(ids)))
            return tuple(map(standing_of, rows))

    def settle(self, steps: Sequence[tuple[Standing, Step]]) -> list[bool]:
        """Store what became of identities, in one transaction; False for each that is not as it was when it
        was claimed."""
        is_visible = any(step.state is not standing.state for standing, step in steps)
        with self._database.writing(is_visible=is_visible) as session:
            return [self._settle(session, standing, step) for standing, step in steps]

    def _settle(self, session: Session, standing: Standing, step: Step) -> bool:
        values: dict[str, object] = {
            "state": step.state,
            "pending_since": step.pending_since,
            "missing_since": step.missing_since,
            "next_check_at": step.next_check_at,
        }
        if step.state is IdentityState.VERIFIED and step.state is not standing.state:
            values["verified_at"] = self._clock.now()
        done = session.execute(
            update(IdentityTable)
            .where(
                IdentityTable.id == standing.id,
                IdentityTable.state == standing.state,
                IdentityTable.token == standing.token,
                IdentityTable.next_check_at == standing.claimed_until,
            )
            .values(values)
            .execution_options(synchronize_session=False)
        )
        return bool(done.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result counts rows

    def standing(self, name: str, account: str | None = None) -> Standing:
        """How an identity stands. Raises DirectoryError if there is none of that name, or several."""
        with self._database.reading() as session:
            return standing_of(find_identity(session, name, account)[0])

    def restart(self, name: str, account: str | None = None) -> Standing:
        """Begin the proof anew: a new link for an address; for a domain the same token, looked for from now.

        Raises DirectoryError if the identity is verified: there is nothing to prove.
        """
        with self._database.writing() as session:
            row, _ = find_identity(session, name, account)
            if IdentityState(row.state).is_sending:
                raise DirectoryError(f"{row.name} is verified: there is nothing to do")
            is_domain = row.kind == IdentityKind.DOMAIN
            now = self._clock.now()
            row.state = IdentityState.PENDING
            row.token = row.token if is_domain and row.token else new_token()
            row.pending_since = now if is_domain else None
            row.missing_since = None
            row.next_check_at = now
            session.flush()
            return standing_of(row)

    def hurry(self, name: str, account: str | None = None) -> bool:
        """Have an identity that waits for its records looked at at once; whether it does wait."""
        with self._database.writing(is_visible=False) as session:
            row, _ = find_identity(session, name, account)
            is_waiting = row.next_check_at is not None and row.state in (
                IdentityState.PENDING,
                IdentityState.WARNED,
            )
            if is_waiting:
                row.next_check_at = self._clock.now()
            return is_waiting

    def make_link(self, standing: Standing, expires_at: float) -> str:
        """The text of the link that proves an address. Raises DirectoryError without a key file."""
        key = self._key_file.vault().derive(links.PURPOSE)
        return links.make(key, Link(standing.id, int(expires_at), standing.token))

    def read_link(self, text: str) -> Link:
        """What the text of a link says. Raises LinkFault, or DirectoryError without a key file."""
        return links.read(self._key_file.vault().derive(links.PURPOSE), text)

    def look_up(self, link: Link) -> tuple[Confirmation, str]:
        """What a link would come to if it were used now, and the address."""
        with self._database.reading() as session:
            return self._judge(session.get(IdentityTable, link.identity_id), link)

    def confirm(self, link: Link) -> tuple[Confirmation, str]:
        """Use a link: the address is verified, and the watch hears of it at once."""
        if self.look_up(link)[0] is not Confirmation.GOOD:  # no write for links that do not work
            return self.look_up(link)
        with self._database.writing() as session:
            row = session.get(IdentityTable, link.identity_id)
            found, name = self._judge(row, link)
            if row is not None and found is Confirmation.GOOD:
                row.state = IdentityState.VERIFIED
                row.token = ""
                row.pending_since = None
                row.verified_at = row.next_check_at = self._clock.now()
            return found, name

    def _judge(self, row: IdentityTable | None, link: Link) -> tuple[Confirmation, str]:
        if row is None or row.kind != IdentityKind.ADDRESS:
            return Confirmation.GONE, ""
        if row.token != link.nonce or row.state not in (IdentityState.PENDING, IdentityState.FAILED):
            return Confirmation.USED, row.name
        if self._clock.now() >= link.expires_at or row.state == IdentityState.FAILED:
            return Confirmation.EXPIRED, row.name
        return Confirmation.GOOD, row.name


def standing_of(row: IdentityTable) -> Standing:
    """The row as whoever looks at it sees it."""
    return Standing(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        kind=IdentityKind(row.kind),
        state=IdentityState(row.state),
        token=row.token,
        # DKIM keys that sign on the administrator's word, and were never seen in the DNS, prove nothing.
        dkim_state=RecordState(row.dkim_state) if row.dkim_seen_at is not None else RecordState.NONE,
        pending_since=row.pending_since,
        missing_since=row.missing_since,
        claimed_until=row.next_check_at or 0.0,
    )
