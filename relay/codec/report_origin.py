"""Where a mail that came back is from, by its own header: a mail system, an automatic reply, or a person.

Contract: ``is_from_mail_system`` wants two signs that a mail system wrote it, a sender and a subject, or one
that only mail systems give; somebody who forwards or quotes a bounce has none of these in the header of his
own mail. ``is_automatic`` follows RFC 3834 5 (Auto-Submitted), else the fields that autoresponders of old
set, else a subject that mail programs put before an automatic reply. "Precedence: bulk" and
X-Auto-Response-Suppress alone are signs of newsletters too, and count only with a reply's In-Reply-To.

Pure; the subject is decoded (RFC 2047), cut to a length before.
"""

from __future__ import annotations

import re
from email.errors import MessageError
from email.header import decode_header, make_header

from relay.codec.report_fields import address_in
from relay.codec.report_parts import Fields

_SYSTEM_SENDERS = (
    "mailer-daemon",
    "mailerdaemon",
    "mail-daemon",
    "mail_daemon",
    "postmaster",
    "mdaemon",
    "microsoftexchange",
    "bounce",
    "bounces",
    "no-reply-mail-delivery",
    "mail.daemon",
)
# In the name, or anywhere in the local part, of gateways of all kinds.
_SYSTEM_NAMES = (
    "mail delivery",
    "mailer-daemon",
    "mail administrator",
    "system administrator",
    "delivery subsystem",
    "postmaster",
    "mail system",
    "smtp",
    "mailer",
    "gateway",
)
_BOUNCE_SUBJECTS = (
    "undeliver",
    "delivery status notification",
    "delivery failure",
    "delivery failed",
    "delivery has failed",
    "delivery report",
    "delivery problem",
    "delivery error",
    "delivery notification",
    "delivery delayed",
    "mail delivery",
    "failure notice",
    "failure delivery",
    "failed delivery",
    "returned mail",
    "returned to sender",
    "returning to sender",
    "returning message",
    "mail failed",
    "mail failure",
    "mail error",
    "message delayed",
    "delayed mail",
    "could not be delivered",
    "cannot be delivered",
    "not delivered",
    "nondeliverable",
    "non-delivery",
    "non delivery",
    "undelivered",
    "user unknown",
    "warning: message",
    "warning: could not send",
    "rejected:",
    "unzustellbar",
    "zustellung fehlgeschlagen",
    "non remis",
    "no se puede entregar",
    "mancata consegna",
    "не доставлено",
    "недоставленное",
    "退信",
    "配信",
)
_REPLY_SUBJECTS = re.compile(
    r"(?:automatic reply|auto[- ]?reply|auto(?:matic)?[- ]response|autoresponse|out of (?:the )?office"
    r"(?: autoreply)?|out-of-office(?: reply)?|automatische antwort|abwesenheitsnotiz|réponse automatique"
    r"|respuesta automática|risposta automatica|resposta automática|automatisch antwoord"
    r"|automatiskt svar|autosvar|automaattinen vastaus|odpowiedź automatyczna|автоответ|自动回复"
    r"|自動応答)\s{0,3}[::]",
    re.IGNORECASE,
)
_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-response", "x-autoresponder", "x-mail-autoreply")
_ANSWERS = ("re:", "aw:", "sv:", "antw:", "fw:", "fwd:", "wg:", "tr:")
_BULK = ("bulk", "junk", "list", "auto_reply")


def subject_of(header: Fields) -> str:
    """The subject as people read it."""
    raw = header.first("subject")[:1_000]
    if "=?" not in raw:
        return raw
    try:
        text = str(make_header(decode_header(raw)))[:1_000]
        return text.encode(errors="replace").decode()  # some charsets let half a surrogate pair through
    except (ValueError, LookupError, AssertionError, MessageError):  # unknown charset, broken base64
        return raw


def sender_of(header: Fields) -> str:
    """The address in From; "" if there is none."""
    value = header.first("from")[:2_000]
    bracket = value.rfind("<")
    return address_in(value[bracket:] if bracket >= 0 else value)


def is_automatic(header: Fields) -> bool:
    """Whether the header says that a program answered, and nobody read anything."""
    submitted = header.first("auto-submitted").lower()
    if submitted:
        return not submitted.startswith("no")
    if (
        header.first("precedence").lower() == "auto_reply"
        or "vacation" in header.first("x-apple-action").lower()
    ):
        return True
    if any(header.first(name).lower() not in ("", "no", "false", "0") for name in _REPLY_FIELDS):
        return True
    if _REPLY_SUBJECTS.match(subject_of(header).strip()):
        return True
    is_reply = bool(header.first("in-reply-to"))
    is_bulk = header.first("precedence").lower() in _BULK and not header.first("list-id")
    return is_reply and (is_bulk or bool(header.first("x-auto-response-suppress")))


def is_from_mail_system(header: Fields) -> bool:
    """Whether a mail system wrote this mail to tell of a delivery."""
    if header.first("x-failed-recipients"):
        return True
    if is_answer(header):
        return False
    is_told = is_told_of(header)
    if "report-type=delivery-status" in header.first("content-type").lower().replace('"', "").replace(
        " ", ""
    ):
        return True
    local_part = sender_of(header).partition("@")[0].lower()
    name = header.first("from").lower()
    if local_part.startswith(("mailer-daemon", "mailerdaemon")):
        return True
    return is_told and (
        local_part in _SYSTEM_SENDERS
        or any(words in name for words in _SYSTEM_NAMES)
        or (_has_null_sender(header) and not is_automatic(header))
    )


def is_answer(header: Fields) -> bool:
    """Whether the subject is that of a reply, of a forwarded message, or of an automatic reply."""
    subject = subject_of(header).lower().strip()
    return subject.startswith(_ANSWERS) or _REPLY_SUBJECTS.match(subject) is not None


def is_told_of(header: Fields) -> bool:
    """Whether the subject says that something was not delivered, or is late."""
    subject = subject_of(header).lower()
    return any(words in subject for words in _BOUNCE_SUBJECTS)


def _has_null_sender(header: Fields) -> bool:
    """Whether Return-Path is the null reverse-path, or what sendmail makes of it."""
    path = header.first("return-path").strip().lower()
    return path == "<>" or path.startswith("<mailer-daemon")
