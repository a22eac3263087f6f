"""The tables of the directory, in types that SQLite and PostgreSQL share.

Ids are never used twice (``sqlite_autoincrement``): spooled mail remembers its account by number, and a
cached key is known by its row. Times are wall-clock seconds since the epoch. ``revision`` has one row, whose
value grows with every change; it is what the running relay polls. Text states are StrEnum values of
``records``, checked there; a new state needs no migration.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """The metadata that all tables share."""


class AccountTable(Table):
    """Accounts."""

    __tablename__ = "account"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    contact: Mapped[str] = mapped_column(String(320))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    access: Mapped[str] = mapped_column(String(16))
    max_send_rate: Mapped[float] = mapped_column(Float(53))
    max_24_hours: Mapped[int] = mapped_column(Integer)
    over_quota: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(64))
    suppressed_reasons: Mapped[str] = mapped_column(String(64), server_default="BOUNCE,COMPLAINT")
    created_at: Mapped[float] = mapped_column(Float(53))


class SuspensionTable(Table):
    """Deliveries that the operator has stopped: to a site or a domain, or of an account."""

    __tablename__ = "suspension"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(1024), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[float] = mapped_column(Float(53))


class CredentialTable(Table):
    """Access keys; the secret is sealed under ``key_id``."""

    __tablename__ = "credential"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Float(53))
    last_used_at: Mapped[float | None] = mapped_column(Float(53))


class IdentityTable(Table):
    """Domains and addresses of accounts, in normal form."""

    __tablename__ = "identity"
    __table_args__ = (UniqueConstraint("account_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(320), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    is_dkim_on: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Float(53))
    verified_at: Mapped[float | None] = mapped_column(Float(53))
    # how the proof of ownership stands: the TXT token of a domain, the nonce of an address's link
    token: Mapped[str] = mapped_column(String(64))
    pending_since: Mapped[float | None] = mapped_column(Float(53))
    missing_since: Mapped[float | None] = mapped_column(Float(53))
    next_check_at: Mapped[float | None] = mapped_column(Float(53), index=True)
    # how its DKIM stands
    key_origin: Mapped[str] = mapped_column(String(16))
    dkim_state: Mapped[str] = mapped_column(String(24))
    dkim_seen_at: Mapped[float | None] = mapped_column(Float(53))  # when its records were last found
    dkim_pending_since: Mapped[float | None] = mapped_column(Float(53))
    dkim_missing_since: Mapped[float | None] = mapped_column(Float(53))
    dkim_next_check_at: Mapped[float | None] = mapped_column(Float(53), index=True)
    # how its own MAIL FROM domain stands
    mail_from: Mapped[str] = mapped_column(String(253))
    mail_from_state: Mapped[str] = mapped_column(String(24))
    mail_from_on_failure: Mapped[str] = mapped_column(String(24))
    mail_from_pending_since: Mapped[float | None] = mapped_column(Float(53))
    mail_from_missing_since: Mapped[float | None] = mapped_column(Float(53))
    mail_from_next_check_at: Mapped[float | None] = mapped_column(Float(53), index=True)
    # whether bounces and complaints are mailed to its senders
    is_forwarding: Mapped[bool] = mapped_column(Boolean, server_default=true())


class DkimKeyTable(Table):
    """DKIM keys; the private key is sealed under ``<selector>._domainkey.<domain>``."""

    __tablename__ = "dkim_key"
    __table_args__ = (UniqueConstraint("domain", "selector"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identity.id", ondelete="CASCADE"), index=True)
    domain: Mapped[str] = mapped_column(String(253))
    selector: Mapped[str] = mapped_column(String(63))
    algorithm: Mapped[str] = mapped_column(String(32))
    private: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(String(16))
    is_leaving: Mapped[bool] = mapped_column(Boolean)  # another set of keys is to take over
    created_at: Mapped[float] = mapped_column(Float(53))  # of the selector: its key may be a later one
    changed_at: Mapped[float] = mapped_column(Float(53))  # when it came into its state


class TopicTable(Table):
    """Where an account's notifications go; the secret that signs them is sealed under ``topic/<id>``."""

    __tablename__ = "topic"
    __table_args__ = (UniqueConstraint("account_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(256))
    url: Mapped[str] = mapped_column(Text)
    envelope: Mapped[str] = mapped_column(String(16))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))


class NotificationTable(Table):
    """What an identity tells of a kind of event, and to which topic; without one, to the event log alone."""

    __tablename__ = "notification"

    identity_id: Mapped[int] = mapped_column(ForeignKey("identity.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topic.id", ondelete="CASCADE"))
    has_headers: Mapped[bool] = mapped_column(Boolean)


class SuppressionTable(Table):
    """Addresses to which nothing is sent: by an account, or (0) by the whole service."""

    __tablename__ = "suppression"

    account_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    reason: Mapped[str] = mapped_column(String(16))
    since: Mapped[float] = mapped_column(Float(53))
    message_id: Mapped[str] = mapped_column(String(64))
    serial: Mapped[int] = mapped_column(BigInteger, index=True)  # grows with every change


class SuppressionSerialTable(Table):
    """One row: the latest serial that an entry of a suppression list was given; it is never given again."""

    __tablename__ = "suppression_serial"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class RevisionTable(Table):
    """One row: how often the directory has changed."""

    __tablename__ = "revision"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    value: Mapped[int] = mapped_column(Integer)
