"""What became of each recipient: the table of what events say."""

from typing import Any

import pytest

from relay.admin.fate import Fate, fates
from relay.base.events import EventKind

A = "a@x.example"
DELIVERED = (EventKind.DELIVERY, 2.0, {"recipient": A, "reply": "250 ok"})
SENT = (EventKind.SEND, 1.0, {"destination": [A]})
CAME_BACK = (
    EventKind.BOUNCE,
    5.0,
    {"recipient": A, "source": "dsn", "bounceType": "Permanent", "bounceSubType": "General"},
)


@pytest.mark.parametrize(
    ("events", "state", "at", "said"),
    [
        ([SENT], "unknown", 0.0, ""),
        ([SENT, DELIVERED], "delivered", 2.0, "250 ok"),
        ([SENT, DELIVERED, CAME_BACK], "came back", 5.0, "Permanent/General"),
        ([CAME_BACK, SENT, DELIVERED], "came back", 5.0, "Permanent/General"),  # of another shard, read first
        (
            [SENT, (EventKind.BOUNCE, 3.0, {"recipient": A, "reply": "550 5.1.1 no", "reason": "refused"})],
            "failed",
            3.0,
            "550 5.1.1 no",
        ),
        (
            [
                SENT,
                (EventKind.BOUNCE, 3.0, {"recipient": A, "bounceType": "P", "bounceSubType": "Suppressed"}),
            ],
            "suppressed",
            3.0,
            "P/Suppressed",
        ),
        (
            [SENT, DELIVERED, (EventKind.BOUNCE, 4.0, {"recipient": A, "autoReply": True})],
            "delivered",
            2.0,
            "250 ok",
        ),
        (
            [SENT, DELIVERED, (EventKind.COMPLAINT, 9.0, {"recipient": A, "feedbackType": "abuse"})],
            "complained",
            9.0,
            "abuse",
        ),
        (
            [SENT, DELIVERED, (EventKind.COMPLAINT, 9.0, {"recipient": A})],
            "complained",
            9.0,
            "no reason given",
        ),
        ([SENT, (EventKind.DELIVERY_DELAY, 3.0, {"recipient": A})], "unknown", 0.0, ""),
        ([SENT, (EventKind.REJECT, 3.0, {"reason": "Bad content"})], "rejected", 3.0, "Bad content"),
    ],
)
def test_one_recipient(events: list[Any], state: str, at: float, said: str) -> None:
    assert fates([A], events) == [Fate(A, state, at, said)]


def test_the_order_is_that_of_the_envelope_and_others_come_behind() -> None:
    other = (EventKind.DELIVERY, 2.0, {"recipient": "b@x.example", "reply": "250"})
    assert [one.recipient for one in fates(["c@x.example", A], [other, DELIVERED])] == [
        "c@x.example",
        A,
        "b@x.example",
    ]
