"""Outcome by outcome: done, wait or give up."""

import pytest

from relay.base.outcome import STOPPED as STOPPED_TEXT
from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason, Scope
from relay.base.reply import Reply
from relay.verdict.classify import DONE, GiveUp, Verdict, Wait, classify
from tests.fakes.spool import NOW, message

OK = Delivered(Reply(250, "ok"))
STOPPED = Deferred(Scope.SESSION, Reason.INTERNAL, detail=STOPPED_TEXT)


def deferred(scope: Scope, reason: Reason) -> Deferred:
    return Deferred(scope, reason, Reply(450, "later"))


class Doubling:
    def due_at(self, now: float, attempts: int, expires_at: float, dice: float) -> float:
        return min(now + 2.0**attempts + dice, expires_at)


TABLE: list[tuple[str, Outcome, int, float, Verdict]] = [
    # what happened, outcome, attempts before, age when it happened, verdict
    ("delivered", OK, 0, 0, DONE),
    ("delivered after expiry", OK, 9, 2000, DONE),
    ("refused for good", Failed(Scope.RECIPIENT, Reason.REFUSED), 0, 0, GiveUp(is_expired=False)),
    ("message refused", Failed(Scope.MESSAGE, Reason.SIZE), 3, 2000, GiveUp(is_expired=False)),
    ("first 4xx", deferred(Scope.RECIPIENT, Reason.REFUSED), 0, 0, Wait(NOW + 2.5, 1)),
    ("fourth 4xx", deferred(Scope.RECIPIENT, Reason.REFUSED), 3, 0, Wait(NOW + 16.5, 4)),
    ("4xx just before expiry", deferred(Scope.RECIPIENT, Reason.REFUSED), 3, 999, Wait(NOW + 1000, 4)),
    ("4xx at expiry", deferred(Scope.RECIPIENT, Reason.REFUSED), 3, 1000, GiveUp(is_expired=True)),
    ("site down after expiry", Deferred(Scope.SITE, Reason.SITE_DOWN), 3, 1001, GiveUp(is_expired=True)),
    ("a bug of ours", Deferred(Scope.MESSAGE, Reason.INTERNAL, detail="x"), 0, 0, Wait(NOW + 2.5, 1)),
    ("our own stop", STOPPED, 3, 0, Wait(NOW, 3)),
    ("our own stop after expiry", STOPPED, 3, 5000, Wait(NOW + 5000, 3)),
]


@pytest.mark.parametrize(
    ("outcome", "attempts", "age", "verdict"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_verdict(outcome: Outcome, attempts: int, age: float, verdict: Verdict) -> None:
    one = message(max_age=1000)
    one.recipients[0].attempts = attempts
    assert classify(outcome, one, one.recipients[0], NOW + age, Doubling(), 0.5) == verdict


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("reason", Reason)
def test_nothing_temporary_bounces_before_expiry(scope: Scope, reason: Reason) -> None:
    one = message(max_age=1000)
    one.recipients[0].attempts = 1000  # a count of refusals ends nothing
    verdict = classify(Deferred(scope, reason), one, one.recipients[0], NOW + 999, Doubling(), 0.5)
    assert isinstance(verdict, Wait)


@pytest.mark.parametrize(
    ("age", "attempts", "due"),
    [
        (10, 0, 12.5),  # the deadline is far
        (10, 6, 100),  # tried at the deadline, so that the sender hears in time
        (100, 6, 228.5),  # past it, by the schedule
    ],
)
def test_who_is_to_be_told_at_a_deadline_is_tried_then(age: float, attempts: int, due: float) -> None:
    one = message(max_age=1000)
    one.deadline, one.is_by_notify = NOW + 100, True
    one.recipients[0].attempts = attempts
    later = deferred(Scope.RECIPIENT, Reason.REFUSED)
    assert classify(later, one, one.recipients[0], NOW + age, Doubling(), 0.5) == Wait(
        NOW + due, attempts + 1
    )


def test_a_deadline_that_ends_it_comes_before_expiry() -> None:
    one = message(max_age=1000)
    one.deadline = NOW + 100
    later = deferred(Scope.RECIPIENT, Reason.REFUSED)
    verdict = classify(later, one, one.recipients[0], NOW + 100, Doubling(), 0.5)
    assert verdict == GiveUp(is_expired=True)
