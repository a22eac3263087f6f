"""The loops of one receiver joined: which of them hears what."""

import pytest

from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import LaneLimits
from relay.traffic.feedback import Feedback
from relay.traffic.flow import Flow
from relay.traffic.site_rule import SiteRule

OK = Delivered(Reply(250, "queued", "2.0.0"))
SLOWER = Deferred(Scope.SESSION, Reason.BUSY, Reply(421, "too much mail", "4.7.0"))
CROWDED = Deferred(Scope.SESSION, Reason.BUSY, Reply(421, "too many connections", "4.7.0"))
LOST = Deferred(Scope.SESSION, Reason.TIMEOUT)
UNKNOWN = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "who", "5.1.1"))


@pytest.mark.parametrize(
    ("outcome", "kind", "connections", "is_paced"),
    [
        (OK, Feedback.SUCCESS, 8, False),
        (UNKNOWN, Feedback.NEUTRAL, 5, False),
        (SLOWER, Feedback.THROTTLED, 5, True),
        (CROWDED, Feedback.CROWDED, 4, False),
        (LOST, Feedback.FAILED, 2, False),
    ],
)
def test_each_loop_hears_what_concerns_it(
    outcome: Outcome, kind: Feedback, connections: int, is_paced: bool
) -> None:
    flow = Flow(SiteRule(connections=8))
    for number in range(12 if outcome is LOST else 20):
        if outcome is CROWDED and number:
            break
        assert flow.heard(float(number), [outcome], 0.1) is kind
    assert flow.limits.connections == connections or (outcome is OK and flow.limits.connections >= 7)
    assert (flow.pace.wait_s(20.0) > 0 or flow.pace.is_pausing) is is_paced


def test_replies_that_get_slower_give_way() -> None:
    flow = Flow(SiteRule(connections=50))
    for number in range(40):
        flow.heard(float(number), [OK], 0.4)
    before = flow.limits.connections
    for number in range(40):
        flow.heard(40.0 + number, [OK], 3.0)
    assert 5 <= flow.limits.connections < before
    for number in range(200):
        flow.heard(80.0 + number, [OK], 30.0)
    assert flow.limits.connections == 5  # large messages take long, too
    assert not flow.concurrency.is_dead  # it is slow, and delivers


def test_another_rule_keeps_what_was_found_out() -> None:
    flow = Flow(SiteRule(connections=20, messages_per_connection=100))
    for number in range(200):
        flow.heard(float(number), [OK], 0.1)
    assert flow.limits.connections > 10
    flow.share(7, None)
    flow.obey(SiteRule(connections=9, messages_per_connection=50, rate_per_s=3.0))
    assert flow.limits == LaneLimits(7, 50)
    assert flow.pace.rate(200.0) == 3.0
    flow.share(None, None)
    assert flow.limits == LaneLimits(9, 50)


def test_a_refused_connection_speaks_of_rate_or_of_number() -> None:
    flow = Flow(SiteRule())
    flow.refused(0.0, CROWDED, 2)
    assert flow.limits.connections == 2
    flow.refused(0.0, Deferred(Scope.SITE, Reason.BUSY, Reply(421, "rate limit exceeded")), 2)
    assert flow.pace.is_pausing
