"""What the events of a failure and of a delay tell."""

import json

import pytest

from relay.base.events import EventKind
from relay.base.feedback import BounceClass, BounceSubType, BounceType
from relay.base.outcome import Deferred, Failed, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.base.suppression import SuppressionReason, suppressed_as
from relay.verdict.details import Setting, bounce_event, delay_event, describe, kin
from tests.fakes.spool import NOW, message

PEER = Peer("mx.example.org", "192.0.2.1", "TLSv1.3")
NO_USER = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no such\nuser", "5.1.1"), peer=PEER)
LATER = Deferred(Scope.RECIPIENT, Reason.REFUSED, Reply(452, "mailbox full", "4.2.2"), peer=PEER)
HARD = BounceClass(BounceType.PERMANENT, BounceSubType.NO_EMAIL)
LISTED = BounceClass(BounceType.PERMANENT, BounceSubType.ON_ACCOUNT_SUPPRESSION_LIST)
KEPT_BACK = Failed(Scope.RECIPIENT, Reason.ON_ACCOUNT_LIST)


def setting(**more) -> Setting:
    one = message("b@example.org")
    one.identity = "example.com"
    return Setting(one, NOW + 1.0004, "relay.example.net", **more)


def test_a_bounce() -> None:
    here = setting()
    event = bounce_event(here, here.message.recipients[0], NO_USER, HARD, "bounce-id")
    assert (event.kind, event.at, event.message_id) == (EventKind.BOUNCE, NOW + 1.0004, here.message.id)
    assert json.loads(event.detail) == {
        "recipient": "b@example.org",
        "reason": "refused",
        "scope": "recipient",
        "reply": "550 5.1.1 no such user",
        "expired": False,
        "bounce": "bounce-id",
        "bounceType": "Permanent",
        "bounceSubType": "NoEmail",
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 no such user",
        "host": "mx.example.org",
        "address": "192.0.2.1",
        "reportingMTA": "relay.example.net",
        "identity": "example.com",
        "source": "smtp",
        "reportedAt": NOW + 1.0,
    }


def test_a_delay() -> None:
    here = setting()
    event = delay_event(here, here.message.recipients[0], LATER, "")
    assert event.kind is EventKind.DELIVERY_DELAY
    assert json.loads(event.detail) == {
        "recipient": "b@example.org",
        "reason": "refused",
        "status": "4.2.2",
        "reply": "452 4.2.2 mailbox full",
        "expires": here.message.expires_at,
        "notice": "",
        "delayType": "MailboxFull",
        "diagnosticCode": "smtp; 452 4.2.2 mailbox full",
        "host": "mx.example.org",
        "address": "192.0.2.1",
        "reportingMTA": "relay.example.net",
        "identity": "example.com",
    }


def test_an_address_that_has_complained_before_is_told_as_a_complaint() -> None:
    here = setting()
    (recipient,) = here.message.recipients
    recipient.domain = suppressed_as(1, SuppressionReason.COMPLAINT)
    event = bounce_event(here, recipient, KEPT_BACK, LISTED, "")
    assert event.kind is EventKind.COMPLAINT
    detail = json.loads(event.detail)
    assert (detail["recipient"], detail["subType"]) == ("b@example.org", "OnAccountSuppressionList")
    assert (detail["source"], detail["identity"]) == ("suppression-list", "example.com")


@pytest.mark.parametrize(
    ("outcome", "is_simulated", "source"),
    [
        (NO_USER, False, "smtp"),
        (LATER, False, "smtp"),
        (Failed(Scope.RECIPIENT, Reason.NO_DOMAIN), False, "smtp"),
        (Failed(Scope.RECIPIENT, Reason.SUPPRESSED), False, "suppression-list"),
        (Failed(Scope.RECIPIENT, Reason.ON_ACCOUNT_LIST), False, "suppression-list"),
        (NO_USER, True, "simulator"),
        (Failed(Scope.RECIPIENT, Reason.SUPPRESSED), True, "simulator"),
    ],
)
def test_who_said_it(outcome: Failed | Deferred, is_simulated: bool, source: str) -> None:
    here = setting(is_simulated=is_simulated)
    event = bounce_event(here, here.message.recipients[0], outcome, HARD, "")
    assert event.kind is EventKind.BOUNCE
    assert json.loads(event.detail)["source"] == source


def test_what_the_log_knows_stays_there_but_for_people() -> None:
    """``reply`` is for the operator; the diagnostic code goes to whoever subscribed."""
    here = setting()
    failed = Failed(Scope.RECIPIENT, Reason.NO_DOMAIN, detail="NXDOMAIN from 10.0.0.1")
    detail = json.loads(bounce_event(here, here.message.recipients[0], failed, HARD, "").detail)
    assert detail["reply"] == "no-domain: NXDOMAIN from 10.0.0.1"
    assert detail["diagnosticCode"].startswith("x-relay; no-domain: The domain of this address")
    assert "10.0.0.1" not in detail["diagnosticCode"]


def test_what_control_fields_asked_is_told_too() -> None:
    here = setting()
    here.message.control = '{"tags":{"campaign":["book"]}}'
    detail = json.loads(bounce_event(here, here.message.recipients[0], NO_USER, HARD, "").detail)
    assert detail["tags"] == {"campaign": ["book"]}


def test_kin() -> None:
    """A complaint is told apart from a bounce of the same class."""
    bounced, complained, other = message("a@example.org", "b@example.org", "c@example.org").recipients
    complained.domain = suppressed_as(1, SuppressionReason.COMPLAINT)
    bounced.domain = suppressed_as(1, SuppressionReason.BOUNCE)
    assert kin(complained, LISTED) != kin(bounced, LISTED)
    assert kin(other, HARD) == kin(bounced, HARD) != kin(bounced, LISTED)


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Deferred(Scope.RECIPIENT, Reason.REFUSED, Reply(450, "later", "4.2.0")), "450 4.2.0 later"),
        (Deferred(Scope.SESSION, Reason.REPLY_LOST, detail="after the dot"), "reply-lost: after the dot"),
        (Failed(Scope.MESSAGE, Reason.REFUSED, Reply(554, "one\r\n two\tthree")), "554 one two three"),
        (Deferred(Scope.SITE, Reason.CONNECT, detail="x" * 900), "connect: " + "x" * 491),
    ],
)
def test_one_line_for_people(outcome: Deferred | Failed, text: str) -> None:
    assert describe(outcome) == text
