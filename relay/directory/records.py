"""The words of the directory: account, credential, identity, and the rows that a snapshot is built from.

All are immutable. Times are wall-clock seconds since the epoch. ``name`` of an identity is in the form that
is compared: a domain in lower case and A-labels, an address with its local part as given and such a domain.
``Sealed...`` rows carry secrets as the database holds them, encrypted; only ``relay.directory`` opens them.

Normal forms cost: ASCII names about 0.1 microseconds; others go through IDNA (tens of microseconds).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import idna

from relay.base.errors import DirectoryError
from relay.directory.keys import SigningKey
from relay.directory.notifying import NotificationRow, SealedTopic

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOCAL_LIMIT = 64  # octets (RFC 5321 4.5.3.1.1)
_DOMAIN_LIMIT = 253


class AccountState(StrEnum):
    """May the account send at all?"""

    ACTIVE = "active"
    PAUSED = "paused"


class Access(StrEnum):
    """Where the account stands between its first tries and real mail."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


class OverQuota(StrEnum):
    """What becomes of a message that the account's limits do not allow now."""

    REJECT = "reject"  # 454, as SES
    SMOOTH = "smooth"  # accepted, kept, released when the limits allow it
    HOLD = "hold"  # accepted, kept until an operator releases it


class Suspended(StrEnum):
    """What the operator may stop deliveries by."""

    SITE = "site"  # to a site, by its name or that of one of its hosts
    DOMAIN = "domain"  # to a domain
    ACCOUNT = "account"  # of an account


class CredentialState(StrEnum):
    """May one log in with it?"""

    ACTIVE = "active"
    INACTIVE = "inactive"


class IdentityKind(StrEnum):
    """What the identity names."""

    DOMAIN = "domain"
    ADDRESS = "address"


class IdentityState(StrEnum):
    """Has the account proved that the identity is its own?"""

    PENDING = "pending"  # not proved yet
    VERIFIED = "verified"
    WARNED = "warned"  # verified, but its records are gone: revoked after 72 hours
    FAILED = "failed"  # not proved in time
    REVOKED = "revoked"  # was verified, its records have been gone for 72 hours

    @property
    def is_sending(self) -> bool:
        """The account may send as the identity."""
        return self is IdentityState.VERIFIED or self is IdentityState.WARNED


class RecordState(StrEnum):
    """How the records of an identity's DKIM or MAIL FROM domain stand. Only ``is_used`` ones are used."""

    NONE = ""  # nothing was asked for
    PENDING = "pending"
    VERIFIED = "verified"
    WARNED = "warned"  # were there, are gone
    FAILED = "failed"  # were not found in time, or have been gone for too long


class KeyOrigin(StrEnum):
    """Who made the DKIM keys of a domain."""

    RELAY = "relay"  # three tokens, keys that rotate
    OWNER = "owner"  # brought by the owner under a selector of its own


class OnMailFromFailure(StrEnum):
    """What becomes of mail whose own MAIL FROM domain has lost its MX (mail-from.md)."""

    USE_DEFAULT = "use-default"
    REJECT = "reject"


class KeyState(StrEnum):
    """What a DKIM key does. Each algorithm of an identity has one that is active."""

    ACTIVE = "active"  # it signs
    STANDBY = "standby"  # published, or about to be: the next to sign
    RETIRED = "retired"  # signs no more; published while mail that it signed may be under way


@dataclass(frozen=True, slots=True)
class Account:
    """On whose behalf mail is sent."""

    id: int
    name: str
    contact: str = ""
    state: AccountState = AccountState.ACTIVE
    reason: str = ""  # why it is paused, for people
    access: Access = Access.PRODUCTION
    created_at: float = 0.0
    max_send_rate: float = -1.0  # recipients a second; -1: no limit
    max_24_hours: int = -1  # recipients in any 24 hours; -1: no limit
    over_quota: OverQuota = OverQuota.REJECT
    source: str = ""  # the pool of addresses from which its mail leaves; "" for the default
    suppressed_reasons: str = "BOUNCE,COMPLAINT"  # what puts an address on its suppression list; "" is off

    @property
    def is_paused(self) -> bool:
        """Whether sending is suspended."""
        return self.state is AccountState.PAUSED


@dataclass(frozen=True, slots=True)
class Credential:
    """Who logged in: the access key id, and the account it belongs to."""

    key_id: str
    account_id: int
    created_at: float = 0.0
    state: CredentialState = CredentialState.ACTIVE
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A domain or an address that an account may send from.

    ``keys`` are those that sign for it now, its own or the covering domain's; none if DKIM is off, or their
    records are not in the DNS (``RecordState`` of the domain that has them is not VERIFIED).
    ``mail_from`` is the MAIL FROM domain that was asked for, for itself or else for the nearest covering
    domain; ``mail_from_state`` says how it stands.
    """

    id: int
    account_id: int
    name: str
    kind: IdentityKind
    is_verified: bool
    is_dkim_on: bool
    keys: tuple[SigningKey, ...] = ()
    mail_from: str = ""
    mail_from_state: RecordState = RecordState.NONE
    mail_from_on_failure: OnMailFromFailure = OnMailFromFailure.USE_DEFAULT
    is_forwarding: bool = True  # bounces and complaints are mailed to the sender
    has_headers: bool = False  # someone is told the original header of its messages


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A row of credentials; ``secret`` is sealed under the key id."""

    key_id: str
    account_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A row of DKIM keys; ``private`` is sealed under the name of its public record."""

    id: int
    identity_id: int
    domain: str
    selector: str
    algorithm: str
    private: bytes


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """A row of identities."""

    id: int
    account_id: int
    name: str
    kind: IdentityKind
    state: IdentityState
    is_dkim_on: bool
    key_origin: KeyOrigin = KeyOrigin.RELAY
    dkim_state: RecordState = RecordState.VERIFIED
    mail_from: str = ""
    mail_from_state: RecordState = RecordState.NONE
    mail_from_on_failure: OnMailFromFailure = OnMailFromFailure.USE_DEFAULT
    is_forwarding: bool = True


@dataclass(frozen=True, slots=True)
class Suspension:
    """Deliveries that the operator has stopped, why and since when."""

    kind: Suspended
    name: str  # in lower case; ".example.org" is that domain and all below it
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a snapshot needs, read in one transaction."""

    revision: int
    accounts: tuple[Account, ...] = ()
    credentials: tuple[SealedCredential, ...] = ()
    identities: tuple[IdentityRow, ...] = ()
    keys: tuple[SealedKey, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    topics: tuple[SealedTopic, ...] = ()
    notifications: tuple[NotificationRow, ...] = ()
    unforwarded: frozenset[tuple[int, str]] = frozenset()  # account and name of identities


def normal_domain(domain: str) -> str:
    """The form in which domains are compared: lower case, A-labels (RFC 5890). Raises ValueError."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{domain!r} is not a domain name") from error


def kind_of(name: str) -> IdentityKind:
    """An identity with an at sign is an address."""
    return IdentityKind.ADDRESS if "@" in name else IdentityKind.DOMAIN


def identity_name(text: str) -> str:
    """The normal form of what an administrator typed. Raises DirectoryError if it cannot be an identity."""
    local, at, domain = text.strip().rpartition("@")
    try:
        normal = normal_domain(domain.removesuffix("."))
    except ValueError:
        normal = ""
    labels = normal.split(".")
    if len(labels) < 2 or len(normal) > _DOMAIN_LIMIT or not all(map(_LABEL.fullmatch, labels)):
        raise DirectoryError(f"{domain!r} is not a domain name: give example.org or name@example.org")
    if not at:
        return normal
    is_clean = local.isprintable() and not any(char in ' <>(),;:\\"[]@' for char in local)
    if not local or len(local.encode()) > _LOCAL_LIMIT or not is_clean:
        raise DirectoryError(f"{text!r} is not an address: give name@example.org")
    return f"{local}@{normal}"
