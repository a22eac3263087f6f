"""Topics: where an account's notifications go. Create, list, show, set, rotate, drop, activate, delete.

Contract: the secret that signs what is posted leaves here twice at most: in the answers of ``create`` and
``rotate``; afterwards only the snapshot opens it. After ``rotate`` the new one signs alone within a second.

``drop`` is what becomes of a topic whose endpoint takes nothing any more, as SES has it: nothing is posted
to it, and the identities whose bounces or complaints only it heard of have email feedback forwarding switched
on again; ``Dropped`` names them, so that the owner can be told. What is set for the topic stays: once
activated it is told as before, but forwarding stays on until its owner switches it off again. ``delete``
does the same, and removes the settings too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from relay.base.clock import Clock
from relay.base.errors import DirectoryError
from relay.directory import secrets
from relay.directory.accounts import find_account
from relay.directory.database import Database
from relay.directory.models import AccountTable, IdentityTable, NotificationTable, TopicTable
from relay.directory.notifying import (
    NEEDED,
    SealedTopic,
    Topic,
    TopicEnvelope,
    TopicState,
    sealed_name,
)
from relay.directory.topic_url import checked_url

LIMIT = 100
RESERVED = ("log", "none")  # words of `relay identity notify`
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, slots=True)
class HeldTopic:
    """A topic, and the name of the account that it belongs to."""

    topic: Topic
    account: str


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What its owner must write down now: it is not shown again."""

    topic: Topic
    account: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A topic that is told nothing any more, and the identities whose feedback is mailed again because of
    it."""

    topic: Topic
    account: str
    forwarded: tuple[str, ...]


class Topics:
    """The topics of a directory."""

    def __init__(self, database: Database, key_file: secrets.KeyFile, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._clock = clock

    def create(
        self, account: str, name: str, url: str, envelope: TopicEnvelope = TopicEnvelope.RAW
    ) -> NewSecret:
        """A new topic. Raises DirectoryError for a name or an address that is none, or taken."""
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise DirectoryError(
                f"{name!r} cannot name a topic: use up to 256 letters, digits, hyphens and underscores, "
                f"and none of {', '.join(RESERVED)}"
            )
        url = checked_url(url)
        vault, secret = self._key_file.vault(), secrets.new_secret()
        with self._database.writing() as session:
            owner = find_account(session, account)
            held = session.scalars(select(TopicTable.name).where(TopicTable.account_id == owner.id)).all()
            if name in held:
                raise DirectoryError(
                    f"account {account!r} has a topic {name!r} already: choose another name, or delete it "
                    f"with `relay topic delete {name} --account {account}`"
                )
            if len(held) >= LIMIT:
                raise DirectoryError(f"account {account!r} has {LIMIT} topics, which is all it may have")
            row = TopicTable(
                account_id=owner.id,
                name=name,
                url=url,
                envelope=envelope,
                secret=b"",
                state=TopicState.ACTIVE,
                reason="",
                created_at=self._clock.now(),
            )
            session.add(row)
            session.flush()
            row.secret = vault.seal(sealed_name(row.id), secret.encode())
            return NewSecret(topic_of(row), account, secret)

    def list(self, account: str | None = None) -> tuple[HeldTopic, ...]:
        """Topics by account and name; all, or those of one account."""
        rows = (
            select(TopicTable, AccountTable.name)
            .join(AccountTable, AccountTable.id == TopicTable.account_id)
            .order_by(AccountTable.name, TopicTable.name)
        )
        with self._database.reading() as session:
            if account is not None:
                rows = rows.where(TopicTable.account_id == find_account(session, account).id)
            return tuple(HeldTopic(topic_of(row), owner) for row, owner in session.execute(rows))

    def show(self, name: str, account: str | None = None) -> HeldTopic:
        """One topic. Raises DirectoryError if there is none, or more than one, of that name."""
        with self._database.reading() as session:
            row, owner = find_topic(session, name, account)
            return HeldTopic(topic_of(row), owner)

    def users(self, topic_id: int) -> tuple[tuple[str, str], ...]:
        """The identities that tell the topic, and of which kinds."""
        rows = (
            select(IdentityTable.name, NotificationTable.kind)
            .join(NotificationTable, NotificationTable.identity_id == IdentityTable.id)
            .where(NotificationTable.topic_id == topic_id)
            .order_by(IdentityTable.name, NotificationTable.kind)
        )
        with self._database.reading() as session:
            return tuple((name, kind) for name, kind in session.execute(rows))

    def set(
        self,
        name: str,
        *,
        url: str | None = None,
        envelope: TopicEnvelope | None = None,
        account: str | None = None,
    ) -> HeldTopic:
        """Change what is given. Raises DirectoryError for an address that is none."""
        url = None if url is None else checked_url(url)
        with self._database.writing() as session:
            row, owner = find_topic(session, name, account)
            if url is not None:
                row.url = url
            if envelope is not None:
                row.envelope = envelope
            session.flush()
            return HeldTopic(topic_of(row), owner)

    def rotate(self, name: str, account: str | None = None) -> NewSecret:
        """Another secret in place of the one that signs."""
        vault, secret = self._key_file.vault(), secrets.new_secret()
        with self._database.writing() as session:
            row, owner = find_topic(session, name, account)
            row.secret = vault.seal(sealed_name(row.id), secret.encode())
            return NewSecret(topic_of(row), owner, secret)

    def activate(self, name: str, account: str | None = None) -> HeldTopic:
        """Tell a dropped topic again; of what happened in between it is not told."""
        with self._database.writing() as session:
            row, owner = find_topic(session, name, account)
            row.state, row.reason = TopicState.ACTIVE, ""
            return HeldTopic(topic_of(row), owner)

    def drop(self, topic_id: int, reason: str) -> Dropped | None:
        """Tell it nothing any more; None if there is no such topic, or it was dropped before."""
        with self._database.writing() as session:
            row = session.get(TopicTable, topic_id)
            if row is None or row.state == TopicState.DROPPED:
                return None
            row.state, row.reason = TopicState.DROPPED, reason
            forwarded = _forward_without(session, row)
            return Dropped(topic_of(row), session.get_one(AccountTable, row.account_id).name, forwarded)

    def delete(self, name: str, account: str | None = None) -> Dropped:
        """Remove a topic, and what identities were set to tell it."""
        with self._database.writing() as session:
            row, owner = find_topic(session, name, account)
            dropped = Dropped(topic_of(row), owner, _forward_without(session, row))
            session.delete(row)
            return dropped


def _forward_without(session: Session, topic: TopicTable) -> tuple[str, ...]:
    """Switch forwarding on where this topic heard of what someone must hear of; those identities."""
    rows = session.scalars(
        select(IdentityTable)
        .join(NotificationTable, NotificationTable.identity_id == IdentityTable.id)
        .where(NotificationTable.topic_id == topic.id, NotificationTable.kind.in_(NEEDED))
        .where(IdentityTable.is_forwarding.is_(False))
        .order_by(IdentityTable.name)
    )
    names = []
    for row in rows.unique():
        row.is_forwarding = True
        names.append(row.name)
    return tuple(names)


def find_topic(session: Session, name: str, account: str | None) -> tuple[TopicTable, str]:
    """The row and its account's name. Raises DirectoryError if there is none, or more than one."""
    query = (
        select(TopicTable, AccountTable.name)
        .join(AccountTable, AccountTable.id == TopicTable.account_id)
        .where(TopicTable.name == name)
    )
    if account is not None:
        query = query.where(TopicTable.account_id == find_account(session, account).id)
    found = session.execute(query).all()
    if not found:
        whose = "ACCOUNT" if account is None else account
        raise DirectoryError(
            f"no topic {name!r}: see `relay topic list`, or `relay topic create {whose} {name} --url ...`"
        )
    if len(found) > 1:
        owners = ", ".join(sorted(owner for _, owner in found))
        raise DirectoryError(f"several accounts have a topic {name!r} ({owners}): name one with --account")
    row, owner = found[0]
    return row, owner


def topic_of(row: TopicTable) -> Topic:
    """The row as a word."""
    return Topic(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        url=row.url,
        envelope=TopicEnvelope(row.envelope),
        state=TopicState(row.state),
        reason=row.reason,
        created_at=row.created_at,
    )


def sealed_of(row: TopicTable) -> SealedTopic:
    """The row as a word, with its secret still sealed."""
    return SealedTopic(topic_of(row), row.secret)
