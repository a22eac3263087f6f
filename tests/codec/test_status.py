"""Outcomes to status codes and sentences."""

import pytest

from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.reply import Reply
from relay.codec.status import sentence_of, status_of


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
