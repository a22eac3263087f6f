"""Who hears of an event, out of the settings: the identity's own, and no other's."""

import pytest

from relay.base.events import EventKind
from relay.directory.notifying import NotificationRow, Notified, Notifying, Topic, TopicState

ACTIVE = Topic(1, 7, "active", "https://a.example/")
DROPPED = Topic(2, 7, "dropped", "https://b.example/", state=TopicState.DROPPED)
B, C, D = EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.DELIVERY


def notified(*rows: NotificationRow, unforwarded: tuple[tuple[int, str], ...] = ()) -> Notified:
    return Notified([ACTIVE, DROPPED], rows, unforwarded)


def test_an_address_does_not_inherit_from_its_domain() -> None:
    found = notified(NotificationRow(7, "example.org", B, 1, False))
    assert found.of(7, "example.org", B) == Notifying(ACTIVE, False)
    assert found.of(7, "joe@example.org", B) is None
    assert found.of(7, "sub.example.org", B) is None
    assert found.of(7, "example.org", C) is None
    assert found.of(8, "example.org", B) is None


def test_the_log_a_dropped_topic_and_one_that_is_gone() -> None:
    found = notified(
        NotificationRow(7, "a.example", B, None, True),
        NotificationRow(7, "b.example", B, 2, True),
        NotificationRow(7, "c.example", B, 3, True),
    )
    assert found.of(7, "a.example", B) == Notifying(None, True)
    assert found.of(7, "b.example", B) is None
    assert found.of(7, "c.example", B) is None
    assert found.wants_headers(7, "a.example")
    assert not found.wants_headers(7, "b.example")  # nothing is kept for a topic that is told nothing


@pytest.mark.parametrize(
    ("told", "is_forwarding"),
    [
        ({}, True),
        ({B: 1}, True),
        ({B: 1, D: 1}, True),
        ({B: 1, C: 2}, True),
        ({B: 1, C: 1}, False),
        ({B: 1, C: None}, False),
        ({B: None, C: None}, False),
    ],
)
def test_mail_is_never_unheard(told: dict[EventKind, int | None], is_forwarding: bool) -> None:
    rows = [NotificationRow(7, "a.example", kind, topic, False) for kind, topic in told.items()]
    assert notified(*rows, unforwarded=((7, "a.example"),)).is_forwarding(7, "a.example") is is_forwarding
    assert notified(*rows).is_forwarding(7, "a.example")
