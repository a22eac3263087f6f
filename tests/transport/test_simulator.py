"""The mailbox simulator: what it answers, to whom, and that others have their turn."""

import asyncio
import logging
from collections import deque

import pytest

from relay.base.message import Attempt, Recipient
from relay.base.outcome import Delivered, Failed, Onward, Outcome, Reason, Scope
from relay.transport.simulator import ROUTE, Simulator, answer
from tests.transport.peers import make_attempt

DOMAIN = "simulator.relay.example"


@pytest.mark.parametrize(
    ("local", "reply"),
    [
        ("success", "250 2.6.0"),
        ("Success+label", "250 2.6.0"),
        ("ooto", "250 2.6.0"),
        ("complaint+x", "250 2.6.0"),
        ("suppressionlist", "250 2.6.0"),
        ("bounce", "550 5.1.1"),
        ("BOUNCE+user=example.com", "550 5.1.1"),
        ("nobody", "550 5.1.1"),
        ("success-not", "550 5.1.1"),
    ],
)
def test_each_mailbox_has_its_answer(local: str, reply: str) -> None:
    outcome = answer(Recipient(0, f"{local}@Simulator.Relay.Example", DOMAIN))
    assert isinstance(outcome, Delivered if reply.startswith("250") else Failed)
    assert str(outcome.reply).startswith(reply)
    assert outcome.peer.host == DOMAIN
    if isinstance(outcome, Delivered):
        assert outcome.onward is Onward.DELIVERED
    if isinstance(outcome, Failed):
        assert (outcome.scope, outcome.reason) == (Scope.RECIPIENT, Reason.REFUSED)


class Queue:
    """Attempts of the simulator's site."""

    def __init__(self, *attempts: Attempt) -> None:
        self.waiting = deque(attempts)
        self.outcomes: list[dict[int, Outcome]] = []
        self.is_broken = False

    def take(self, site: str) -> Attempt | None:
        assert site == ROUTE.site
        return self.waiting.popleft() if self.waiting else None

    def finished(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        if self.is_broken:
            self.is_broken = False
            raise RuntimeError("a bug")
        self.outcomes.append(outcomes)


def attempt(*locals_: str) -> Attempt:
    return make_attempt(*(f"{local}@{DOMAIN}" for local in locals_), site=ROUTE.site, content=None)


async def turn() -> None:
    """Everything that was called for has run."""
    await asyncio.sleep(0)


async def test_an_attempt_is_answered_whole_and_not_before_its_250() -> None:
    queue = Queue(attempt("bounce+a", "success", "bounce+b"))
    Simulator(queue).wake(ROUTE, 1)
    assert queue.outcomes == []
    await turn()
    (outcomes,) = queue.outcomes
    assert [type(outcomes[number]) for number in range(3)] == [Failed, Delivered, Failed]


async def test_others_have_their_turn_between_many() -> None:
    queue = Queue(*(attempt("success") for _ in range(120)))
    simulator = Simulator(queue)
    for _ in range(3):
        simulator.wake(ROUTE, 120)
    done = []
    while len(queue.outcomes) < 120:
        await turn()
        done.append(len(queue.outcomes))
    assert done == [50, 100, 120]
    await turn()
    queue.waiting.append(attempt("success"))  # it has come to rest, and can be called again
    simulator.wake(ROUTE, 1)
    await turn()
    assert len(queue.outcomes) == 121


async def test_nothing_waits_nothing_is_done() -> None:
    queue = Queue(attempt("success"))
    Simulator(queue).wake(ROUTE, 0)
    await turn()
    assert queue.outcomes == []


async def test_a_bug_with_one_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(attempt("success"), attempt("bounce"))
    queue.is_broken = True
    with caplog.at_level(logging.ERROR):
        Simulator(queue).wake(ROUTE, 2)
        await turn()
    assert len(queue.outcomes) == 1
    assert "no outcome from the simulator" in caplog.text
