"""Outcomes to status codes and sentences."""

import pytest

from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.reply import Reply
from relay.codec.status import diagnostic_of, sentence_of, status_at, status_of
from tests.fakes.spool import NOW, message


def failed(reason, reply=None):
    return Failed(Scope.RECIPIENT, reason, reply)


def expired(reason, reply=None):
    return Deferred(Scope.RECIPIENT, reason, reply)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        # The peer's own code, if its class fits.
        (failed(Reason.REFUSED, Reply(550, "no such user", "5.1.1")), "5.1.1"),
        (expired(Reason.REFUSED, Reply(452, "full", "4.2.2")), "4.2.2"),
        (failed(Reason.REFUSED, Reply(550, "odd", "4.2.2")), "5.0.0"),
        (expired(Reason.REFUSED, Reply(450, "odd", "5.1.1")), "4.2.0"),
        # The number of the reply.
        (failed(Reason.REFUSED, Reply(550, "no")), "5.0.0"),
        (failed(Reason.REFUSED, Reply(552, "full")), "5.2.2"),
        (failed(Reason.REFUSED, Reply(553, "bad")), "5.1.3"),
        (failed(Reason.REFUSED, Reply(556, "null MX")), "5.1.10"),
        (expired(Reason.REFUSED, Reply(451, "later")), "4.3.0"),
        (expired(Reason.BUSY, Reply(421, "busy")), "4.3.2"),
        # The reason.
        (failed(Reason.NO_DOMAIN), "5.1.2"),
        (failed(Reason.NULL_MX), "5.1.10"),
        (failed(Reason.SIZE), "5.3.4"),
        (failed(Reason.UNSUPPORTED), "5.6.3"),
        (failed(Reason.UTF8_ADDRESS), "5.6.7"),
        (failed(Reason.UTF8_HEADER), "5.6.9"),
        (failed(Reason.LOOP), "5.4.6"),
        (failed(Reason.DELETED), "5.7.1"),
        (failed(Reason.EXPIRED), "4.4.7"),
        (expired(Reason.EXPIRED), "4.4.7"),
        (expired(Reason.CONNECT), "4.4.1"),
        (expired(Reason.TIMEOUT), "4.4.2"),
        (expired(Reason.DNS_TEMPORARY), "4.4.3"),
        (expired(Reason.TLS), "4.7.5"),
    ],
)
def test_status(outcome, status):
    assert status_of(outcome) == status


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_code_and_sentence(reason):
    assert status_of(failed(reason))[0] in "45"
    assert status_of(expired(reason))[0] == "4"
    assert sentence_of(failed(reason)).isascii()
    assert "given up" in sentence_of(expired(reason))


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (failed(Reason.REFUSED, Reply(550, "no such\r\nuser", "5.1.1")), "smtp; 550 5.1.1 no such user"),
        (failed(Reason.NULL_MX), "x-relay; null-mx: The domain of this address takes no mail."),
        (
            Deferred(Scope.SITE, Reason.TIMEOUT, detail="10.0.0.1 was silent"),
            "x-relay; timeout: The receiving mail server did not answer in time.",
        ),
    ],
)
def test_diagnostic(outcome, text):
    assert diagnostic_of(outcome) == text


@pytest.mark.parametrize(
    ("deadline", "is_by_notify", "waits", "over"),
    [
        (0.0, False, "4.4.1", "4.4.1"),
        (NOW + 10, False, "4.4.1", "4.4.1"),  # is not up yet
        (NOW - 10, False, "4.4.7", "5.4.7"),
        (NOW - 10, True, "4.4.7", "4.4.1"),  # went on past it, as asked
    ],
)
def test_a_deadline_that_is_up_is_the_reason(deadline, is_by_notify, waits, over):
    one = message()
    one.deadline, one.is_by_notify = deadline, is_by_notify
    outcome = expired(Reason.CONNECT)
    assert (status_at(one, outcome, NOW, False), status_at(one, outcome, NOW, True)) == (waits, over)
    assert status_at(one, failed(Reason.NO_DOMAIN), NOW, True) == "5.1.2"
