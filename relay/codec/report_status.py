"""Delivery status as programs write it (RFC 3464 2, RFC 6533): fields of the message, then of each recipient.

Contract: ``read_status`` takes the text of a message/delivery-status part, or a text that has such fields in
it, and never raises. It forgives: no blank line between recipients or one too many within, fields folded
oddly or misspelt, a missing Action, a comment behind the Status, ``rfc822`` in any case or missing.

The status of a recipient is the one that the refusing server put behind its reply code, where Diagnostic-Code
quotes that; Status is what the reporting server made of it, and is often less (Exim: always 5.0.0; sendmail:
5.1.1 for whatever is refused at RCPT). A quoted x.0.0 says nothing that Status does not say better.

Deliberately not here: what the part for people adds (``report_text``), what it all means (``verdict``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.base.feedback import Action, ReportedRecipient
from relay.codec.report_fields import MAX_TEXT_CHARS, address_of, host_in, reply_in, status_in, typed
from relay.codec.report_parts import Fields, fields_of

MAX_RECIPIENTS = 2_000
_STARTS = ("final-recipient", "original-recipient")
_ABOUT_RECIPIENT = ("action", "status", "diagnostic-code", "remote-mta", "last-attempt-date")
_ACTIONS = {action.value: action for action in Action}


@dataclass(slots=True)
class DeliveryStatus:
    """What a delivery status says: ``message`` about the message, the rest about its recipients."""

    message: Fields
    recipients: list[ReportedRecipient] = field(default_factory=list)


def has_status(text: str) -> bool:
    """Whether ``text`` holds fields of a delivery status, at the beginning of lines."""
    low = f"\n{text.lower()}"
    return "\nfinal-recipient:" in low and ("\naction:" in low or "\nstatus:" in low)


def read_status(text: str) -> DeliveryStatus:
    """The delivery status in ``text``."""
    message: list[tuple[str, str]] = []
    groups: list[list[tuple[str, str]]] = []
    for block in text.split("\n\n"):
        is_new = True
        for name, value in fields_of(block).pairs:
            seen = {key for key, _ in groups[-1]} if groups else set()
            if name in _STARTS:
                if not groups or (is_new and seen & {*_STARTS}) or name in seen:
                    groups.append([])
                is_new = False
                groups[-1].append((name, value))
            elif name in _ABOUT_RECIPIENT and is_new and (not groups or name in seen):
                groups.append([(name, value)])  # before its Final-Recipient, as Exim and SES have it
                is_new = False
            elif groups and (not is_new or name in _ABOUT_RECIPIENT):
                groups[-1].append((name, value))
            else:
                message.append((name, value))
        if len(groups) >= MAX_RECIPIENTS:
            break
    recipients = [_recipient(Fields(group)) for group in groups[:MAX_RECIPIENTS]]
    return DeliveryStatus(Fields(message), [found for found in recipients if found is not None])


def _recipient(fields: Fields) -> ReportedRecipient | None:
    """A recipient from its fields; None if they name nobody at all."""
    original = address_of(fields.first("original-recipient"))
    final = fields.first("final-recipient")
    if not original and not final:
        return None
    action = fields.first("action").split(None, 1)
    stated = status_in(fields.first("status"))
    diagnostic = fields.first("diagnostic-code")[:MAX_TEXT_CHARS]
    code, quoted = reply_in(typed(diagnostic))
    return ReportedRecipient(
        address=address_of(final) or address_of(fields.first("x-actual-recipient")) or original,
        action=_ACTIONS.get(action[0].lower().rstrip(";,"), Action.UNKNOWN) if action else Action.UNKNOWN,
        status=better_status(quoted, stated),
        diagnostic=diagnostic,
        original=original,
        remote_mta=host_in(fields.first("remote-mta")),
        code=code,
    )


def better_status(quoted: str, stated: str) -> str:
    """Of what the refusing server said and what the reporting server makes of it, what says more."""
    if quoted and (not quoted.endswith(".0.0") or not stated):
        return quoted
    return stated
