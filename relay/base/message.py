"""A message as the relay knows it, from the envelope of its submission to its last recipient's outcome.

``Recipient.number`` identifies a recipient within its message for as long as it lives; it is never a list
position. Times are wall-clock seconds since the epoch. ``content`` is header and body with CRLF line ends
and without dot-stuffing: exactly what signing made and what every receiver gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class RecipientState(StrEnum):
    """Where a recipient is, as stored. Done recipients have no row."""

    FRESH = "fresh"  # no attempt has settled yet
    DEFERRED = "deferred"  # waits for due_at
    HELD = "held"  # waits for the operator
    PARKED = "parked"  # due, and waits on disk until its lane has room, is reached again, or is resumed


class TlsWish(StrEnum):
    """What the message itself says about TLS on its way (RFC 8689)."""

    NONE = ""
    REQUIRED = "required"  # REQUIRETLS: verified TLS to a host that offers REQUIRETLS, or no delivery
    OPTIONAL = "optional"  # "TLS-Required: No": delivery matters more than the policies of the receiver


@dataclass(slots=True)
class Recipient:
    """One RCPT TO. ``domain`` is what its route is looked up by: lower case, A-labels (RFC 5890), or an
    address literal in brackets; after the operator rerouted it, the next hop as ``host:port``; of one on a
    suppression list, which list (``relay.base.suppression``)."""

    number: int
    address: str
    domain: str
    notify: str = ""  # RFC 3461 NOTIFY, upper case: "", "NEVER", "SUCCESS,DELAY,FAILURE"
    orcpt: str = ""  # RFC 3461 ORCPT, "rfc822;user@example.org", decoded
    state: RecipientState = RecipientState.FRESH
    attempts: int = 0
    due_at: float = 0.0
    reply: str = ""  # the last reply or reason, for people
    is_told: bool = False  # the sender has heard of the delay


@dataclass(slots=True)
class Envelope:
    """MAIL FROM, RCPT TO and their parameters (RFC 5321, 6152, 6531, 3461)."""

    sender: str = ""  # "" is the null reverse-path
    recipients: list[Recipient] = field(default_factory=list)
    is_8bit: bool = False  # BODY=8BITMIME
    is_utf8: bool = False  # SMTPUTF8
    ret: str = ""  # "", "FULL", "HDRS"
    envid: str = ""  # decoded xtext
    size_bytes: int = 0  # SIZE= as announced; 0 if not
    deliver_within_s: float = 0.0  # DELIVERBY (RFC 2852), seconds from MAIL; 0: not asked for
    is_by_notify: bool = False  # DELIVERBY mode N: past the time tell, and go on; mode R: give up
    tls: TlsWish = TlsWish.NONE


@dataclass(frozen=True, slots=True)
class Client:
    """Who handed a message in, for the Received line and the log."""

    address: str = ""  # "192.0.2.1" or "2001:db8::1"; empty for the CLI and for our own bounces
    port: int = 0
    helo: str = ""
    protocol: str = ""  # RFC 3848: "ESMTPSA", "ESMTP", ...
    tls: str = ""  # "TLSv1.3 TLS_AES_256_GCM_SHA384" or empty
    credential: str = ""  # access key id, empty without AUTH


@dataclass(slots=True)
class Submission:
    """An envelope and content, on whose behalf (account id; 0 is the relay itself), and from where."""

    account_id: int
    envelope: Envelope
    content: bytes
    client: Client


@dataclass(slots=True, eq=False)
class Message:
    """A message that the spool keeps, or is about to. Compared by identity.

    ``key`` is its row in the shard, 0 until stored. ``content`` is None while the bytes are only on disk;
    ``size_bytes`` counts them either way.
    """

    id: str
    shard: int
    account_id: int
    sender: str
    recipients: list[Recipient]
    size_bytes: int
    arrived_at: float
    expires_at: float
    content: bytes | None = None
    key: int = 0
    is_8bit: bool = False  # the content has bytes above 127
    is_utf8: bool = False  # the header needs SMTPUTF8; whether an address does, it says itself
    ret: str = ""
    envid: str = ""
    is_large: bool = False  # the content is in a file of its own
    return_path: str = ""  # MAIL FROM on the wire where it is not the sender's
    control: str = ""  # what its X-SES-* fields asked for, as a JSON object; "" for nothing
    identity: str = ""  # the verified identity that it was sent as; "" for the relay's own
    deadline: float = 0.0  # when the sender wants to hear that it has not arrived; 0: no deadline
    is_by_notify: bool = False  # past the deadline the sender is told, and delivery goes on
    tls: TlsWish = TlsWish.NONE
    left: int = 0  # recipients without an outcome; 0 for a message that was loaded in part
    in_hand: int = 0  # attempts in memory that refer to it

    @property
    def wire_sender(self) -> str:
        """MAIL FROM as receivers see it. Bounces of ours go to ``sender``."""
        return self.return_path or self.sender

    @property
    def gives_up_at(self) -> float:
        """When the sender is told that it was not delivered: at its deadline if that ends it, else when it
        expires."""
        if self.deadline and not self.is_by_notify and self.deadline < self.expires_at:
            return self.deadline
        return self.expires_at

    @property
    def rank(self) -> float:
        """What comes first within an account: the earliest moment after which it is late."""
        return min(self.deadline, self.expires_at) if self.deadline else self.expires_at


@dataclass(slots=True, eq=False)
class Attempt:
    """One try to hand a message to one site for some of its recipients. Compared by identity."""

    message: Message
    recipients: list[Recipient]
    lane: str
    slots: tuple[int, ...] = ()  # places in the journal of dots sent, while the reply is unknown
    took_s: float = 0.0  # from MAIL to the last reply, as the transport measured; 0 if nothing was answered
    transcript: str = ""  # what was said, if it did not go well; else nothing is written down
