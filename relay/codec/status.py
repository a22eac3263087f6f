"""What an outcome is called in a report: an enhanced status code (RFC 3463) and a sentence for people.

Contract: the code that the peer sent is kept if its class fits the outcome: 2 for what it took, 5 for what
failed, 4 for what was given up after temporary trouble (RFC 3463 2: a temporary condition that persists).
Else the code follows from the reply's number, else from the reason. 4.4.7, "too old", is said only where no
better code is known (RFC 3463 3.5).

Pure tables; not on the hot path.
"""

from __future__ import annotations

from relay.base.message import Message
from relay.base.outcome import Deferred, Delivered, Failed, Reason
from relay.codec.report_words import one_line

# Subject and detail of the status code, by reason; the class comes from the outcome.
_BY_REASON = {
    Reason.ACCEPTED: "0.0",
    Reason.REFUSED: "0.0",
    Reason.GREETING: "3.2",
    Reason.BUSY: "3.2",
    Reason.CONNECT: "4.1",
    Reason.TIMEOUT: "4.2",
    Reason.CONNECTION_LOST: "4.2",
    Reason.REPLY_LOST: "4.2",
    Reason.PROTOCOL: "5.0",
    Reason.TLS: "7.5",
    Reason.AUTH: "7.8",
    Reason.DNS_TEMPORARY: "4.3",
    Reason.NO_DOMAIN: "1.2",
    Reason.NULL_MX: "1.10",  # RFC 7505 4.2
    Reason.LOOP: "4.6",
    Reason.SIZE: "3.4",
    Reason.UNSUPPORTED: "6.3",
    Reason.UTF8_ADDRESS: "6.7",  # RFC 5248, RFC 6531 3.5
    Reason.UTF8_HEADER: "6.9",
    Reason.REQUIRETLS: "7.30",  # RFC 8689 4.2.1
    Reason.SITE_DOWN: "4.1",
    Reason.EXPIRED: "4.7",
    Reason.SUPPRESSED: "1.1",
    Reason.ON_ACCOUNT_LIST: "1.1",
    Reason.DELETED: "7.1",
    Reason.INTERNAL: "3.0",
}

# The same by reply number, where it says more than "refused" (RFC 5321 4.2.3).
_BY_CODE = {
    421: "3.2",
    450: "2.0",
    451: "3.0",
    452: "3.1",
    454: "7.0",
    500: "5.2",
    501: "5.4",
    502: "5.1",
    503: "5.1",
    504: "5.4",
    521: "3.2",  # RFC 7504
    530: "7.0",
    534: "7.9",
    535: "7.8",
    551: "1.6",
    552: "2.2",
    553: "1.3",
    555: "5.4",
    556: "1.10",  # RFC 7504, RFC 7505
}

_SENTENCES = {
    Reason.REFUSED: "The receiving mail server refused the message.",
    Reason.GREETING: "The receiving mail server did not want to talk to us.",
    Reason.BUSY: "The receiving mail server was too busy.",
    Reason.CONNECT: "No connection to the receiving mail server could be made.",
    Reason.TIMEOUT: "The receiving mail server did not answer in time.",
    Reason.CONNECTION_LOST: "The connection to the receiving mail server broke.",
    Reason.REPLY_LOST: (
        "The connection to the receiving mail server broke at the last moment: the recipient may have got "
        "the message nevertheless."
    ),
    Reason.PROTOCOL: "The receiving mail server could not be understood.",
    Reason.TLS: "The connection to the receiving mail server could not be encrypted as it must be.",
    Reason.AUTH: "The next mail server did not accept our password.",
    Reason.DNS_TEMPORARY: "The domain of this address could not be looked up.",
    Reason.NO_DOMAIN: "The domain of this address does not exist, or takes no mail. Is the address misspelt?",
    Reason.NULL_MX: "The domain of this address takes no mail.",
    Reason.LOOP: "The domain of this address leads back to this mail server: its mail setup is wrong.",
    Reason.SIZE: "The message is larger than the receiving mail server allows.",
    Reason.UNSUPPORTED: "The receiving mail server cannot take the 8-bit text in it.",
    Reason.UTF8_ADDRESS: "The receiving mail server cannot take addresses with letters beyond ASCII.",
    Reason.UTF8_HEADER: "The receiving mail server cannot take the header, which has letters beyond ASCII.",
    Reason.REQUIRETLS: (
        "The message may only go to mail servers that keep it encrypted on its whole way (REQUIRETLS), and "
        "the receiving mail server does not promise that."
    ),
    Reason.SITE_DOWN: "The receiving mail server was out of order.",
    Reason.EXPIRED: "The message is older than it may get.",
    Reason.SUPPRESSED: (
        "Mail to this address has bounced of late, so that it is on the suppression list: the message was "
        "not sent."
    ),
    Reason.ON_ACCOUNT_LIST: (
        "This address is on the suppression list of the sender's account: the message was not sent."
    ),
    Reason.DELETED: "The administrator of this mail server has deleted the message.",
    Reason.INTERNAL: "The message could not be handed on.",
}
_GIVEN_UP = "We tried several times and have now given up."


def status_of(outcome: Delivered | Failed | Deferred) -> str:
    """The status code of a recipient that was served, that failed, or that was given up while deferred."""
    if isinstance(outcome, Delivered):
        return outcome.reply.enhanced if outcome.reply.enhanced.startswith("2.") else "2.0.0"
    status_class = _class_of(outcome)
    reply = outcome.reply
    if reply is not None:
        if reply.enhanced.startswith(f"{status_class}."):
            return reply.enhanced
        if reply.code in _BY_CODE:
            return f"{status_class}.{_BY_CODE[reply.code]}"
    return f"{status_class}.{_BY_REASON[outcome.reason]}"


def diagnostic_of(outcome: Failed | Deferred) -> str:
    """Diagnostic-Code (RFC 3464 2.3.6): what the peer said, or else our own word for it and its sentence.
    What the log knows beyond that is not told."""
    if outcome.reply is not None:
        return one_line(f"smtp; {outcome.reply}")
    return f"x-relay; {outcome.reason}: {cause_of(outcome)}"


def status_at(message: Message, outcome: Failed | Deferred, now: float, is_over: bool) -> str:
    """The status code; once the time that the sender set is up, that is the reason (RFC 2852).

    ``is_over``: the recipient is given up, and does not go on waiting.
    """
    if isinstance(outcome, Deferred) and 0.0 < message.deadline <= now:
        if not is_over:
            return "4.4.7"
        if not message.is_by_notify and message.deadline <= message.expires_at:
            return "5.4.7"
    return status_of(outcome)


def _class_of(outcome: Failed | Deferred) -> str:
    return "4" if isinstance(outcome, Deferred) or outcome.reason is Reason.EXPIRED else "5"


def sentence_of(outcome: Failed | Deferred) -> str:
    """What happened, for the person who sent the message."""
    said = cause_of(outcome)
    return f"{said} {_GIVEN_UP}" if _class_of(outcome) == "4" else said


def cause_of(outcome: Failed | Deferred) -> str:
    """The same, where it is not over."""
    return _SENTENCES.get(outcome.reason, _SENTENCES[Reason.INTERNAL])
