"""What the operator has suspended: deliveries to a site or a domain, or those of an account.

The directory keeps it, so that it holds in every worker and on every node, and over restarts. An account has
to exist when it is suspended; a site or a domain need not, since mail for it may come any time. What is
suspended twice keeps the moment of the first time and gets the newer reason.
"""

from __future__ import annotations

from sqlalchemy import delete, select

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.models import SuspensionTable
from relay.directory.records import Suspended, Suspension, normal_domain

_LONGEST = 1024  # characters, as the column has


class SuspensionRows:
    """The suspensions of a directory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, kind: Suspended, name: str, reason: str = "") -> Suspension:
        """Suspend. Raises DirectoryError for a name that is none."""
        name = _normal(kind, name)
        with self._database.writing() as session:
            if kind is Suspended.ACCOUNT:
                find_account(session, name)
            row = session.get(SuspensionTable, (kind, name))
            if row is None:
                row = SuspensionTable(kind=kind, name=name, since=self._clock.now())
                session.add(row)
            row.reason = reason
            session.flush()
            return suspension_of(row)

    def remove(self, kind: Suspended, name: str) -> None:
        """Resume. Raises DirectoryError if it was not suspended."""
        name = _normal(kind, name)
        with self._database.writing() as session:
            row = session.get(SuspensionTable, (kind, name))
            if row is None:
                raise DirectoryError(f"{kind} {name} is not suspended: see `relay queue suspended`")
            session.delete(row)

    def clear(self) -> int:
        """Resume everything; returns how many there were."""
        with self._database.writing() as session:
            found = session.execute(delete(SuspensionTable).returning(SuspensionTable.name)).all()
            return len(found)

    def list(self) -> tuple[Suspension, ...]:
        """All of them, by kind and name."""
        order = (SuspensionTable.kind, SuspensionTable.name)
        with self._database.reading() as session:
            return tuple(map(suspension_of, session.scalars(select(SuspensionTable).order_by(*order))))


def _normal(kind: Suspended, name: str) -> str:
    name = name.strip()
    if kind is Suspended.DOMAIN:
        dot = "." if name.startswith(".") else ""
        try:
            name = dot + normal_domain(name.removeprefix(".").removesuffix("."))
        except ValueError:
            name = ""
    elif kind is Suspended.SITE:
        name = name.lower()
    if not name or name == "." or len(name) > _LONGEST or not name.isprintable() or " " in name:
        raise DirectoryError(
            f"that cannot name a {kind}: give an account, a domain (example.org, or .example.org with all "
            "below it), or a site as `relay queue explain` names it or one of its hosts"
        )
    return name


def suspension_of(row: SuspensionTable) -> Suspension:
    """The row as a word."""
    return Suspension(Suspended(row.kind), row.name, row.reason, row.since)
