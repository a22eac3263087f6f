"""Why a recipient waits, read back from the text that is stored with it.

Contract, pure: the text is a peer's reply as it is printed, or a reason and its detail (``describe``); the
outcome is what someone would have said who made an attempt now. It is for those who are given up without one.
"""

from __future__ import annotations

import re

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.reply import Reply

_REPLY = re.compile(r"([45]\d\d) (?:([45]\.\d{1,3}\.\d{1,3}) )?(.*)")
_REASON = re.compile(r"([a-z-]+): ?(.*)")
_REASONS = {reason.value: reason for reason in Reason}


def describe(outcome: Deferred) -> str:
    """The peer's reply, or else the reason and its detail, as one line."""
    text = str(outcome.reply) if outcome.reply is not None else f"{outcome.reason}: {outcome.detail}"
    return " ".join(text.split())[:500]


def last_known(text: str, otherwise: str) -> Deferred:
    """The outcome that the text tells of; ``otherwise`` is the detail where there is no text."""
    if match := _REPLY.fullmatch(text):
        return Deferred(Scope.MESSAGE, Reason.REFUSED, Reply(int(match[1]), match[3], match[2] or ""))
    if (match := _REASON.fullmatch(text)) and match[1] in _REASONS:
        return Deferred(Scope.SITE, _REASONS[match[1]], detail=match[2])
    return Deferred(Scope.MESSAGE, Reason.EXPIRED, detail=text or otherwise)
