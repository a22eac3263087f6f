"""What the sender is told: the switch of email feedback forwarding, and events that belong together."""

import json

import pytest

from relay.base.events import Change, EventKind
from relay.base.message import Message
from relay.base.outcome import Deferred, Failed, Reason, Scope
from relay.base.reply import Reply
from relay.base.suppression import SuppressionReason, suppressed_as
from relay.verdict.delay import DelayNotices
from relay.verdict.telling import Telling
from tests.fakes.bounces import FakeBounces
from tests.fakes.spool import NOW, message

NO_USER = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no such user", "5.1.1"))
LISTED = Failed(Scope.RECIPIENT, Reason.SUPPRESSED)
KEPT_BACK = Failed(Scope.RECIPIENT, Reason.ON_ACCOUNT_LIST)
LATER = Deferred(Scope.RECIPIENT, Reason.REFUSED, Reply(450, "later", "4.2.0"))
HOUR = 3600.0


class Room:
    def __init__(self, is_forwarding: bool = True) -> None:
        self.bounces = FakeBounces()
        self.asked: list[tuple[int, str]] = []
        self.telling = Telling(self.bounces, "relay.example.net", DelayNotices(HOUR))
        self.telling.is_forwarding = self.is_forwarding
        self._forwards = is_forwarding

    def is_forwarding(self, account_id: int, identity: str) -> bool:
        self.asked.append((account_id, identity))
        return self._forwards


def sent(*addresses: str, notify: str = "", identity: str = "example.com") -> Message:
    one = message(*addresses)
    one.identity = identity
    for recipient in one.recipients:
        recipient.notify = notify
    return one


@pytest.mark.parametrize(
    ("notify", "is_forwarding", "identity", "is_mailed"),
    [
        ("", True, "example.com", True),
        ("", False, "example.com", False),
        ("", False, "", True),  # sent as nobody's identity: there is no switch
        ("FAILURE", False, "example.com", True),
        ("NEVER", True, "example.com", False),
    ],
)
def test_a_failure_is_an_event_and_a_mail_if_the_switch_is_on(
    notify: str, is_forwarding: bool, identity: str, is_mailed: bool
) -> None:
    room, change = Room(is_forwarding), Change()
    one = sent("b@example.org", notify=notify, identity=identity)
    assert room.telling.tells_failure(one, one.recipients[0]) is is_mailed
    assert room.telling.failures(change, one, [(one.recipients[0], NO_USER)], None, NOW)
    assert bool(change.stored) is bool(room.bounces.told) is is_mailed
    (event,) = change.events
    assert event.kind is EventKind.BOUNCE
    assert json.loads(event.detail)["bounce"] == (change.stored[0].id if is_mailed else "")
    assert set(room.asked) <= {(1, "example.com")}


@pytest.mark.parametrize(
    ("notify", "is_by_notify", "is_mailed"),
    [("", False, False), ("DELAY", False, True), ("", True, True), ("FAILURE", False, False)],
)
def test_with_the_switch_off_a_delay_is_mailed_to_who_asked(
    notify: str, is_by_notify: bool, is_mailed: bool
) -> None:
    room, change = Room(is_forwarding=False), Change()
    one = sent("b@example.org", notify=notify)
    one.is_by_notify, one.deadline = is_by_notify, NOW + HOUR
    assert room.telling.tells_delay(one, one.recipients[0], NOW + 2 * HOUR) is is_mailed
    room.telling.delays(change, one, [(one.recipients[0], LATER)], None, NOW + 2 * HOUR)
    assert bool(change.stored) is bool(room.bounces.delayed) is is_mailed
    (event,) = change.events
    assert event.kind is EventKind.DELIVERY_DELAY
    assert bool(json.loads(event.detail)["notice"]) is is_mailed
    assert change.told == [(0, 0)]
    assert one.recipients[0].is_told


def test_events_that_are_alike_come_together() -> None:
    """Whoever gathers adjacent events makes one notification of each kind."""
    room, change = Room(), Change()
    one = sent(*(f"{name}@example.org" for name in "abcdef"))
    outcomes = [NO_USER, LISTED, KEPT_BACK, NO_USER, LISTED, KEPT_BACK]
    for number in (2, 5):
        one.recipients[number].domain = suppressed_as(1, SuppressionReason.COMPLAINT)
    room.telling.failures(change, one, list(zip(one.recipients, outcomes, strict=True)), None, NOW)
    found = [(event.kind.value, json.loads(event.detail)) for event in change.events]
    assert [(kind, one.get("bounceSubType"), one["recipient"][0]) for kind, one in found] == [
        ("Bounce", "NoEmail", "a"),
        ("Bounce", "NoEmail", "d"),
        ("Bounce", "Suppressed", "b"),
        ("Bounce", "Suppressed", "e"),
        ("Complaint", None, "c"),
        ("Complaint", None, "f"),
    ]
    assert {event.at for event in change.events} == {NOW}
    assert {one["bounce"] for _, one in found} == {change.stored[0].id}


def test_a_bounce_that_cannot_be_made_adds_nothing() -> None:
    room, change = Room(), Change()
    room.bounces.fails_with = RuntimeError("a bug")
    one = sent("b@example.org")
    assert not room.telling.failures(change, one, [(one.recipients[0], NO_USER)], None, NOW)
    assert (change.events, change.stored) == ([], [])


def test_without_a_simulator_nobody_answers() -> None:
    one = message("ooto@simulator.example.net")
    assert not Room().telling.answers_to(one, one.recipients[0])
