"""Replies as receivers really say them, and what they mean for the lane."""

import pytest

from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason, Scope
from relay.base.reply import Reply, parse_reply
from relay.traffic.feedback import Feedback, read, read_opening

OK = Delivered(Reply(250, "queued", "2.0.0"))
RECIPIENT, MESSAGE, SESSION, SITE = Scope.RECIPIENT, Scope.MESSAGE, Scope.SESSION, Scope.SITE
THROTTLED, CROWDED, FAILED = Feedback.THROTTLED, Feedback.CROWDED, Feedback.FAILED
POLICY, NEUTRAL, SUCCESS = Feedback.POLICY, Feedback.NEUTRAL, Feedback.SUCCESS

DEFERRED = [
    (MESSAGE, 421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", THROTTLED),
    (RECIPIENT, 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that", NEUTRAL),
    (RECIPIENT, 452, "4.2.2 Mailbox full", NEUTRAL),
    (RECIPIENT, 452, "4.5.3 Too many recipients", NEUTRAL),
    (RECIPIENT, 450, "4.7.1 Greylisted, please try again in 300 seconds", NEUTRAL),
    (RECIPIENT, 451, "4.7.1 Greylisting in action, rate limit is not meant", NEUTRAL),
    (RECIPIENT, 450, "4.1.8 Sender address rejected: Domain not found", NEUTRAL),
    (RECIPIENT, 450, "4.7.1 You sent too many messages in a short period", THROTTLED),
    (RECIPIENT, 450, "4.7.1 please come back", NEUTRAL),  # one recipient, no word of rate
    (MESSAGE, 450, "4.7.0 not now", THROTTLED),
    (MESSAGE, 451, "4.7.500 Server busy. Please try again later from [192.0.2.1]", THROTTLED),
    (MESSAGE, 451, "4.7.652 The mail server has exceeded the maximum number of connections", CROWDED),
    (MESSAGE, 451, "4.7.26 unauthenticated mail is throttled", THROTTLED),
    (MESSAGE, 451, "4.7.26 this mail has no SPF or DKIM", POLICY),
    (MESSAGE, 452, "4.3.1 Insufficient system storage", FAILED),
    (MESSAGE, 451, "4.3.5 local configuration", NEUTRAL),
    (MESSAGE, 450, "rate limited, slow down", THROTTLED),
    (MESSAGE, 450, "something", NEUTRAL),
]
BUSY = [
    (SESSION, 421, "4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume", THROTTLED),
    (SESSION, 421, "Trop de connexions, veuillez verifier votre configuration", CROWDED),
    (SESSION, 421, "4.3.2 shutting down", FAILED),
    (SESSION, 421, "closing", THROTTLED),
    (SITE, 421, "4.7.0 too many connections from your IP", CROWDED),
]


@pytest.mark.parametrize(("scope", "code", "text", "kind"), DEFERRED)
def test_a_temporary_refusal(scope: Scope, code: int, text: str, kind: Feedback) -> None:
    assert read([Deferred(scope, Reason.REFUSED, parse_reply(code, text))]) is kind


@pytest.mark.parametrize(("scope", "code", "text", "kind"), BUSY)
def test_a_421(scope: Scope, code: int, text: str, kind: Feedback) -> None:
    assert read([Deferred(scope, Reason.BUSY, parse_reply(code, text))]) is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("5.1.1 no such user", NEUTRAL),
        ("5.7.1 not from you", POLICY),
        ("5.7.26 unauthenticated", POLICY),
        ("Message rejected as spam", POLICY),
        ("5.7.1 rate limit exceeded for this sender", POLICY),  # never more than this message
    ],
)
def test_a_permanent_refusal_slows_no_one(text: str, kind: Feedback) -> None:
    assert read([Failed(Scope.MESSAGE, Reason.REFUSED, parse_reply(550, text))]) is kind


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.TIMEOUT, FAILED),
        (Reason.CONNECTION_LOST, FAILED),
        (Reason.REPLY_LOST, FAILED),
        (Reason.PROTOCOL, FAILED),
        (Reason.INTERNAL, NEUTRAL),  # our own bug says nothing of the receiver
    ],
)
def test_no_reply(reason: Reason, kind: Feedback) -> None:
    assert read([Deferred(Scope.SESSION, reason)]) is kind


def test_the_weightiest_of_several_recipients_counts() -> None:
    slower = Deferred(RECIPIENT, Reason.REFUSED, parse_reply(450, "4.7.1 rate limit exceeded"))
    unknown = Failed(RECIPIENT, Reason.REFUSED, parse_reply(550, "5.1.1 who"))
    outcomes: list[Outcome] = [OK, unknown]
    assert read(outcomes) is SUCCESS
    assert read([*outcomes, slower]) is THROTTLED
    assert read([unknown]) is NEUTRAL
    assert read([OK, OK]) is SUCCESS


@pytest.mark.parametrize(
    ("text", "kind"),
    [("4.7.0 too many connections", CROWDED), ("rate limit exceeded", THROTTLED), ("go away", CROWDED)],
)
def test_a_refused_connection(text: str, kind: Feedback) -> None:
    assert read_opening(Deferred(SITE, Reason.BUSY, parse_reply(421, text))) is kind
    assert read_opening(Deferred(SITE, Reason.CONNECT, detail="refused")) is CROWDED
