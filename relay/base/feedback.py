"""What comes back about a message after it was sent: words for bounces, complaints and automatic replies.

``Report`` is a mail that a stranger's server sent, as far as it could be read (``relay.codec.report``);
nothing in it is believed yet. ``BounceType`` and ``BounceSubType`` are SES's (notification-contents.md,
"Bounce types"). Only PERMANENT means that the address itself is no good; what is not known for certain is
never called that.

Pure words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BounceType(StrEnum):
    """How a bounce is to be taken. Only a permanent one counts towards the bounce rate."""

    PERMANENT = "Permanent"
    TRANSIENT = "Transient"
    UNDETERMINED = "Undetermined"


class BounceSubType(StrEnum):
    """Why, as far as SES tells reasons apart."""

    UNDETERMINED = "Undetermined"
    GENERAL = "General"
    NO_EMAIL = "NoEmail"
    SUPPRESSED = "Suppressed"
    ON_ACCOUNT_SUPPRESSION_LIST = "OnAccountSuppressionList"
    MAILBOX_FULL = "MailboxFull"
    MESSAGE_TOO_LARGE = "MessageTooLarge"
    CONTENT_REJECTED = "ContentRejected"
    ATTACHMENT_REJECTED = "AttachmentRejected"


class DelayType(StrEnum):
    """Why a recipient still waits, in SES's words (event-publishing-retrieving-sns-contents.md)."""

    INTERNAL_FAILURE = "InternalFailure"
    GENERAL = "General"
    MAILBOX_FULL = "MailboxFull"
    SPAM_DETECTED = "SpamDetected"
    RECIPIENT_SERVER_ERROR = "RecipientServerError"
    IP_FAILURE = "IPFailure"
    TRANSIENT_COMMUNICATION_FAILURE = "TransientCommunicationFailure"
    BYOIP_HOST_NAME_LOOKUP_UNAVAILABLE = "BYOIPHostNameLookupUnavailable"  # never said here
    UNDETERMINED = "Undetermined"


@dataclass(frozen=True, slots=True)
class BounceClass:
    """A bounce, judged: its type and its subtype."""

    type: BounceType
    subtype: BounceSubType

    @property
    def is_hard(self) -> bool:
        """The address is no good; mail to it hurts the sender's reputation."""
        return self.type is BounceType.PERMANENT


class ReportKind(StrEnum):
    """What a mail that came back is."""

    BOUNCE = "bounce"  # a delivery status notification, or something in its place; also delays and successes
    COMPLAINT = "complaint"  # RFC 5965
    AUTO_REPLY = "auto-reply"  # RFC 3834
    OTHER = "other"


class Action(StrEnum):
    """RFC 3464 2.3.3: what the reporting server did about a recipient."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    UNKNOWN = ""  # the report does not say


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What a report says of one recipient. Empty is what it does not say."""

    address: str  # Final-Recipient, else what the text names
    action: Action = Action.UNKNOWN
    status: str = ""  # enhanced status code, "5.1.1" (RFC 3463): the refusing server's own if it is quoted
    diagnostic: str = ""  # Diagnostic-Code as it stands, "smtp; 550 5.1.1 unknown"; else the text about it
    original: str = ""  # Original-Recipient without its type, xtext undone
    remote_mta: str = ""
    code: int = 0  # of the reply that is quoted, 550; 0 if none is
    command: str = ""  # what was refused: "CONNECT", "EHLO", "MAIL", "RCPT" or "DATA" (its end, too)
    remark: str = ""  # what the part for people says about it, beside the diagnostic


@dataclass(frozen=True, slots=True)
class Report:
    """A mail that came back, read. Times are seconds since the epoch, 0 where there is none."""

    kind: ReportKind
    recipients: tuple[ReportedRecipient, ...] = ()  # of a bounce; of a complaint those whom it names
    reporting_mta: str = ""  # without "dns; "
    sent_at: float = 0.0  # Date of the mail itself
    sender: str = ""  # the address in From of the mail itself: of an automatic reply, who is away
    envelope_id: str = ""  # Original-Envelope-Id
    message_id: str = ""  # Message-ID of the message that it is about, with angle brackets
    return_path: str = ""  # Return-Path or Original-Mail-From of that message
    feedback_type: str = ""  # of a complaint: "abuse", "not-spam", ...
    user_agent: str = ""
    arrived_at: float = 0.0  # Arrival-Date or Received-Date of a complaint
    subject: str = ""
