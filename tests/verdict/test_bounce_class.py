"""What bounces mean: status, reply code and words, and what happens where they disagree."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.feedback import Action, BounceSubType, BounceType, ReportedRecipient
from relay.verdict.bounce_class import classify_bounce, classify_reported
from relay.verdict.bounce_texts import table

NO_EMAIL, PERMANENT = "Permanent/NoEmail", "Permanent/General"
GENERAL, FULL, LARGE = "Transient/General", "Transient/MailboxFull", "Transient/MessageTooLarge"
CONTENT, ATTACHMENT, UNDETERMINED = (
    "Transient/ContentRejected",
    "Transient/AttachmentRejected",
    "Undetermined/Undetermined",
)


def judged(status, code, text, action=Action.FAILED, command="RCPT") -> str:
    verdict = classify_bounce(status, code, text, action, command)
    return f"{verdict.type}/{verdict.subtype}"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("5.1.1", NO_EMAIL),
        ("5.1.2", PERMANENT),
        ("5.1.3", PERMANENT),
        ("5.1.6", PERMANENT),
        ("5.1.10", PERMANENT),
        ("5.4.310", PERMANENT),
        ("5.1.0", UNDETERMINED),
        ("5.1.4", GENERAL),
        ("5.1.7", GENERAL),
        ("5.1.8", GENERAL),
        ("5.2.0", UNDETERMINED),
        ("5.2.1", GENERAL),
        ("5.2.2", FULL),
        ("5.2.3", LARGE),
        ("5.3.0", GENERAL),
        ("5.3.4", LARGE),
        ("5.4.4", GENERAL),
        ("5.4.7", GENERAL),
        ("5.5.0", UNDETERMINED),
        ("5.5.3", GENERAL),
        ("5.6.0", CONTENT),
        ("5.7.1", GENERAL),
        ("5.7.27", GENERAL),
        ("5.9.9", UNDETERMINED),
        ("5.0.0", UNDETERMINED),
        ("4.1.1", GENERAL),
        ("4.2.2", FULL),
        ("4.4.7", GENERAL),
        ("4.0.0", GENERAL),
        ("", UNDETERMINED),
        ("five", UNDETERMINED),
    ],
)
def test_a_status_without_words(status: str, verdict: str) -> None:
    assert judged(status, 0, "") == verdict


@pytest.mark.parametrize(
    ("code", "command", "verdict"),
    [
        (550, "RCPT", UNDETERMINED),
        (553, "RCPT", UNDETERMINED),
        (552, "RCPT", FULL),
        (552, "DATA", UNDETERMINED),
        (556, "RCPT", PERMANENT),
        (450, "RCPT", GENERAL),
        (421, "", GENERAL),
        (550, "MAIL", GENERAL),
        (554, "CONNECT", GENERAL),
        (0, "", UNDETERMINED),
    ],
)
def test_a_reply_code_alone(code: int, command: str, verdict: str) -> None:
    assert judged("", code, "", command=command) == verdict


@pytest.mark.parametrize(
    ("status", "code", "text", "verdict"),
    [
        # the words tell more than the status, and are gentler: they decide
        ("5.1.1", 550, "550 5.1.1 Client host [192.0.2.1] blocked using zen.spamhaus.example", GENERAL),
        ("5.1.1", 550, "550 5.1.1 mailbox full", FULL),
        ("5.1.1", 554, "554 5.1.1 message looks like spam", CONTENT),
        ("5.1.1", 552, "552 5.1.1 attachments are not taken", ATTACHMENT),
        ("5.7.1", 552, "552 5.7.1 message size exceeds the limit", LARGE),
        ("5.1.1", 550, "550 5.1.1 greylisted, try again", GENERAL),
        ("5.1.1", 550, "550 5.1.1 rejected by local policy", GENERAL),
        ("5.1.1", 550, "550 5.1.1 account disabled", GENERAL),
        # the status contradicts words of an address that does not exist: in doubt, not permanent
        ("5.7.1", 554, "554 5.7.1 user unknown", GENERAL),
        ("5.2.2", 550, "550 5.2.2 user unknown", FULL),
        ("5.1.8", 550, "550 5.1.8 user unknown", GENERAL),
        ("4.1.1", 450, "450 4.1.1 User unknown in virtual alias table", GENERAL),
        # the status is silent: the words decide
        ("5.0.0", 550, "550 5.0.0 user unknown", NO_EMAIL),
        ("", 550, "550 user unknown", NO_EMAIL),
        ("5.5.0", 550, "550 5.5.0 no such user", NO_EMAIL),
        ("5.2.1", 550, "550 5.2.1 <a@example.org>... User Unknown", NO_EMAIL),
        ("5.4.1", 550, "550 5.4.1 Recipient address rejected: Access denied.", NO_EMAIL),
        ("5.4.4", 0, "Host or domain name not found.", PERMANENT),
        # both are permanent: the words tell user from domain
        ("5.1.10", 550, "550 5.1.10 Recipient not found by SMTP address lookup", NO_EMAIL),
        ("5.1.1", 550, "550 5.1.1 host unknown", PERMANENT),
        # the address may look like a reason
        ("5.1.1", 550, "550 5.1.1 <mailbox.full@spam.example> unknown", NO_EMAIL),
        # words that are certain need nothing else
        ("5.7.27", 550, "550 5.7.27 Host does not accept mail", PERMANENT),
        ("4.0.0", 0, "DNS type 'mx' lookup of example.org responded with code NXDOMAIN", PERMANENT),
    ],
)
def test_words_and_status(status: str, code: int, text: str, verdict: str) -> None:
    assert judged(status, code, text) == verdict


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("RCPT", NO_EMAIL),
        ("DATA", UNDETERMINED),
        ("", UNDETERMINED),
        ("MAIL", GENERAL),
        ("EHLO", GENERAL),
        ("CONNECT", GENERAL),
    ],
)
def test_words_of_another_server_must_be_about_the_recipient(command: str, verdict: str) -> None:
    assert judged("", 550, "550 User unknown", command=command) == verdict
    assert judged("5.1.1", 550, "550 5.1.1 no", command=command) == (
        GENERAL if verdict == GENERAL else NO_EMAIL
    )


def test_words_of_the_reporting_server_itself() -> None:
    assert judged("", 0, "Unrouteable address", command="") == PERMANENT
    assert judged("", 0, "no such user here", command="") == NO_EMAIL
    assert judged("", 0, "no such user here", command="DATA") == UNDETERMINED  # a recipient's own rule


@pytest.mark.parametrize("action", [Action.DELAYED, Action.DELIVERED, Action.RELAYED, Action.EXPANDED])
def test_what_did_not_fail_is_not_permanent(action: Action) -> None:
    for status, text in (("5.1.1", ""), ("", "user unknown"), ("", "responded with code NXDOMAIN")):
        assert judged(status, 0, text, action) == GENERAL
    assert judged("4.2.2", 452, "", action) == FULL


def test_a_reported_recipient() -> None:
    reported = ReportedRecipient("a@example.org", Action.FAILED, code=550, command="RCPT")
    assert classify_reported(reported).type is BounceType.UNDETERMINED
    reported = replace(reported, remark="said: 550 user unknown")
    assert classify_reported(reported).type is BounceType.PERMANENT
    reported = replace(reported, diagnostic="smtp; 550 over quota")
    assert classify_reported(reported).subtype is BounceSubType.MAILBOX_FULL


@given(
    st.sampled_from(["", "4", "5"]),
    st.integers(0, 12),
    st.integers(0, 40),
    st.sampled_from([0, 250, 421, 450, 452, 550, 552, 553, 554, 556]),
    st.sampled_from([row for row in table() if not row.verdict.is_hard]),
    st.sampled_from(list(Action)),
    st.sampled_from(["", "CONNECT", "EHLO", "MAIL", "RCPT", "DATA"]),
)
def test_gentle_words_are_never_permanent(status_class, subject, detail, code, row, action, command) -> None:
    status = f"{status_class}.{subject}.{detail}" if status_class else ""
    assert classify_bounce(status, code, row.example, action, command) == row.verdict


@given(st.text(max_size=20), st.integers(), st.text(max_size=300), st.text(max_size=5))
def test_anything_can_be_judged(status: str, code: int, text: str, command: str) -> None:
    verdict = classify_bounce(status, code, text, Action.FAILED, command)
    assert isinstance(verdict.type, BounceType)
