"""Command and reply -> outcome: the whole table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.message import Recipient
from relay.base.outcome import NOBODY, Deferred, Delivered, Failed, Onward, Reason, Scope
from relay.base.reply import parse_reply
from relay.transport.replies import Command, judge_dot, judge_envelope, refusal

SITE, SESSION, MESSAGE, RECIPIENT = Scope.SITE, Scope.SESSION, Scope.MESSAGE, Scope.RECIPIENT


@pytest.mark.parametrize(
    ("command", "line", "kind", "scope", "reason"),
    [
        (Command.GREETING, "421 busy", Deferred, SITE, Reason.BUSY),
        (Command.GREETING, "450 later", Deferred, SITE, Reason.GREETING),
        (Command.GREETING, "554 no", Deferred, SITE, Reason.GREETING),
        (Command.EHLO, "550 no", Deferred, SITE, Reason.GREETING),
        (Command.STARTTLS, "454 no", Deferred, SITE, Reason.TLS),
        (Command.AUTH, "535 no", Deferred, SITE, Reason.AUTH),
        (Command.MAIL, "421 busy", Deferred, SESSION, Reason.BUSY),
        (Command.MAIL, "451 later", Deferred, MESSAGE, Reason.REFUSED),
        (Command.MAIL, "550 no", Failed, MESSAGE, Reason.REFUSED),
        (Command.MAIL, "354 what", Deferred, SESSION, Reason.PROTOCOL),
        (Command.RCPT, "421 busy", Deferred, SESSION, Reason.BUSY),
        (Command.RCPT, "450 grey", Deferred, RECIPIENT, Reason.REFUSED),
        (Command.RCPT, "452 4.5.3 too many", Deferred, RECIPIENT, Reason.REFUSED),
        (Command.RCPT, "550 5.1.1 who", Failed, RECIPIENT, Reason.REFUSED),
        (Command.RCPT, "552 too many", Deferred, RECIPIENT, Reason.REFUSED),
        (Command.RCPT, "552 5.5.3 too many", Deferred, RECIPIENT, Reason.REFUSED),
        (Command.RCPT, "552 5.2.2 full", Failed, RECIPIENT, Reason.REFUSED),
        (Command.RCPT, "354 what", Deferred, SESSION, Reason.PROTOCOL),
        (Command.DATA, "451 later", Deferred, MESSAGE, Reason.REFUSED),
        (Command.DATA, "554 no", Failed, MESSAGE, Reason.REFUSED),
        (Command.DATA, "250 what", Deferred, SESSION, Reason.PROTOCOL),
        (Command.DOT, "421 busy", Deferred, SESSION, Reason.BUSY),
        (Command.DOT, "451 later", Deferred, MESSAGE, Reason.REFUSED),
        (Command.DOT, "554 spam", Failed, MESSAGE, Reason.REFUSED),
        (Command.DOT, "354 what", Deferred, SESSION, Reason.REPLY_LOST),
    ],
)
def test_refusals(command, line, kind, scope, reason):
    reply = parse_reply(int(line[:3]), line[4:])
    outcome = refusal(command, reply, NOBODY)
    assert (type(outcome), outcome.scope, outcome.reason, outcome.reply) == (kind, scope, reason, reply)


def test_the_dot():
    assert isinstance(judge_dot(parse_reply(250, "2.0.0 ok"), NOBODY), Delivered)
    assert isinstance(judge_dot(parse_reply(550, "no"), NOBODY), Failed)
    assert judge_dot(parse_reply(250, "ok"), NOBODY, has_dsn=False).onward is Onward.RELAYED
    assert judge_dot(parse_reply(250, "ok"), NOBODY, has_dsn=True).onward is Onward.PROMISED


@given(
    st.integers(1, 4),
    st.lists(st.sampled_from([250, 251, 354, 421, 450, 452, 503, 550, 552, 554]), max_size=8),
)
def test_everyone_is_either_accepted_or_has_an_outcome(count, codes):
    recipients = [Recipient(number, f"{number}@example.net", "example.net") for number in range(count)]
    lost = Deferred(Scope.SESSION, Reason.CONNECTION_LOST)
    replies = [(code, b"") for code in codes]
    judged = judge_envelope(recipients, replies, lambda: lost, NOBODY)
    accepted = {recipient.number for recipient in judged.accepted}
    assert accepted.isdisjoint(judged.outcomes)
    assert accepted | set(judged.outcomes) == set(range(count))
    assert judged.may_send is bool(accepted)
    assert not (judged.may_send and judged.is_usable)
    if judged.may_send:
        assert len(codes) == count + 2
        assert codes[-1] == 354
    for outcome in judged.outcomes.values():
        assert not isinstance(outcome, Delivered)
        assert not (isinstance(outcome, Failed) and outcome.scope in (Scope.SITE, Scope.SESSION))
