"""MAIL FROM domains of identities: asked for, cleared, and looked after.

Contract: ``put`` takes a domain below the organisational domain of the identity, so that it aligns with From
(RFC 7489 3.1.2), and one from which the account does not send; it is pending and due to be looked at. Setting
it again starts its time anew, also where it had failed. ``clear`` goes back to the default.

``claim`` and ``settle`` are for the one who looks: what was set or cleared in between wins, since ``settle``
changes only a row that is still under the same claim. A look that changes no state raises no revision.
"""

from __future__ import annotations

from sqlalchemy import select, update

from relay.base import return_path
from relay.base.address import MAX_ADDRESS_OCTETS
from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory.claims import claim
from relay.directory.database import Database
from relay.directory.identities import Held, find_identity, identity_of
from relay.directory.mail_from_life import Stand, Step
from relay.directory.models import IdentityTable
from relay.directory.published import Record
from relay.directory.records import (
    IdentityKind,
    IdentityRow,
    OnMailFromFailure,
    RecordState,
    identity_name,
    kind_of,
)
from relay.directory.suffixes import is_below, organisational_domain

CLAIM_S = 300.0
_LONGEST = MAX_ADDRESS_OCTETS - return_path.LENGTH - 1


class MailFroms:
    """The MAIL FROM domains of a directory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, name: str, domain: str, on_failure: OnMailFromFailure, account: str | None = None) -> Held:
        """Ask for a MAIL FROM domain. Raises DirectoryError if it cannot be the identity's."""
        domain = identity_name(domain)
        if kind_of(domain) is IdentityKind.ADDRESS:
            raise DirectoryError(f"{domain} is an address: give a domain such as bounce.example.org")
        if len(domain) > _LONGEST:
            raise DirectoryError(f"{domain} is too long for a return path: {_LONGEST} characters at most")
        with self._database.writing() as session:
            row, owner = find_identity(session, name, account)
            own = row.name.rpartition("@")[2]
            above = organisational_domain(own)
            if not above or not is_below(domain, above):
                raise DirectoryError(
                    f"{domain} cannot be the MAIL FROM domain of {row.name}: "
                    f"give a subdomain of {above or own} such as bounce.{above or own}"
                )
            names = session.scalars(
                select(IdentityTable.name).where(IdentityTable.account_id == row.account_id)
            )
            sent_from = next((one for one in names if one.rpartition("@")[2] == domain), None)
            if sent_from is not None:
                raise DirectoryError(
                    f"{domain} cannot be a MAIL FROM domain: {owner} sends from it ({sent_from}); "
                    f"give one that receives nothing but bounces, such as bounce.{own}"
                )
            row.mail_from = domain
            row.mail_from_state = RecordState.PENDING
            row.mail_from_on_failure = on_failure
            row.mail_from_pending_since = row.mail_from_next_check_at = self._clock.now()
            row.mail_from_missing_since = None
            session.flush()
            return Held(identity_of(row), owner)

    def clear(self, name: str, account: str | None = None) -> Held:
        """The identity has no MAIL FROM domain of its own any more."""
        with self._database.writing() as session:
            row, owner = find_identity(session, name, account)
            row.mail_from = ""
            row.mail_from_state = RecordState.NONE
            row.mail_from_on_failure = OnMailFromFailure.USE_DEFAULT
            row.mail_from_pending_since = row.mail_from_missing_since = row.mail_from_next_check_at = None
            session.flush()
            return Held(identity_of(row), owner)

    def show(self, name: str, account: str | None = None) -> Held:
        """The identity as it stands."""
        with self._database.reading() as session:
            row, owner = find_identity(session, name, account)
            return Held(identity_of(row), owner)

    def claim(self, limit: int) -> tuple[Stand, ...]:
        """Those that are due, for this caller alone until ``CLAIM_S`` from now."""
        now = self._clock.now()
        until = now + CLAIM_S
        rows = claim(self._database, IdentityTable.mail_from_next_check_at, now, until, limit)
        if not rows:
            return ()
        with self._database.reading() as session:
            found = session.scalars(
                select(IdentityTable)
                .where(IdentityTable.id.in_(rows), IdentityTable.mail_from_next_check_at == until)
                .order_by(IdentityTable.id)
            )
            return tuple(map(_stand, found))

    def settle(self, stand: Stand, step: Step) -> bool:
        """Store what a look has shown; False if the row is not under that claim any more."""
        with self._database.writing(is_visible=step.is_change) as session:
            done = session.execute(
                update(IdentityTable)
                .where(
                    IdentityTable.id == stand.identity_id,
                    IdentityTable.mail_from == stand.domain,
                    IdentityTable.mail_from_next_check_at == stand.until,
                )
                .values(
                    mail_from_state=step.state,
                    mail_from_missing_since=step.missing_since,
                    mail_from_next_check_at=step.next_check_at,
                )
                .execution_options(synchronize_session=False)
            )
            return bool(done.rowcount)  # type: ignore[attr-defined]


def records(identity: IdentityRow, host: str) -> tuple[Record, ...]:
    """What the owner of the MAIL FROM domain publishes; ``host`` takes the bounces and sends the mail."""
    if not identity.mail_from:
        return ()
    return (
        Record(identity.mail_from, "MX", f"10 {host}", "bounces come back to the relay; the only MX"),
        Record(identity.mail_from, "TXT", f"v=spf1 a:{host} ~all", "the relay may send as this domain (SPF)"),
    )


def _stand(row: IdentityTable) -> Stand:
    return Stand(
        identity_id=row.id,
        account_id=row.account_id,
        identity=row.name,
        domain=row.mail_from,
        state=RecordState(row.mail_from_state),
        on_failure=OnMailFromFailure(row.mail_from_on_failure),
        pending_since=row.mail_from_pending_since,
        missing_since=row.mail_from_missing_since,
        until=row.mail_from_next_check_at,
    )
