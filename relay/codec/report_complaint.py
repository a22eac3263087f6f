"""Complaints: feedback reports (RFC 5965), and the older form in which Outlook.com sends them.

Contract: ``read_complaint`` gives the report, or None if the mail is none. Feedback-Type is in lower case;
"abuse" where it is missing. Recipients are those that the report names (Original-Rcpt-To, Removal-Recipient)
and that are addresses: what is "redacted" is left out, and then the original message's id tells who it was.
RFC 6591's reports of failed authentication are feedback reports too ("auth-failure"), though nobody
complained.

Outlook.com's programme sends the message as a part, with X-HmXmrOriginalRecipient in its header, and no
report; nobody else sets that field.
"""

from __future__ import annotations

from dataclasses import replace

from relay.base.feedback import Report, ReportedRecipient, ReportKind
from relay.codec.report_fields import address_in, date_in, host_in, message_id_in, typed
from relay.codec.report_parts import Fields, Parts, fields_of

_MAX_RECIPIENTS = 200
_MAX_WORD_CHARS = 500


def read_complaint(parts: Parts, found: Report) -> Report | None:
    """The mail as a complaint; ``found`` has what its own header says."""
    returned = parts.returned or Fields()
    text = parts.report("message/feedback-report")
    if not text:
        named = returned.first("x-hmxmroriginalrecipient")
        if not named:
            return None
        return replace(
            found,
            kind=ReportKind.COMPLAINT,
            feedback_type="abuse",
            recipients=_recipients([named]),
            message_id=message_id_in(returned.first("message-id")) or found.message_id,
            return_path=address_in(returned.first("return-path")),
        )
    fields = fields_of(text.strip("\n").replace("\n\n", "\n"))
    arrival = fields.first("arrival-date") or fields.first("received-date")
    named_ones = fields.all("original-rcpt-to") + fields.all("removal-recipient")
    return replace(
        found,
        kind=ReportKind.COMPLAINT,
        feedback_type=fields.first("feedback-type").lower()[:_MAX_WORD_CHARS] or "abuse",
        user_agent=fields.first("user-agent")[:_MAX_WORD_CHARS],
        recipients=_recipients(named_ones or [returned.first("x-hmxmroriginalrecipient")]),
        reporting_mta=host_in(fields.first("reporting-mta")),
        envelope_id=fields.first("original-envelope-id")[:_MAX_WORD_CHARS],
        message_id=message_id_in(returned.first("message-id")) or found.message_id,
        return_path=address_in(typed(fields.first("original-mail-from")))
        or address_in(returned.first("return-path")),
        arrived_at=date_in(arrival),
    )


def _recipients(named: list[str]) -> tuple[ReportedRecipient, ...]:
    """Those who are named with an address, each once."""
    addresses = [address_in(typed(value)) for value in named[:_MAX_RECIPIENTS]]
    plain = [address for address in addresses if address and not _is_redacted(address)]
    return tuple([ReportedRecipient(address) for address in dict.fromkeys(plain)])


def _is_redacted(address: str) -> bool:
    local_part = address.partition("@")[0].lower()
    return "redacted" in local_part or not local_part.strip("x*-_.")
