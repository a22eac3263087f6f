"""What the answers of one attempt say about the lane it went through: not about the message, about our pace.

Contract, pure: ``read`` turns the outcomes of an attempt into one ``Feedback``. Scope decides first: what a
reply says about a mailbox, a message or one sender is no reason to slow the mail of others, whatever its
words. Only what is left is looked at for a sign of too much mail or too many connections: the enhanced code
(RFC 3463) where it says enough, else a short table of the words that receivers use.

Greylisting (450 4.7.1 at most servers) is about one triplet of sender, recipient and client: neutral.
Refusals for policy (5.7.x, 4.7.2x, a 5xx that speaks of spam) are about what one account sends: neutral too,
but counted by themselves so that people can see them.

Cost on the hot path: 0.3 microseconds for an attempt that was delivered, 10 for a refusal, whose words are
searched.

Not here: what is done about it (``flow``).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason, Scope
from relay.base.reply import Reply


class Feedback(StrEnum):
    """In order of weight: of several recipients of an attempt the first of these counts."""

    THROTTLED = "throttled"  # too much mail in too little time
    CROWDED = "crowded"  # too many connections
    FAILED = "failed"  # the dialogue broke, or the receiver is in trouble
    SUCCESS = "success"
    POLICY = "policy"  # it does not like what this sender sends
    NEUTRAL = "neutral"  # an answer about a mailbox or a message: the receiver works


_WEIGHT = {kind: place for place, kind in enumerate(Feedback)}

_CROWDED_CODES = frozenset({"4.7.652"})  # Exchange Online: the number of connections
_RATE_CODES = frozenset({"4.7.28", "4.7.500", "4.7.650", "4.7.651"})  # mail flood; Exchange Online's
# RFC 7372, 8616 and the registry: DKIM, SPF, reverse DNS, DMARC and ARC of one sender; RFC 3463: its keys
_SENDER_CODES = frozenset(f"4.7.{number}" for number in (2, *range(5, 10), *range(20, 28), 29))
_TROUBLE_CODES = frozenset({"4.3.0", "4.3.1", "4.3.2", "4.4.5"})  # full, not taking mail, congested
_LOST = (Reason.TIMEOUT, Reason.CONNECTION_LOST, Reason.REPLY_LOST, Reason.PROTOCOL)

_GREY = ("greylist", "graylist", "grey list", "gray list", "grey-list", "gray-list", "greyed", "first time")
_CROWDED = (
    "too many connections",
    "too many concurrent",
    "too many simultaneous",
    "too many sessions",
    "connections from your",
    "connection limit",
    "concurrent connections",
    "concurrency limit",
    "maximum number of connections",
    "trop de connexions",
)
_RATE = (
    "rate limit",
    "rate-limit",
    "ratelimit",
    "limit exceeded",
    "exceeded the rate",
    "exceeded its quota",
    "unusual rate",
    "throttl",
    "too many messages",
    "too many mails",
    "too many emails",
    "too many recipients received this hour",
    "too much mail",
    "too fast",
    "too frequent",
    "slow down",
    "sending limit",
    "hourly limit",
    "short period",
    "short time",
    "unexpected volume",
    "volume of",
    "flood",
    "server busy",
)
_SPAM = (
    "spam",
    "block",
    "blacklist",
    "denylist",
    "reputation",
    "policy",
    "dmarc",
    "unauthenticated",
    "content",
)


def read(outcomes: Collection[Outcome]) -> Feedback:
    """The weightiest of what the outcomes say."""
    for outcome in outcomes:
        if type(outcome) is not Delivered:
            return _read_mixed(outcomes)
    return Feedback.SUCCESS


def _read_mixed(outcomes: Collection[Outcome]) -> Feedback:
    found = Feedback.NEUTRAL
    for outcome in outcomes:
        kind = Feedback.SUCCESS if isinstance(outcome, Delivered) else _read_refusal(outcome)
        if kind is not found and _WEIGHT[kind] < _WEIGHT[found]:
            found = kind
    return found


def read_opening(outcome: Deferred) -> Feedback:
    """What the refusal of one more connection says, while others are open: THROTTLED if it speaks of rate,
    else CROWDED."""
    reply = outcome.reply
    if reply is not None and _says(reply, _RATE) and not _says(reply, _CROWDED):
        return Feedback.THROTTLED
    return Feedback.CROWDED


def is_crowded(outcome: Deferred) -> bool:
    """A site refused a session because it has too many, in so many words."""
    reply = outcome.reply
    return reply is not None and (reply.enhanced in _CROWDED_CODES or _says(reply, _CROWDED))


def _read_refusal(outcome: Outcome) -> Feedback:
    reply = outcome.reply
    if isinstance(outcome, Failed):
        return _read_failed(reply)
    assert isinstance(outcome, Deferred)
    if outcome.reason in _LOST:
        return Feedback.FAILED
    if reply is None:
        return Feedback.NEUTRAL
    return _read_deferred(outcome, reply)


def _read_failed(reply: Reply | None) -> Feedback:
    if reply is not None and (reply.enhanced.startswith("5.7.") or _says(reply, _SPAM)):
        return Feedback.POLICY
    return Feedback.NEUTRAL


def _read_deferred(outcome: Deferred, reply: Reply) -> Feedback:
    code = reply.enhanced
    if code in _CROWDED_CODES:
        return Feedback.CROWDED
    if code in _RATE_CODES:
        return Feedback.THROTTLED
    if code[:4] in ("4.1.", "4.2.", "4.6.") or code == "4.5.3" or _says(reply, _GREY):
        return Feedback.NEUTRAL  # the mailbox, the content, the number of recipients, a first contact
    if _says(reply, _CROWDED):
        return Feedback.CROWDED
    if _says(reply, _RATE):
        return Feedback.THROTTLED
    if code in _SENDER_CODES:
        return Feedback.POLICY
    if outcome.reason is Reason.BUSY:
        return Feedback.FAILED if code in _TROUBLE_CODES else Feedback.THROTTLED
    if outcome.scope is Scope.RECIPIENT:
        return Feedback.NEUTRAL
    if code.startswith("4.7."):
        return Feedback.THROTTLED
    return Feedback.FAILED if code in _TROUBLE_CODES else Feedback.NEUTRAL


def _says(reply: Reply, words: tuple[str, ...]) -> bool:
    text = reply.text.lower()
    return any(word in text for word in words)
