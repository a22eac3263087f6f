"""What recipients on a suppression list are answered."""

import asyncio

import pytest

from relay.base.message import Recipient
from relay.base.outcome import Failed, Reason, Scope
from relay.base.suppression import ON_ACCOUNT_LIST, ON_ACCOUNT_LIST_FOR_COMPLAINT, ON_SERVICE_LIST
from relay.codec.status import status_of
from relay.transport.simulator import Simulator
from relay.transport.suppressed import ROUTE, answer
from tests.transport.peers import make_attempt


@pytest.mark.parametrize(
    ("domain", "reason", "said"),
    [
        (ON_SERVICE_LIST, Reason.SUPPRESSED, "bounced in the last days"),
        (ON_ACCOUNT_LIST, Reason.ON_ACCOUNT_LIST, "mail to it has bounced, or"),
        (ON_ACCOUNT_LIST_FOR_COMPLAINT, Reason.ON_ACCOUNT_LIST, "it has complained"),
    ],
)
def test_it_fails_and_says_why(domain: str, reason: Reason, said: str) -> None:
    outcome = answer(Recipient(0, "a@x.example", domain))
    assert isinstance(outcome, Failed)
    assert (outcome.scope, outcome.reason, outcome.reply) == (Scope.RECIPIENT, reason, None)
    assert said in outcome.detail
    assert status_of(outcome) == "5.1.1"


async def test_it_is_answered_as_the_simulator_answers() -> None:
    class Queue:
        def __init__(self) -> None:
            self.waiting = [make_attempt("a@x.example", "b@x.example", site=ROUTE.site, content=None)]
            self.outcomes: list[dict[int, object]] = []

        def take(self, lane: str):
            assert lane == ROUTE.lane
            return self.waiting.pop() if self.waiting else None

        def finished(self, attempt, outcomes) -> None:
            self.outcomes.append(outcomes)

    queue = Queue()
    Simulator(queue, ROUTE, answer).wake(ROUTE, 1)
    assert queue.outcomes == []
    await asyncio.sleep(0)
    (outcomes,) = queue.outcomes
    assert [type(one) for one in outcomes.values()] == [Failed, Failed]
