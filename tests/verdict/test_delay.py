"""Who hears that mail waits, and when."""

import pytest

from relay.verdict.delay import DelayNotices, hears_of_delay, is_late, is_past_deadline
from tests.fakes.spool import NOW, message

ALL, ASKED, NEVER = DelayNotices(100.0), DelayNotices(100.0, is_unasked=False), DelayNotices(0.0)


@pytest.mark.parametrize(
    ("notices", "age", "more", "late"),
    [
        (ALL, 99, {}, False),
        (ALL, 100, {}, True),
        (ASKED, 100, {}, True),  # an event tells of it in any case
        (NEVER, 1e6, {}, False),
        (ALL, 100, {"sender": ""}, False),
        (NEVER, 49, {"deadline": NOW + 50, "is_by_notify": True}, False),
        (NEVER, 50, {"deadline": NOW + 50, "is_by_notify": True}, True),
        (NEVER, 50, {"deadline": NOW + 50}, False),  # that one is given up
        (ALL, 100, {"deadline": NOW + 500, "is_by_notify": True}, True),
    ],
)
def test_late(notices: DelayNotices, age: float, more: dict, late: bool) -> None:
    one = message()
    for name, value in more.items():
        setattr(one, name, value)
    assert is_late(one, one.recipients[0], NOW + age, notices) is late
    one.recipients[0].is_told = True
    assert is_late(one, one.recipients[0], NOW + age, notices) is False


@pytest.mark.parametrize(
    ("notify", "to_all", "asked", "past_deadline"),
    [
        ("", True, False, True),
        ("NEVER", False, False, False),
        ("SUCCESS", False, False, False),
        ("FAILURE,SUCCESS", False, False, False),
        ("DELAY", True, True, True),
        ("SUCCESS,DELAY,FAILURE", True, True, True),
    ],
)
def test_who_hears(notify: str, to_all: bool, asked: bool, past_deadline: bool) -> None:
    one = message()
    (recipient,) = one.recipients
    recipient.notify = notify
    found = [hears_of_delay(one, recipient, NOW + 100, notices) for notices in (ALL, ASKED)]
    assert found == [to_all, asked]
    one.deadline, one.is_by_notify = NOW + 50, True
    assert is_past_deadline(one, NOW + 100)
    assert hears_of_delay(one, recipient, NOW + 100, ASKED) is past_deadline
