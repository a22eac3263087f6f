"""What a bounce means: its type and subtype, from the status, the reply code and the words of the refusal.

Contract, pure: ``classify_bounce`` never calls PERMANENT what is not certain, since a permanent bounce takes
the address out of service. How the three are weighed:

1. A delay is Transient. What was refused before a recipient was named (greeting, EHLO, MAIL) is nobody's
   address.
2. The words: the first row of the table (``bounce_texts``) that is in them. Any row that is not permanent
   decides at once, whatever the status says: "550 5.1.1 blocked using ..." and "5.1.1 mailbox full" are not
   about an address that does not exist; servers put 5.1.1 on all that they refuse at RCPT.
3. The status (RFC 3463, RFC 7505), where it says something::

       4.x.x     Transient, by the last two numbers as below; never permanent
       5.1.1     Permanent/NoEmail        5.1.2, 5.1.3, 5.1.6, 5.1.10, 5.4.310  Permanent/General
       5.2.2     Transient/MailboxFull    5.2.3, 5.3.4    Transient/MessageTooLarge
       5.6.x     Transient/ContentRejected
       5.1.4, 5.1.7-5.1.9, 5.2.1, 5.2.4, 5.3.x, 5.4.x, 5.5.3, 5.7.x     Transient/General
       x.0.0, 5.1.0, 5.2.0, 5.5.x     nothing

4. A permanent row of the words counts where the status does not contradict it: with 5.7.1, "user unknown" is
   Transient. The status is silent for this where it says nothing, and for 5.1.4, 5.2.1 and 5.4.x, which are
   about addresses and the ways to them too. Where another server's reply is quoted, it must have been to
   RCPT: some say "user unknown" at the end of DATA, to content that they do not like. What the reporting
   server says of its own (no reply code) needs no command. Few rows are certain enough to need neither.
5. The reply code, where nothing else is known: 4yz Transient, 552 at RCPT MailboxFull, 556 (RFC 7504: the
   domain takes no mail) Permanent/General. Else Undetermined.

Cost, measured: see ``bounce_texts``; not for mail that is delivered.
"""

from __future__ import annotations

from relay.base.feedback import Action, BounceClass, BounceSubType, BounceType, ReportedRecipient
from relay.verdict.bounce_texts import judged

_UNDETERMINED = BounceClass(BounceType.UNDETERMINED, BounceSubType.UNDETERMINED)
_TRANSIENT = BounceClass(BounceType.TRANSIENT, BounceSubType.GENERAL)
_FULL = BounceClass(BounceType.TRANSIENT, BounceSubType.MAILBOX_FULL)
_TOO_LARGE = BounceClass(BounceType.TRANSIENT, BounceSubType.MESSAGE_TOO_LARGE)
_CONTENT = BounceClass(BounceType.TRANSIENT, BounceSubType.CONTENT_REJECTED)
_NO_ADDRESS = BounceClass(BounceType.PERMANENT, BounceSubType.NO_EMAIL)
_PERMANENT = BounceClass(BounceType.PERMANENT, BounceSubType.GENERAL)

# By subject and detail of the status, else by subject alone. None: it says nothing.
_BY_DETAIL: dict[str, BounceClass | None] = {
    "1.0": None,
    "1.1": _NO_ADDRESS,
    "1.2": _PERMANENT,
    "1.3": _PERMANENT,
    "1.6": _PERMANENT,
    "1.10": _PERMANENT,
    "2.0": None,
    "2.2": _FULL,
    "2.3": _TOO_LARGE,
    "3.4": _TOO_LARGE,
    "4.310": _PERMANENT,
    "5.3": _TRANSIENT,
}
_BY_SUBJECT: dict[str, BounceClass | None] = {
    "0": None,
    "1": _TRANSIENT,
    "2": _TRANSIENT,
    "3": _TRANSIENT,
    "4": _TRANSIENT,
    "5": None,
    "6": _CONTENT,
    "7": _TRANSIENT,
}
_BEFORE_RECIPIENT = ("CONNECT", "EHLO", "MAIL")


def classify_bounce(
    status: str, code: int, text: str, action: Action = Action.FAILED, command: str = ""
) -> BounceClass:
    """Judge one recipient's refusal: enhanced status code ("" for none), reply code (0 for none), its words,
    what the reporting server did, and the command that was refused ("RCPT", "DATA", ...; "" if not known)."""
    status_class, _, detail = status.partition(".")
    row = judged(text)
    by_words = row.verdict if row is not None else None
    if by_words is not None and not by_words.is_hard:
        return by_words
    by_status = _of_status(detail) if status else None
    is_over = action in (Action.FAILED, Action.UNKNOWN)
    if is_over and row is not None and row.is_certain:
        return row.verdict
    if not is_over or status_class == "4" or 400 <= code < 500 or command in _BEFORE_RECIPIENT:
        return by_status if by_status is not None and not by_status.is_hard else _TRANSIENT
    if by_status is not None and by_status.is_hard:
        return by_words or by_status  # if there are any, they are permanent, and tell user from domain
    is_proof = command == "RCPT" or (code == 0 and command != "DATA")
    if by_words is not None and is_proof and _may_be_about_address(detail, by_status):
        return by_words
    if by_status is not None:
        return by_status
    return _of_code(code, command) if by_words is None else _UNDETERMINED


def classify_reported(recipient: ReportedRecipient) -> BounceClass:
    """Judge what a report says of one recipient."""
    text = recipient.diagnostic or recipient.remark
    return classify_bounce(recipient.status, recipient.code, text, recipient.action, recipient.command)


def _of_status(detail: str) -> BounceClass | None:
    """What subject and detail of a status say; None for nothing."""
    if detail in _BY_DETAIL:
        return _BY_DETAIL[detail]
    return _BY_SUBJECT.get(detail.partition(".")[0])


def _may_be_about_address(detail: str, by_status: BounceClass | None) -> bool:
    """Whether words of an address that does not exist can go with this status."""
    if by_status is None:
        return True
    return detail in ("1.4", "2.1") or detail.startswith("4.")


def _of_code(code: int, command: str) -> BounceClass:
    """What a reply code alone says."""
    if code == 556:
        return _PERMANENT
    if code == 552 and command == "RCPT":
        return _FULL
    return _UNDETERMINED
