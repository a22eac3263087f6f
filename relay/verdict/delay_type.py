"""Why a recipient still waits, in SES's words. A decision: no clock, no I/O.

Contract: ``delay_type_of`` judges an outcome of ours, ``delay_type`` what a server said, ours or another's::

    our own trouble, or our password refused      InternalFailure
    x.2.2, or the text says that it is full       MailboxFull
    the text speaks of spam                       SpamDetected
    the text speaks of our address or rate        IPFailure
    x.4.*; no connection, no answer, no DNS       TransientCommunicationFailure
    x.3.*, 421, no SMTP                           RecipientServerError
    any other reply                               General
    nobody knows                                  Undetermined

Not on the hot path: once for each recipient of whose delay the sender hears.
"""

from __future__ import annotations

import re

from relay.base.feedback import DelayType
from relay.base.outcome import Deferred, Reason
from relay.codec.status import status_of

_BY_REASON = {
    Reason.INTERNAL: DelayType.INTERNAL_FAILURE,
    Reason.AUTH: DelayType.INTERNAL_FAILURE,
    Reason.EXPIRED: DelayType.UNDETERMINED,  # it waits for its turn, and nobody has said anything yet
    Reason.PROTOCOL: DelayType.RECIPIENT_SERVER_ERROR,
    Reason.BUSY: DelayType.RECIPIENT_SERVER_ERROR,
    Reason.GREETING: DelayType.RECIPIENT_SERVER_ERROR,
    Reason.CONNECT: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
    Reason.TIMEOUT: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
    Reason.CONNECTION_LOST: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
    Reason.REPLY_LOST: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
    Reason.TLS: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
    Reason.DNS_TEMPORARY: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
    Reason.SITE_DOWN: DelayType.TRANSIENT_COMMUNICATION_FAILURE,
}
_FULL = re.compile(r"mail ?box (?:is )?full|over ?quota|quota (?:is )?exceeded|exceeded .{0,20}quota", re.I)
_SPAM = re.compile(r"\bspam|unsolicited|\bbulk\b|\bjunk\b", re.I)
_OURS = re.compile(
    r"\bIP\b|\bblock|black ?list|\b(?:dns)?[rd]?bl\b|reputation|throttl|rate.?limit|too (?:many|much|fast)",
    re.I,
)


def delay_type_of(outcome: Deferred) -> DelayType:
    """Why a recipient waits whose last attempt ended so."""
    if outcome.reply is None or outcome.reason in (Reason.INTERNAL, Reason.AUTH):
        return _BY_REASON.get(outcome.reason, DelayType.GENERAL)
    return delay_type(status_of(outcome), outcome.reply.code, outcome.reply.text)


def delay_type(status: str, code: int, text: str) -> DelayType:
    """Why a server makes a recipient wait: ``status`` as "4.2.2", ``code`` 0 and ``text`` "" if not known."""
    _, _, subject = status.partition(".")
    if not status and not code and not text:
        return DelayType.UNDETERMINED
    if subject == "2.2" or _FULL.search(text):
        return DelayType.MAILBOX_FULL
    if _SPAM.search(text):
        return DelayType.SPAM_DETECTED
    if _OURS.search(text):
        return DelayType.IP_FAILURE
    if subject.startswith("4."):
        return DelayType.TRANSIENT_COMMUNICATION_FAILURE
    if subject.startswith("3.") or code == 421:
        return DelayType.RECIPIENT_SERVER_ERROR
    return DelayType.GENERAL
