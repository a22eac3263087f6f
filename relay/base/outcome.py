"""What an attempt meant for one recipient: Delivered, Deferred or Failed.

Only RECIPIENT and MESSAGE scope may bounce mail on 5xx; SESSION and SITE slow the destination or lead to
the next host, and defer. The unknown is temporary. Expiry, not a count of 4xx replies, ends deferral.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from relay.base.reply import Reply


class Scope(StrEnum):
    """How far a refusal reaches."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    SESSION = "session"
    SITE = "site"


class Reason(StrEnum):
    """Why a recipient is where it is, in one word."""

    ACCEPTED = "accepted"  # the receiver took it
    REFUSED = "refused"  # a 4xx or 5xx reply to MAIL, RCPT, DATA or the dot
    GREETING = "greeting"  # a 4xx or 5xx banner or EHLO
    BUSY = "busy"  # 421
    CONNECT = "connect"  # no TCP connection
    TIMEOUT = "timeout"  # the peer was silent too long
    CONNECTION_LOST = "connection-lost"  # before the dot was sent
    REPLY_LOST = "reply-lost"  # after the dot was sent: uncertain
    PROTOCOL = "protocol"  # the peer spoke something that is not SMTP
    TLS = "tls"  # TLS is required and could not be had
    AUTH = "auth"  # the next hop refused our credentials
    DNS_TEMPORARY = "dns-temporary"  # the resolver did not answer, or SERVFAIL
    NO_DOMAIN = "no-domain"  # NXDOMAIN, or neither MX nor address records
    NULL_MX = "null-mx"  # RFC 7505
    LOOP = "loop"  # the best MX is ourselves
    SIZE = "size"  # larger than the peer's SIZE
    UNSUPPORTED = "unsupported"  # needs 8BITMIME, which the peer lacks
    UTF8_ADDRESS = "utf8-address"  # the sender's or recipient's address needs SMTPUTF8, which the peer lacks
    UTF8_HEADER = "utf8-header"  # the header needs SMTPUTF8, which the peer lacks
    REQUIRETLS = "requiretls"  # the message demands REQUIRETLS, which the peer lacks
    SITE_DOWN = "site-down"  # not tried: the site has failed a moment ago
    EXPIRED = "expired"  # given up: the message is older than it may get
    SUPPRESSED = "suppressed"  # given up: the address is on the service-wide suppression list
    ON_ACCOUNT_LIST = "on-account-list"  # given up: it is on the account's suppression list
    DELETED = "deleted"  # given up: the operator deleted it, and wants the sender to know
    INTERNAL = "internal"  # a bug of ours; delays mail, never bounces it


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom we talked to: MX host name, address, and TLS version and cipher (empty if plain)."""

    host: str = ""
    address: str = ""
    tls: str = ""


NOBODY = Peer()

STOPPED = "the relay stopped"  # Deferred.detail of an attempt that our own end cut off


class Onward(StrEnum):
    """What has become of the duty to report success, where the sender asked for it (RFC 3461 5.2)."""

    PROMISED = "promised"  # the peer speaks DSN: it reports
    RELAYED = "relayed"  # the peer does not: we report that we passed the message on
    DELIVERED = "delivered"  # there is no one behind: we report that it is delivered


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took responsibility."""

    reply: Reply
    peer: Peer = NOBODY
    onward: Onward = Onward.RELAYED


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; try again. ``reply`` is None where no peer said it; ``detail`` is for the log."""

    scope: Scope
    reason: Reason
    reply: Reply | None = None
    detail: str = ""
    peer: Peer = NOBODY
    dialogue: str = field(default="", compare=False, repr=False)  # of a connection that was not opened


@dataclass(frozen=True, slots=True)
class Failed:
    """Never; the sender is told. Scope is RECIPIENT or MESSAGE."""

    scope: Scope
    reason: Reason
    reply: Reply | None = None
    detail: str = ""
    peer: Peer = NOBODY


Outcome: TypeAlias = Delivered | Deferred | Failed
