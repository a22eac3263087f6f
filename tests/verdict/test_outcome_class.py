"""What a failure of ours is called: the table of outcomes, and what is never Permanent."""

import pytest

from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.reply import parse_reply
from relay.codec.dsn import bounce
from relay.codec.report import read
from relay.verdict.bounce_class import classify_reported
from relay.verdict.outcome_class import class_of
from tests.fakes.spool import message

NO_USER = "5.1.1 <b@example.org>: Recipient address rejected: User unknown"


def judged(outcome: Failed | Deferred, is_alone: bool = True) -> str:
    found = class_of(outcome, message(), is_alone)
    return f"{found.type}/{found.subtype}"


BY_REASON = {
    Reason.NULL_MX: "Permanent/General",
    Reason.SUPPRESSED: "Permanent/Suppressed",
    Reason.ON_ACCOUNT_LIST: "Permanent/OnAccountSuppressionList",
    Reason.SIZE: "Transient/MessageTooLarge",
    Reason.UNSUPPORTED: "Transient/ContentRejected",
    Reason.UTF8_HEADER: "Transient/ContentRejected",
}


@pytest.mark.parametrize("reason", list(Reason))
def test_where_no_peer_said_anything(reason: Reason) -> None:
    assert judged(Failed(Scope.RECIPIENT, reason)) == BY_REASON.get(reason, "Transient/General")
    assert judged(Deferred(Scope.RECIPIENT, reason)) == "Transient/General"  # its time was up


@pytest.mark.parametrize(
    ("code", "text", "found"),
    [
        (550, NO_USER, "Permanent/NoEmail"),
        (552, "5.2.2 Mailbox full", "Transient/MailboxFull"),
        (552, "5.3.4 Message size exceeds fixed limit", "Transient/MessageTooLarge"),
        (554, "5.7.1 Message blocked: it looks like spam", "Transient/ContentRejected"),
        (550, "5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org",
         "Transient/General"),
    ],
)  # fmt: skip
def test_what_a_receiver_says_of_a_recipient(code: int, text: str, found: str) -> None:
    assert judged(Failed(Scope.RECIPIENT, Reason.REFUSED, parse_reply(code, text))) == found


@pytest.mark.parametrize(
    ("code", "text", "found"),
    [
        (450, "4.1.1 User unknown in virtual mailbox table", "Transient/General"),
        (452, "4.2.2 Mailbox full", "Transient/MailboxFull"),
        (550, NO_USER, "Transient/General"),  # a banner, say: it says nothing of the recipient
    ],
)
def test_what_was_temporary_is_not_permanent_when_the_time_is_up(code: int, text: str, found: str) -> None:
    assert judged(Deferred(Scope.SITE, Reason.REFUSED, parse_reply(code, text))) == found


@pytest.mark.parametrize(
    ("text", "alone", "among_others"),
    [
        (NO_USER, "Permanent/NoEmail", "Undetermined/Undetermined"),
        ("5.1.1 Sender address rejected: User unknown", "Transient/General", "Transient/General"),
        ("5.1.1 <a@example.com> User unknown", "Transient/General", "Transient/General"),
    ],
)
def test_a_refusal_of_the_whole_message(text: str, alone: str, among_others: str) -> None:
    refused = Failed(Scope.MESSAGE, Reason.REFUSED, parse_reply(550, text))
    assert judged(refused) == alone
    assert judged(refused, is_alone=False) == among_others


def test_what_the_simulator_says_of_its_list_needs_no_reading() -> None:
    said = parse_reply(550, "5.1.1 whatever it says")
    assert judged(Failed(Scope.RECIPIENT, Reason.SUPPRESSED, said)) == "Permanent/Suppressed"


ALL = [
    *(Failed(Scope.RECIPIENT, reason) for reason in Reason),
    *(Deferred(Scope.SITE, reason) for reason in Reason),
    *(
        Failed(scope, Reason.REFUSED, parse_reply(code, text))
        for scope in (Scope.RECIPIENT, Scope.MESSAGE)
        for code, text in [
            (550, NO_USER),
            (550, "No such user here"),
            (552, "5.2.2 Mailbox full"),
            (554, "5.7.1 blocked using zen.example"),
            (554, "rejected"),
        ]
    ),
    *(
        Deferred(Scope.RECIPIENT, Reason.REFUSED, parse_reply(code, text))
        for code, text in [(450, "4.1.1 User unknown"), (451, "4.7.1 Greylisted"), (554, "No SMTP here")]
    ),
]


@pytest.mark.parametrize("outcome", ALL, ids=str)
def test_whoever_reads_our_bounce_takes_it_no_harder_than_we_do(outcome: Failed | Deferred) -> None:
    """What we write for programs and people must not put an address out of service that we leave in."""
    one = message()
    found = class_of(outcome, one, True)
    content = bounce(
        message=one,
        failures=[(one.recipients[0], outcome)],
        original=one.content or b"",
        hostname="relay.example.net",
        now=one.arrived_at,
        classes=[found],
    )
    (reported,) = read(content).recipients
    assert reported.address == one.recipients[0].address
    assert found.is_hard or not classify_reported(reported).is_hard
