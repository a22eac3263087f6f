"""What a report says to people: the first part of a bounce, of a report of success, of a notice of delay.

Contract: lines without line ends; who reads them needs to know nothing of mail servers. The first paragraph
says which message it is, and what became of it. Each recipient is named, with what happened in one sentence,
what the other side said, word for word, and what can be done about it. Pure; not on the hot path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from relay.base.address import as_ascii
from relay.base.feedback import BounceClass, BounceSubType, BounceType
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward
from relay.codec.report_words import address_word, date, one_line, wrapped
from relay.codec.status import cause_of, sentence_of

Told: TypeAlias = Sequence[tuple[Recipient, Delivered | Deferred | Failed]]

_SUBJECT_CHARS = 200
_PARTS = "The next part of this report is for programs; the last one is what you sent."


_ADVICE = {
    BounceSubType.NO_EMAIL: "There is no such mailbox. Check the address; nothing will arrive there.",
    BounceSubType.SUPPRESSED: (
        "If the address is right, send again in some days, or ask the administrator of this mail server to "
        "take it off the list."
    ),
    BounceSubType.ON_ACCOUNT_SUPPRESSION_LIST: (
        "If the address is right, whoever looks after the account can take it off the list."
    ),
    BounceSubType.MAILBOX_FULL: "The mailbox is full. Send again in some days, or tell its owner otherwise.",
    BounceSubType.MESSAGE_TOO_LARGE: "Send less at a time, or a link in place of what is attached.",
    BounceSubType.CONTENT_REJECTED: "The refusal is of what the message says: in other words it may arrive.",
    BounceSubType.ATTACHMENT_REJECTED: "The refusal is of what is attached: without it, it may arrive.",
}
_NOT_ABOUT_ADDRESS = (
    "That is not about the address: the message may be taken later, or once whoever looks after this mail "
    "server has seen to it."
)
_ADVICE_BY_TYPE = {
    BounceType.PERMANENT: "The address takes no mail. Check it; nothing will arrive there.",
    BounceType.TRANSIENT: "The address itself may be right: you can send the message again later.",
    BounceType.UNDETERMINED: "Whether the address exists cannot be told from that.",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What a report is about; ``subject`` as it stands in the header, ``classes`` in the order of those told,
    or none."""

    message: Message
    hostname: str
    now: float
    subject: str = ""
    classes: Sequence[BounceClass] = ()


def bad_news(about: Context, told: Told) -> list[str]:
    """Of a bounce."""
    message, now = about.message, about.now
    lines = [
        f"This is the mail server {about.hostname}.",
        "",
        f"Your message of {date(message.arrived_at)}",
        *_subject(about),
        f"could not be delivered to {_some(told)}",
    ]
    for place, (recipient, outcome) in enumerate(told):
        assert not isinstance(outcome, Delivered)
        lines += ["", f"<{_name(recipient)}>"]
        lines += wrapped(sentence_of(outcome))
        lines += _said(outcome)
        if place < len(about.classes):
            lines += wrapped(advice(about.classes[place], outcome))
    if 0.0 < message.deadline <= now and message.gives_up_at == message.deadline:
        lines += ["", f"It was to be delivered by {date(message.deadline)}, or not at all."]
    return [*lines, "", "Recipients that are not named here are not affected.", "", _PARTS]


def advice(found: BounceClass, outcome: Failed | Deferred) -> str:
    """What can be done about a bounce of this kind, for the person who sent the message; "" for nothing that
    has not been said."""
    if found.subtype in _ADVICE:
        return _ADVICE[found.subtype]
    if found.type is BounceType.TRANSIENT and isinstance(outcome, Failed):
        return _NOT_ABOUT_ADDRESS if outcome.reply is not None else ""
    return _ADVICE_BY_TYPE[found.type]


def good_news(about: Context, told: Told) -> list[str]:
    """Of a report of success."""
    lines = [
        f"This is the mail server {about.hostname}.",
        "",
        f"You asked to hear when your message of {date(about.message.arrived_at)}",
        *_subject(about),
        "has arrived.",
    ]
    for recipient, outcome in told:
        assert isinstance(outcome, Delivered)
        lines += ["", f"<{_name(recipient)}>"]
        if outcome.onward is Onward.DELIVERED:
            lines += wrapped("It has been delivered.")
        else:
            peer = one_line(outcome.peer.host or "the next mail server")
            lines += wrapped(f"It has been handed to {peer}, which does not report what becomes of it then.")
    return [*lines, "", _PARTS]


def late_news(about: Context, told: Told) -> list[str]:
    """Of a notice of delay."""
    message, now = about.message, about.now
    lines = [
        f"This is the mail server {about.hostname}.",
        "",
        f"Your message of {date(message.arrived_at)}",
        *_subject(about),
        f"has not been delivered yet to {_some(told)}",
    ]
    for recipient, outcome in told:
        assert isinstance(outcome, Deferred)
        lines += ["", f"<{_name(recipient)}>"]
        lines += wrapped(cause_of(outcome))
        lines += _said(outcome)
    if 0.0 < message.deadline <= now:
        lines += ["", f"You asked to hear if it has not arrived by {date(message.deadline)}."]
    return [
        *lines,
        "",
        f"We go on trying until {date(message.gives_up_at)}.",
        "You need not send it again, and will hear if we give up.",
        "",
        _PARTS,
    ]


def _some(told: Told) -> str:
    return "one of its recipients:" if len(told) == 1 else f"{len(told)} of its recipients:"


def _subject(about: Context) -> list[str]:
    """The subject, where it can be read as it stands."""
    subject = about.subject
    is_plain = subject.isascii() and "=?" not in subject
    return wrapped(f"Subject: {subject[:_SUBJECT_CHARS]}") if subject and is_plain else []


def _name(recipient: Recipient) -> str:
    return address_word(as_ascii(recipient.address))


def _said(outcome: Deferred | Failed) -> list[str]:
    if outcome.reply is None:
        return []
    peer = outcome.peer
    name = one_line(f"{peer.host} ({peer.address})" if peer.address else peer.host)
    return wrapped(f"{name or 'The other side'} said: {one_line(str(outcome.reply))}")
