"""What a report says to people: the first part of a bounce, of a report of success, of a notice of delay.

Contract: lines without line ends; who reads them needs to know nothing of mail servers. Each recipient is
named, with what happened in one sentence, and what the other side said, word for word. Pure; not on the hot
path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from relay.base.address import as_ascii
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward
from relay.codec.report_words import date, one_line, wrapped
from relay.codec.status import cause_of, sentence_of

Told: TypeAlias = Sequence[tuple[Recipient, Delivered | Deferred | Failed]]

_PARTS = "The next part of this report is for programs; the last one is what you sent."


def bad_news(message: Message, told: Told, hostname: str, now: float) -> list[str]:
    """Of a bounce."""
    lines = [
        f"This is the mail server {hostname}.",
        "",
        f"Your message of {date(message.arrived_at)} could not be delivered to",
        _some(told),
    ]
    for recipient, outcome in told:
        assert not isinstance(outcome, Delivered)
        lines += ["", f"<{_name(recipient)}>"]
        lines += wrapped(sentence_of(outcome))
        lines += _said(outcome)
    if 0.0 < message.deadline <= now and message.gives_up_at == message.deadline:
        lines += ["", f"It was to be delivered by {date(message.deadline)}, or not at all."]
    return [*lines, "", "Recipients that are not named here are not affected.", "", _PARTS]


def good_news(message: Message, told: Told, hostname: str, now: float) -> list[str]:
    """Of a report of success."""
    lines = [
        f"This is the mail server {hostname}. You asked to hear when your message",
        f"of {date(message.arrived_at)} has arrived.",
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


def late_news(message: Message, told: Told, hostname: str, now: float) -> list[str]:
    """Of a notice of delay."""
    lines = [
        f"This is the mail server {hostname}.",
        "",
        f"Your message of {date(message.arrived_at)} has not been delivered yet to",
        _some(told),
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


def _name(recipient: Recipient) -> str:
    return one_line(as_ascii(recipient.address))


def _said(outcome: Deferred | Failed) -> list[str]:
    if outcome.reply is None:
        return []
    peer = outcome.peer
    name = one_line(f"{peer.host} ({peer.address})" if peer.address else peer.host)
    return wrapped(f"{name or 'The other side'} said: {one_line(str(outcome.reply))}")
