"""Which events make one notification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.events import Event, EventKind
from relay.codec.notification_groups import detail_of, gather
from tests.codec.notifications import AT, BOUNCE, COMPLAINT, DELAY, DELIVERY, DETAILS, ID, event

TOGETHER = [
    (EventKind.BOUNCE, BOUNCE),
    (EventKind.COMPLAINT, COMPLAINT),
    (EventKind.DELIVERY, DELIVERY),
    (EventKind.DELIVERY_DELAY, DELAY),
]


@pytest.mark.parametrize(("kind", "detail"), TOGETHER)
def test_several_recipients_of_one_attempt_are_one(kind: EventKind, detail: dict[str, object]) -> None:
    events = [event(kind, {**detail, "recipient": f"{name}@example.com"}) for name in "abc"]
    [group] = gather(events)
    assert group.events == tuple(events)
    assert group.first is events[0]
    assert [one["recipient"] for one in group.details] == ["a@example.com", "b@example.com", "c@example.com"]


@pytest.mark.parametrize(
    ("kind", "member", "value"),
    [
        (EventKind.BOUNCE, "bounceType", "Transient"),
        (EventKind.BOUNCE, "bounceSubType", "General"),
        (EventKind.BOUNCE, "source", "dsn"),
        (EventKind.BOUNCE, "address", "192.0.2.26"),
        (EventKind.COMPLAINT, "feedbackType", "fraud"),
        (EventKind.DELIVERY, "reply", "250 other"),
        (EventKind.DELIVERY_DELAY, "delayType", "General"),
    ],
)
def test_what_differs_is_told_apart(kind: EventKind, member: str, value: str) -> None:
    other = {**DETAILS[kind], member: value}
    assert len(list(gather([event(kind), event(kind, other), event(kind)]))) == 3


def test_another_message_moment_or_kind_is_another_group() -> None:
    bounce = event(EventKind.BOUNCE)
    others = [
        event(EventKind.BOUNCE, at=AT + 0.001),
        event(EventKind.BOUNCE, message_id=ID.replace("-000001", "-000002")),
        event(EventKind.DELIVERY),
        Event(AT, EventKind.NOTICE, ID, 7, "{}"),
    ]
    for other in others:
        assert [group.events for group in gather([bounce, other])] == [(bounce,), (other,)]


@pytest.mark.parametrize("kind", [EventKind.SEND, EventKind.REJECT, EventKind.NOTICE])
def test_these_stand_alone(kind: EventKind) -> None:
    one = Event(AT, kind, ID, 7, "{}")
    assert len(list(gather([one, one]))) == 2


def test_a_group_has_a_bound() -> None:
    assert [len(group.events) for group in gather([event(EventKind.BOUNCE)] * 7, longest=3)] == [3, 3, 1]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"a":1'])
def test_a_damaged_detail_is_an_empty_one(text: str) -> None:
    assert detail_of(Event(AT, EventKind.BOUNCE, ID, 7, text)) == {}


@given(
    st.lists(st.tuples(st.sampled_from(list(DETAILS)), st.sampled_from([AT, AT + 1]), st.sampled_from("ab"))),
    st.integers(1, 4),
)
def test_every_event_is_in_one_group_and_in_its_place(drawn: list[tuple], longest: int) -> None:
    events = [event(kind, {**DETAILS[kind], "reply": reply}, at) for kind, at, reply in drawn]
    groups = list(gather(events, longest))
    assert [one for group in groups for one in group.events] == events
    assert all(1 <= len(group.events) <= longest for group in groups)
