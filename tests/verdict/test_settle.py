"""From outcomes to the one change: what is settled, what waits, who hears of it."""

import json

import pytest

from relay.base.events import Change, EventKind, Transcript
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import STOPPED as STOPPED_TEXT
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Outcome, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.traffic.backoff import RetrySchedule
from relay.verdict.settle import Settler
from tests.fakes.bounces import FakeBounces
from tests.fakes.clock import ManualClock
from tests.fakes.spool import NOW, message

OK = Delivered(Reply(250, "queued as 1", "2.0.0"), Peer("mx.example.org", "192.0.2.1", "TLSv1.3"))
LATER = Deferred(Scope.RECIPIENT, Reason.REFUSED, Reply(450, "later", "4.2.0"))
NEVER = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no such user", "5.1.1"))
LOST = Deferred(Scope.SESSION, Reason.REPLY_LOST, detail="timeout after the dot")
STOPPED = Deferred(Scope.SESSION, Reason.INTERNAL, detail=STOPPED_TEXT)


class Lines:
    def __init__(self, is_on: bool = True) -> None:
        self.is_on = is_on
        self.written: list[tuple[str, dict]] = []

    def __call__(self, event: str, message_id: str, /, **fields: object) -> None:
        self.written.append((event, fields))


class Room:
    """A settler and what it spoke to."""

    def __init__(self, is_on: bool = True) -> None:
        self.clock, self.bounces, self.lines = ManualClock(NOW), FakeBounces(), Lines(is_on)
        self.settler = Settler(
            RetrySchedule((300.0,), 0.0), self.bounces, self.clock, self.lines, lambda: 0.5
        )

    def judge(
        self, one: Message, *outcomes: Outcome, content: bytes | None = b"Subject: hi\r\n\r\n"
    ) -> Change:
        attempt = Attempt(one, one.recipients, "mx:example.org")
        numbers = [r.number for r in one.recipients]
        return self.settler.judge(attempt, dict(zip(numbers, outcomes, strict=True)), content)


@pytest.fixture
def room() -> Room:
    return Room()


def stored(*addresses: str, **fields) -> Message:
    one = message(*addresses, **fields)
    one.key = 7
    return one


def test_delivered(room: Room) -> None:
    one = stored("b@example.org")
    room.clock.advance(1.5)
    change = room.judge(one, OK)
    assert change.settled == [(7, 0)]
    assert not (change.stored)
    assert not (change.deferred)
    assert not (change.finished)
    assert not (change.uncertain)
    ((event),) = change.events
    assert (event.kind, event.message_id, event.at) == (EventKind.DELIVERY, one.id, NOW + 1.5)
    assert json.loads(event.detail) == {
        "recipient": "b@example.org",
        "reply": "250 2.0.0 queued as 1",
        "host": "mx.example.org",
        "address": "192.0.2.1",
        "tls": "TLSv1.3",
        "milliseconds": 1500,
    }
    seconds = room.settler.delivery_seconds
    assert (room.settler.delivered, seconds.count, seconds.sum) == (1, 1, 1.5)
    assert [word for word, _ in room.lines.written] == ["delivered"]


def test_mixed_outcomes_are_one_change(room: Room) -> None:
    one = stored("a@example.org", "b@example.org", "c@example.org", "d@example.org")
    change = room.judge(one, OK, LATER, NEVER, NEVER)
    assert change.settled == [(7, 0), (7, 2), (7, 3)]
    assert [(d.number, d.attempts, d.due_at, d.reply) for d in change.deferred] == [
        (1, 1, NOW + 300, "450 4.2.0 later")
    ]
    assert room.bounces.told == [(one.id, ["c@example.org", "d@example.org"])]  # one bounce for both
    assert len(change.stored) == 1
    assert [e.kind for e in change.events] == [EventKind.DELIVERY, EventKind.BOUNCE, EventKind.BOUNCE]
    assert json.loads(change.events[1].detail)["bounce"] == change.stored[0].id
    assert [word for word, _ in room.lines.written] == ["delivered", "deferred", "failed", "failed"]


def test_events_tell_what_control_fields_asked(room: Room) -> None:
    one = stored("a@example.org", "b@example.org")
    one.control = '{"tags":{"campaign":["book"]},"sourceArn":"x"}'
    change = room.judge(one, OK, NEVER)
    for event in change.events:
        detail = json.loads(event.detail)
        assert (detail["tags"], detail["sourceArn"]) == ({"campaign": ["book"]}, "x")
    assert [json.loads(event.detail)["recipient"] for event in change.events] == [
        "a@example.org",
        "b@example.org",
    ]


@pytest.mark.parametrize(
    ("sender", "notify", "is_told"),
    [
        ("a@example.com", "", True),
        ("a@example.com", "FAILURE", True),
        ("a@example.com", "SUCCESS,DELAY,FAILURE", True),
        ("a@example.com", "NEVER", False),
        ("a@example.com", "SUCCESS", False),
        ("a@example.com", "DELAY", False),
        ("", "", False),  # a bounce that bounces ends here
    ],
)
def test_who_hears_of_a_failure(room: Room, sender: str, notify: str, is_told: bool) -> None:
    one = stored("b@example.org", sender=sender)
    one.recipients[0].notify = notify
    change = room.judge(one, NEVER)
    assert bool(change.stored) == is_told
    assert change.settled == [(7, 0)]
    assert [e.kind for e in change.events] == [EventKind.BOUNCE]  # the operator hears in any case


PROMISED, RELAYED, FINAL = (
    Delivered(OK.reply, OK.peer, onward) for onward in (Onward.PROMISED, Onward.RELAYED, Onward.DELIVERED)
)


@pytest.mark.parametrize(
    ("sender", "notify", "outcome", "is_told"),
    [
        ("a@example.com", "SUCCESS", RELAYED, True),
        ("a@example.com", "SUCCESS,DELAY,FAILURE", RELAYED, True),
        ("a@example.com", "SUCCESS", FINAL, True),
        ("a@example.com", "SUCCESS", PROMISED, False),  # the peer reports
        ("a@example.com", "", RELAYED, False),
        ("a@example.com", "FAILURE", RELAYED, False),
        ("a@example.com", "NEVER", RELAYED, False),
        ("", "SUCCESS", RELAYED, False),
    ],
)
def test_who_hears_of_success(
    room: Room, sender: str, notify: str, outcome: Delivered, is_told: bool
) -> None:
    one = stored("b@example.org", sender=sender)
    one.recipients[0].notify = notify
    attempt = Attempt(one, one.recipients, "mx:example.org")
    assert room.settler.wants_content(attempt, {0: outcome}) is is_told
    change = room.judge(one, outcome)
    assert bool(change.stored) == is_told
    assert bool(room.bounces.served) == is_told
    assert change.settled == [(7, 0)]


def test_success_and_failure_are_two_reports(room: Room) -> None:
    one = stored("a@example.org", "b@example.org", "c@example.org")
    for recipient in one.recipients[:2]:
        recipient.notify = "SUCCESS,FAILURE"
    change = room.judge(one, OK, NEVER, OK)
    assert room.bounces.served == [(one.id, ["a@example.org"])]
    assert room.bounces.told == [(one.id, ["b@example.org"])]
    assert [message.content for message in change.stored] == [b"bounce", b"success"]
    bounced = next(json.loads(e.detail) for e in change.events if e.kind is EventKind.BOUNCE)
    assert bounced["bounce"] == change.stored[0].id


def test_a_report_of_success_that_cannot_be_made_delays_nothing(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    one = stored("b@example.org")
    one.recipients[0].notify = "SUCCESS"
    room.bounces.fails_with = RuntimeError("a bug")
    change = room.judge(one, OK)
    assert (change.settled, change.deferred, change.stored) == ([(7, 0)], [], [])
    assert "report of success could not be made" in caplog.text


def test_expired(room: Room) -> None:
    one = stored("b@example.org", max_age=100)
    room.clock.advance(100)
    change = room.judge(one, LATER)
    assert change.settled == [(7, 0)]
    detail = json.loads(change.events[0].detail)
    assert (detail["expired"], detail["reply"], detail["status"]) == (True, "450 4.2.0 later", "4.2.0")
    assert (detail["bounceType"], detail["bounceSubType"]) == ("Transient", "General")
    assert (room.settler.failed, room.settler.expired, room.settler.reasons[Reason.EXPIRED]) == (1, 1, 1)


def test_a_lost_reply_is_uncertain_and_tried_again(room: Room) -> None:
    one = stored("b@example.org", "c@example.org")
    change = room.judge(one, LOST, OK)
    assert [(u.message_id, u.address, u.at, u.why) for u in change.uncertain] == [
        (one.id, "b@example.org", NOW, "reply-lost")
    ]
    assert [d.number for d in change.deferred] == [0]


def test_our_own_stop_counts_as_no_attempt(room: Room) -> None:
    one = stored("b@example.org")
    one.recipients[0].attempts = 4
    (later,) = room.judge(one, STOPPED).deferred
    assert (later.attempts, later.due_at) == (4, NOW)


def test_a_bounce_that_cannot_be_made_delays_the_failure(room: Room) -> None:
    """A failure that no one is told about would be a lost message."""
    room.bounces.fails_with = RuntimeError("a bug")
    one = stored("a@example.org", "b@example.org")
    change = room.judge(one, OK, NEVER)
    assert change.settled == [(7, 0)]
    assert [(d.number, d.due_at) for d in change.deferred] == [(1, NOW + 300)]
    assert not change.stored
    assert [e.kind for e in change.events] == [EventKind.DELIVERY]


def test_a_bounce_that_would_be_told_to_nobody_is_not_made(room: Room) -> None:
    room.bounces.fails_with = RuntimeError("not to be called")
    assert room.judge(stored("b@example.org", sender=""), NEVER).settled == [(7, 0)]


@pytest.mark.parametrize(
    ("sender", "age", "outcomes", "wants"),
    [
        ("a@example.com", 0, (OK, LATER), False),
        ("a@example.com", 0, (OK, NEVER), True),
        ("a@example.com", 100, (OK, OK), False),
        ("a@example.com", 100, (OK, LATER), True),
        ("", 100, (NEVER, LATER), False),
    ],
)
def test_content_is_wanted_where_a_bounce_will_be(
    room: Room, sender: str, age: float, outcomes: tuple[Outcome, ...], wants: bool
) -> None:
    one = stored("a@example.org", "b@example.org", sender=sender, max_age=100)
    room.clock.advance(age)
    attempt = Attempt(one, one.recipients, "mx:example.org")
    assert room.settler.wants_content(attempt, dict(enumerate(outcomes))) is wants
    room.judge(one, *outcomes, content=None)
    assert bool(room.bounces.told) is wants


def test_no_line_is_made_that_is_not_written() -> None:
    room = Room(is_on=False)
    room.judge(stored("a@example.org", "b@example.org", "c@example.org"), OK, LATER, NEVER)
    assert room.lines.written == []


def test_what_was_said_is_kept_while_a_recipient_waits_and_no_longer(room: Room) -> None:
    one = stored("a@example.org", "b@example.org", "c@example.org", "d@example.org")
    for recipient in one.recipients[:3]:
        recipient.attempts = 1
    attempt = Attempt(one, one.recipients, "mx:example.org", transcript="> MAIL")
    change = room.settler.judge(attempt, dict(enumerate((OK, LATER, NEVER, OK))), None)
    assert change.transcripts == [Transcript(7, 1, NOW, "> MAIL")]
    assert change.tried_before == [(7, 0), (7, 2)]  # the last had no earlier attempt, hence no transcript


def test_of_a_connection_that_was_not_opened_its_dialogue_is_kept(room: Room) -> None:
    one = stored("a@example.org", "b@example.org")
    refused = Deferred(Scope.SITE, Reason.GREETING, Reply(554, "go away"), dialogue="< 554 go away")
    unknown = Deferred(Scope.SITE, Reason.DNS_TEMPORARY)
    change = room.judge(one, refused, unknown)
    assert change.transcripts == [Transcript(7, 0, NOW, "< 554 go away")]


class Answering:
    """Mailboxes that send something back."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.fails_with: Exception | None = None

    def make(self, one: Message, recipient: Recipient, content: object) -> Change:
        if self.fails_with is not None:
            raise self.fails_with
        self.asked.append((recipient.address, content))
        return Change(stored=[message("0000-x@example.net", sender="", content=b"back", now=NOW)])


SIMULATED = [f"{name}@simulator.example.net" for name in ("ooto", "complaint+1", "success", "bounce")]


def test_what_the_simulator_sends_back_is_stored_with_the_outcome(room: Room) -> None:
    one = stored(*SIMULATED)
    answers = room.settler.telling.answers = Answering()
    attempt = Attempt(one, one.recipients, "simulator")
    outcomes: dict[int, Outcome] = {0: OK, 1: OK, 2: OK, 3: NEVER}
    assert room.settler.wants_content(attempt, outcomes)
    change = room.settler.judge(attempt, outcomes, b"the content")
    assert answers.asked == [(SIMULATED[0], b"the content"), (SIMULATED[1], b"the content")]
    assert [m.content for m in change.stored] == [b"bounce", b"back", b"back"]
    assert [number for _, number in sorted(change.settled)] == [0, 1, 2, 3]
    bounced = json.loads(change.events[-1].detail)
    assert (bounced["source"], bounced["bounce"]) == ("simulator", change.stored[0].id)


@pytest.mark.parametrize(
    ("lane", "account", "outcome", "has_answers"),
    [
        ("mx:example.org", 1, OK, True),  # somebody else's ooto@
        ("simulator", 0, OK, True),  # the relay's own mail is not answered
        ("simulator", 1, LATER, True),
        ("simulator", 1, OK, False),
    ],
)
def test_nothing_else_is_answered(
    room: Room, lane: str, account: int, outcome: Outcome, has_answers: bool
) -> None:
    one = stored(SIMULATED[0], account=account)
    answers = Answering()
    room.settler.telling.answers = answers if has_answers else None
    attempt = Attempt(one, one.recipients, lane)
    assert not room.settler.wants_content(attempt, {0: outcome})
    assert room.settler.judge(attempt, {0: outcome}, b"content").stored == []
    assert answers.asked == []


def test_an_answer_that_cannot_be_made_delays_nothing(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    one = stored(SIMULATED[1])
    answers = room.settler.telling.answers = Answering()
    answers.fails_with = RuntimeError("a bug")
    change = room.settler.judge(Attempt(one, one.recipients, "simulator"), {0: OK}, b"content")
    assert (change.settled, change.stored) == ([(7, 0)], [])
    assert "no answer from the simulator" in caplog.text
