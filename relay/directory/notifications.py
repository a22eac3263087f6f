"""What each identity tells of each kind of event, to whom, and whether its feedback is mailed as well.

Contract: ``set`` changes what is given in one transaction, or raises DirectoryError with the fix and changes
nothing. A kind is told to a topic of the identity's own account, to the event log (``log``), or to no one
(``none``). The original header can be had only where a kind is told to someone. Forwarding by mail can be off
only while bounces and complaints both are told to an active topic or to the event log.

Which setting holds for a message is ``relay.directory.notifying``'s to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from relay.base.errors import DirectoryError
from relay.base.events import EventKind
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.identities import find_identity
from relay.directory.models import AccountTable, IdentityTable, NotificationTable, TopicTable
from relay.directory.notifying import NEEDED, TOLD, NotificationRow, TopicState
from relay.directory.topics import find_topic

LOG = "log"  # the event log alone
NONE = "none"  # no one

OPTIONS: Mapping[EventKind, str] = {
    EventKind.BOUNCE: "bounce",
    EventKind.COMPLAINT: "complaint",
    EventKind.DELIVERY: "delivery",
    EventKind.SEND: "send",
    EventKind.REJECT: "reject",
    EventKind.DELIVERY_DELAY: "delay",
}
"""The kinds as administrators write them."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of a kind: the name of a topic, or ``log``."""

    to: str
    has_headers: bool
    is_dropped: bool = False  # the topic is; nobody hears of it now

    def __str__(self) -> str:
        headers = " with headers" if self.has_headers else ""
        return f"{self.to}{headers}{' (dropped)' if self.is_dropped else ''}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an identity tells; a kind that is not in ``told`` is told to no one."""

    identity: str
    account: str
    is_forwarding: bool
    told: Mapping[EventKind, Told]


class Notifications:
    """The notification settings of a directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(
        self,
        name: str,
        *,
        topics: Mapping[EventKind, str] | None = None,
        headers: Collection[EventKind] | None = None,
        is_forwarding: bool | None = None,
        account: str | None = None,
    ) -> Settings:
        """Change what is given: per kind a topic's name, ``log`` or ``none``; of which kinds the original
        header is told; whether feedback is mailed. Raises DirectoryError if it cannot be."""
        with self._database.writing() as session:
            identity, owner = find_identity(session, name, account)
            rows = {row.kind: row for row in _rows(session, identity.id)}
            for kind, to in (topics or {}).items():
                _put(session, rows, identity, owner, kind, to)
            if headers is not None:
                _put_headers(rows, identity, headers)
            if is_forwarding is not None:
                identity.is_forwarding = is_forwarding
            session.flush()
            settings = _settings(session, identity, owner)
            unheard = [OPTIONS[kind] for kind in NEEDED if not _is_heard(settings, kind)]
            if unheard and not settings.is_forwarding:
                missing = " ".join(f"--{option} TOPIC" for option in unheard)
                raise DirectoryError(
                    f"forwarding cannot be off while no one else hears of every bounce and complaint of "
                    f"{identity.name}: add {missing} (or log), or --forwarding on"
                )
            return settings

    def show(self, name: str, account: str | None = None) -> Settings:
        """What an identity tells. Raises DirectoryError if there is none, or more than one."""
        with self._database.reading() as session:
            return _settings(session, *find_identity(session, name, account))

    def list(self, account: str | None = None) -> tuple[Settings, ...]:
        """What each identity tells, by account and name."""
        query = (
            select(IdentityTable, AccountTable.name)
            .join(AccountTable, AccountTable.id == IdentityTable.account_id)
            .order_by(AccountTable.name, IdentityTable.name)
        )
        with self._database.reading() as session:
            if account is not None:
                query = query.where(IdentityTable.account_id == find_account(session, account).id)
            told = _told_by_identity(session)
            return tuple(
                Settings(row.name, owner, row.is_forwarding, told.get(row.id, {}))
                for row, owner in session.execute(query)
            )


def read_rows(session: Session) -> tuple[NotificationRow, ...]:
    """All settings, for the snapshot; also those of identities that may not send now, since what they have
    sent is still reported."""
    query = select(
        IdentityTable.account_id,
        IdentityTable.name,
        NotificationTable.kind,
        NotificationTable.topic_id,
        NotificationTable.has_headers,
    ).join(IdentityTable, IdentityTable.id == NotificationTable.identity_id)
    kinds = {kind.value: kind for kind in EventKind}
    return tuple(
        [
            NotificationRow(account_id, name, kinds[kind], topic_id, has_headers)
            for account_id, name, kind, topic_id, has_headers in session.execute(query)
            if kind in kinds  # of a newer relay
        ]
    )


def read_unforwarded(session: Session) -> frozenset[tuple[int, str]]:
    """Account and name of the identities whose forwarding was switched off."""
    query = select(IdentityTable.account_id, IdentityTable.name).where(IdentityTable.is_forwarding.is_(False))
    return frozenset((account_id, name) for account_id, name in session.execute(query))


def _rows(session: Session, identity_id: int) -> Iterable[NotificationTable]:
    return session.scalars(select(NotificationTable).where(NotificationTable.identity_id == identity_id))


def _put(
    session: Session,
    rows: dict[str, NotificationTable],
    identity: IdentityTable,
    owner: str,
    kind: EventKind,
    to: str,
) -> None:
    row = rows.get(kind)
    if to == NONE:
        if row is not None:
            session.delete(rows.pop(kind))
        return
    topic_id = None if to == LOG else find_topic(session, to, owner)[0].id
    if row is None:
        row = rows[kind] = NotificationTable(identity_id=identity.id, kind=kind, has_headers=False)
        session.add(row)
    row.topic_id = topic_id


def _put_headers(
    rows: Mapping[str, NotificationTable], identity: IdentityTable, kinds: Collection[EventKind]
) -> None:
    for kind in kinds:
        if kind not in rows:
            raise DirectoryError(
                f"no one is told of the {OPTIONS[kind]} events of {identity.name}, so their headers cannot "
                f"be had: add --{OPTIONS[kind]} TOPIC (or log)"
            )
    for name, row in rows.items():
        row.has_headers = name in kinds


def _settings(session: Session, identity: IdentityTable, owner: str) -> Settings:
    told = _told_by_identity(session, identity.id).get(identity.id, {})
    return Settings(identity.name, owner, identity.is_forwarding, told)


def _told_by_identity(session: Session, only: int | None = None) -> dict[int, dict[EventKind, Told]]:
    query = select(NotificationTable, TopicTable.name, TopicTable.state).outerjoin(
        TopicTable, TopicTable.id == NotificationTable.topic_id
    )
    if only is not None:
        query = query.where(NotificationTable.identity_id == only)
    found: dict[int, dict[EventKind, Told]] = {}
    for row, topic, state in session.execute(query):
        is_dropped = topic is not None and state != TopicState.ACTIVE
        told = Told(topic or LOG, row.has_headers, is_dropped)
        found.setdefault(row.identity_id, {})[EventKind(row.kind)] = told
    return {
        identity_id: {kind: told[kind] for kind in TOLD if kind in told}
        for identity_id, told in found.items()
    }


def _is_heard(settings: Settings, kind: EventKind) -> bool:
    told = settings.told.get(kind)
    return told is not None and not told.is_dropped
