"""Refusals in the dress of a receipt: what a mailbox's own rules send back (RFC 5429 reject, over RFC 8098).

Contract: ``read_refusal`` gives the report, or None if the mail is none. Dovecot, and other stores that have
Sieve, refuse a message after the server has taken it, for want of space or by a rule of the recipient, and
tell so by a disposition notification that says in Auto-Submitted that the message was rejected. Without that
it is a receipt ("read", "deleted unread") and nobody's bounce.

The command is DATA: what a recipient's rule says, in words of their own, proves nothing about the address.
"""

from __future__ import annotations

from dataclasses import replace

from relay.base.feedback import Action, Report, ReportedRecipient, ReportKind
from relay.codec.report_fields import MAX_TEXT_CHARS, address_in, address_of, message_id_in
from relay.codec.report_parts import Fields, Parts, fields_of

_TYPES = ("message/disposition-notification", "message/global-disposition-notification")


def read_refusal(parts: Parts, found: Report) -> Report | None:
    """The mail as a refusal; ``found`` has what its own header says."""
    text = parts.report(*_TYPES)
    if not text or "rejected" not in parts.header.first("auto-submitted").lower():
        return None
    fields = fields_of(text.strip("\n").replace("\n\n", "\n"))
    address = address_of(fields.first("final-recipient"))
    if not address:
        return None
    said = "\n".join(parts.texts)[:MAX_TEXT_CHARS]
    _, mark, reason = said.partition("automatically rejected:")
    returned = parts.returned or Fields()
    recipient = ReportedRecipient(
        address=address,
        action=Action.FAILED,
        diagnostic=" ".join((reason if mark else said).split()),
        original=address_of(fields.first("original-recipient")),
        command="DATA",
    )
    return replace(
        found,
        kind=ReportKind.BOUNCE,
        recipients=(recipient,),
        message_id=message_id_in(returned.first("message-id"))
        or message_id_in(fields.first("original-message-id"))
        or found.message_id,
        return_path=address_in(returned.first("return-path")),
    )
