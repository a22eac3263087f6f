"""What a bounce says to people: who was not reached and why, from the texts that mail servers have written.

Contract: ``read_text`` takes the text of a mail that a mail system wrote (``report_origin``; for a person's
mail it would find addresses that are no recipients), and never raises. It ends at the copy of the original,
whose header it returns. The first of these forms that names somebody counts (``report_text_forms``,
``report_text_any``):

Exim        "The following address(es) failed:", an indented address, its error indented below
sendmail    "----- The following addresses had ... errors -----", and the transcript of the session
qmail       paragraphs that begin ``<address>:`` (QSBMF); Postfix writes the same, with the error behind
any other   an address on a line of its own, or in a sentence, after words of failed delivery
none        X-Failed-Recipients, with the whole text as the reason

Bounded: MAX_CHARS in MAX_LINES lines of MAX_LINE_CHARS; every form reads each line once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from relay.base.feedback import Action, ReportedRecipient
from relay.codec.report_fields import MAX_TEXT_CHARS, address_in, reply_in
from relay.codec.report_parts import Fields, fields_of
from relay.codec.report_text_any import read_any
from relay.codec.report_text_forms import Named, read_exim, read_sendmail, read_written_out

MAX_CHARS = 128 * 1024
MAX_LINES = 2_000
MAX_LINE_CHARS = 1_000

# Lines after which the original follows.
_COPY = re.compile(
    r"-{2,}\s{0,3}(?:this is a copy of (?:the|your) message|below this line is (?:a copy of|the header)"
    r"|enclosed is a copy|the header page of the original message|(?:original|returned|unsent) message"
    r"|(?:the )?body of (?:the )?message|undelivered message|message header follows|copy of)"
    r"|\|-{3,40}\s{0,3}message text follows|content-type:\s{0,3}(?:message/rfc822|text/rfc822-headers)"
    r"|(?:the )?(?:original|returned) message (?:follows|headers?:|text:)",
    re.IGNORECASE,
)
_STATUS_FIELD = re.compile(r"(?:reporting-mta|final-recipient|original-recipient)\s{0,3}:", re.IGNORECASE)
_REPORTER = re.compile(
    r"this is the (?:\S{1,40} program|mail system|[\w ]{1,60}?) at (?:host )?([\w.-]{1,255})", re.IGNORECASE
)
_DELAYS = (
    "has not yet been delivered",
    "have not yet received",
    "warning message only",
    "this is a warning only",
    "do not need to resend",
    "still undelivered",
    "still being retried",
    "will keep trying",
    "will continue to try",
    "delivery attempts will continue",
    "delivery incomplete",
    "will retry for",
    "delivery has been delayed",
    "delayed mail",
)
_ENDED = ("permanent error", "permanent fatal error", "given up", "giving up", "not going to try again")


@dataclass(slots=True)
class TextReport:
    """What the text names: recipients, the server that wrote it, and the header of the original."""

    recipients: list[ReportedRecipient] = field(default_factory=list)
    reporting_mta: str = ""
    returned: Fields | None = None


def read_text(text: str, header: Fields) -> TextReport:
    """The recipients that the text of a mail system's mail names; ``header`` is that mail's own."""
    lines = [line[:MAX_LINE_CHARS].rstrip() for line in text[:MAX_CHARS].split("\n", MAX_LINES)[:MAX_LINES]]
    end = next((at for at, line in enumerate(lines) if _COPY.match(line.lstrip()[:200])), len(lines))
    told, copy = lines[:end], lines[end + 1 :]
    told = told[: next((at for at, line in enumerate(told) if _STATUS_FIELD.match(line[:40])), end)]
    failed = [address_in(part) for part in header.first("x-failed-recipients").split(",")[:200]]
    failed = [address for address in failed if address]
    named = (
        read_exim(told, failed)
        or read_sendmail(told)
        or read_written_out(told)
        or read_any(told, _own_addresses(header))
        or [Named(address, told) for address in failed]
    )
    action = _action(told, header)
    reporter = _REPORTER.search("\n".join(told[:20]))
    return TextReport(
        [_recipient(found, action) for found in named],
        reporter[1].rstrip(".") if reporter else "",
        _returned(copy) if copy else None,
    )


def _recipient(named: Named, action: Action) -> ReportedRecipient:
    text = "\n".join(named.lines)[:MAX_TEXT_CHARS]
    code, status = reply_in(text)
    return ReportedRecipient(
        address=named.address,
        action=action,
        status=status,
        diagnostic=" ".join(text.split()),
        original=named.original,
        code=code,
        command=named.command,
    )


def _action(lines: list[str], header: Fields) -> Action:
    """Whether the text tells of a delay, or of the end."""
    low = " ".join([header.first("subject")[:200], *lines[:60]]).lower()
    if any(words in low for words in _ENDED):
        return Action.FAILED
    is_delay = any(words in low for words in _DELAYS)
    return Action.DELAYED if is_delay else Action.FAILED


def _own_addresses(header: Fields) -> frozenset[str]:
    """Those between whom the bounce itself travels; they are not the recipients that it tells of."""
    values = [header.first(name) for name in ("from", "to", "return-path", "reply-to", "delivered-to")]
    words = [word for value in values for word in value[:1_000].split()]
    return frozenset(address_in(word).lower() for word in words)


def _returned(copy: list[str]) -> Fields | None:
    """The header of the original: the first lines after the mark that look like one."""
    is_head = [bool(line) and not line.lstrip().lower().startswith("content-") for line in copy[:20]]
    start = is_head.index(True) if True in is_head else 0
    found = fields_of("\n".join(copy[start : start + 300]).partition("\n\n")[0])
    return found if found.pairs else None
