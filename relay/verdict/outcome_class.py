"""What a failure of ours to deliver is called: bounce type and subtype, in SES's words. A decision.

Contract: ``class_of`` judges a recipient that was given up. What a receiver said is judged as what a report
says (``bounce_class``), by the status that it gave itself, with three things that only we know::

    the last reply was temporary, and the time is up      never Permanent
    a refusal of the message, for several recipients      never Permanent: it does not say which of them
    a refusal of the message that speaks of the sender    never Permanent: it is not about the recipient

Where nobody said anything::

    no-domain                               Transient/General, as SES (5.4.4): a name server that has lost a
                                            zone for an hour says the same as one that never had it
    null-mx                                 Permanent/General: the owner of the domain says so (RFC 7505)
    suppressed                              Permanent/Suppressed
    on-account-list                         Permanent/OnAccountSuppressionList
    size                                    Transient/MessageTooLarge
    unsupported, utf8-header                Transient/ContentRejected: another content would do
    loop, utf8-address, requiretls,         Transient/General
    deleted, all else, and what expired

Permanent means that the address itself is no good; it counts against the sender and suppresses. So what is
not certain never gets that name.

Not on the hot path: once for each recipient that fails.
"""

from __future__ import annotations

from relay.base.feedback import Action, BounceClass, BounceSubType, BounceType
from relay.base.message import Message
from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.reply import Reply
from relay.verdict.bounce_class import classify_bounce

GENERAL = BounceClass(BounceType.TRANSIENT, BounceSubType.GENERAL)
_UNDETERMINED = BounceClass(BounceType.UNDETERMINED, BounceSubType.UNDETERMINED)
_CONTENT = BounceClass(BounceType.TRANSIENT, BounceSubType.CONTENT_REJECTED)
_BY_REASON = {
    Reason.NULL_MX: BounceClass(BounceType.PERMANENT, BounceSubType.GENERAL),
    Reason.SUPPRESSED: BounceClass(BounceType.PERMANENT, BounceSubType.SUPPRESSED),
    Reason.ON_ACCOUNT_LIST: BounceClass(BounceType.PERMANENT, BounceSubType.ON_ACCOUNT_SUPPRESSION_LIST),
    Reason.SIZE: BounceClass(BounceType.TRANSIENT, BounceSubType.MESSAGE_TOO_LARGE),
    Reason.UNSUPPORTED: _CONTENT,
    Reason.UTF8_HEADER: _CONTENT,
}


def class_of(outcome: Failed | Deferred, message: Message, is_alone: bool) -> BounceClass:
    """The bounce that this is. ``is_alone``: no other recipient was in the same attempt."""
    reply = outcome.reply
    if reply is None or outcome.reason in (Reason.SUPPRESSED, Reason.ON_ACCOUNT_LIST):
        return _BY_REASON.get(outcome.reason, GENERAL) if isinstance(outcome, Failed) else GENERAL
    command = "RCPT" if outcome.scope is Scope.RECIPIENT else ""
    found = classify_bounce(reply.enhanced, reply.code, reply.text, Action.FAILED, command)
    if not found.is_hard:
        return found
    if isinstance(outcome, Deferred):
        return GENERAL
    if outcome.scope is Scope.MESSAGE:
        if _is_about_sender(reply, message):
            return GENERAL
        if not is_alone:
            return _UNDETERMINED
    return found


def _is_about_sender(reply: Reply, message: Message) -> bool:
    """MAIL was refused, or the refusal of the message names who sent it."""
    said = reply.text.lower()
    sender = message.wire_sender.lower()
    return "sender" in said or "mail from" in said or bool(sender and sender in said)
