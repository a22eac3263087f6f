"""Why a recipient waits, in SES's words."""

import pytest

from relay.base.feedback import DelayType
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.reply import parse_reply
from relay.verdict.delay_type import delay_type, delay_type_of

COMMUNICATION = DelayType.TRANSIENT_COMMUNICATION_FAILURE


@pytest.mark.parametrize(
    ("code", "text", "found"),
    [
        (452, "4.2.2 The email account that you tried to reach is over quota", DelayType.MAILBOX_FULL),
        (450, "Mailbox full", DelayType.MAILBOX_FULL),
        (421, "4.7.28 unusual rate of unsolicited mail from your IP address", DelayType.SPAM_DETECTED),
        (451, "4.7.650 The mail server has been rate limited due to IP reputation", DelayType.IP_FAILURE),
        (421, "Too many connections from your host", DelayType.IP_FAILURE),
        (450, "4.7.1 Client host blocked using zen.example", DelayType.IP_FAILURE),
        (450, "4.7.1 Greylisted, please try again in 5 minutes", DelayType.GENERAL),
        (451, "4.4.1 no route to the backend", COMMUNICATION),
        (421, "4.4.2 timeout", COMMUNICATION),
        (452, "4.3.1 Insufficient system storage", DelayType.RECIPIENT_SERVER_ERROR),
        (451, "Local error in processing", DelayType.RECIPIENT_SERVER_ERROR),
        (421, "going down", DelayType.RECIPIENT_SERVER_ERROR),
        (450, "4.2.0 later", DelayType.GENERAL),
        (450, "4.1.1 not yet", DelayType.GENERAL),
    ],
)  # fmt: skip
def test_what_a_receiver_says(code: int, text: str, found: DelayType) -> None:
    outcome = Deferred(Scope.RECIPIENT, Reason.REFUSED, parse_reply(code, text))
    assert delay_type_of(outcome) is found


OURS = {
    Reason.INTERNAL: DelayType.INTERNAL_FAILURE,
    Reason.AUTH: DelayType.INTERNAL_FAILURE,
    Reason.EXPIRED: DelayType.UNDETERMINED,
    Reason.PROTOCOL: DelayType.RECIPIENT_SERVER_ERROR,
    Reason.BUSY: DelayType.RECIPIENT_SERVER_ERROR,
    Reason.GREETING: DelayType.RECIPIENT_SERVER_ERROR,
    Reason.REFUSED: DelayType.GENERAL,
} | dict.fromkeys(
    (
        Reason.CONNECT, Reason.TIMEOUT, Reason.CONNECTION_LOST, Reason.REPLY_LOST, Reason.TLS,
        Reason.DNS_TEMPORARY, Reason.SITE_DOWN,
    ),
    COMMUNICATION,
)  # fmt: skip


@pytest.mark.parametrize("reason", list(Reason))
def test_where_nobody_said_anything(reason: Reason) -> None:
    assert delay_type_of(Deferred(Scope.SITE, reason)) is OURS.get(reason, DelayType.GENERAL)


def test_our_password_is_our_trouble_whatever_the_next_hop_says() -> None:
    refused = Deferred(Scope.SITE, Reason.AUTH, parse_reply(535, "5.7.8 your IP is blocked"))
    assert delay_type_of(refused) is DelayType.INTERNAL_FAILURE


def test_a_report_that_says_nothing() -> None:
    assert delay_type("", 0, "") is DelayType.UNDETERMINED
    assert delay_type("4.4.7", 0, "") is COMMUNICATION
