"""The mailbox simulator: what it answers, to whom, and that others have their turn."""

import asyncio
import logging
from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import Refused, SpoolError
from relay.base.message import Attempt, Recipient, TlsWish
from relay.base.outcome import STOPPED, Deferred, Delivered, Failed, Onward, Outcome, Reason, Scope
from relay.base.reply import Reply
from relay.transport.simulator import ROUTE, Simulator, answer, comes_back
from tests.transport.peers import make_attempt

DOMAIN = "simulator.relay.example"


@pytest.mark.parametrize(
    ("local", "reply"),
    [
        ("success", "250 2.6.0"),
        ("Success+label", "250 2.6.0"),
        ("ooto", "250 2.6.0"),
        ("complaint+x", "250 2.6.0"),
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


@pytest.mark.parametrize("local", ["suppressionlist", "SuppressionList+a"])
def test_an_address_as_if_on_the_suppression_list(local: str) -> None:
    outcome = answer(Recipient(0, f"{local}@{DOMAIN}", DOMAIN))
    assert isinstance(outcome, Failed)
    assert (outcome.scope, outcome.reason, outcome.reply) == (Scope.RECIPIENT, Reason.SUPPRESSED, None)


class Queue:
    """Attempts of the simulator's site."""

    def __init__(self, *attempts: Attempt) -> None:
        self.waiting = deque(attempts)
        self.outcomes: list[dict[int, Outcome]] = []
        self.is_broken = False
        self.contents: dict[str, bytes] = {}

    async def content(self, attempt: Attempt) -> bytes | Path:
        return self.contents[attempt.message.id]

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


async def turn(times: int = 1) -> None:
    """Everything that was called for has run."""
    for _ in range(times):
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


RETURN_PATH = "0000-abc@bounces.relay.example"


class Desk:
    """Takes what comes back; waits for ``gate`` where there is one."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = deque(faults)
        self.taken: list[tuple[str, bytes, str]] = []
        self.wishes: list[TlsWish] = []
        self.gate: asyncio.Event | None = None
        self.most = self.now = 0

    async def take(
        self, recipient: str, content: bytes, *, source: str = "", tls: TlsWish = TlsWish.NONE
    ) -> None:
        self.wishes.append(tls)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.faults and (fault := self.faults.popleft()) is not None:
                raise fault
        finally:
            self.now -= 1
        self.taken.append((recipient, content, source))


def sent_back(content: bytes | None = b"Subject: Auto: hi\r\n\r\n") -> Attempt:
    """What a mailbox has sent back."""
    one = make_attempt(RETURN_PATH, site=ROUTE.site, content=content)
    one.message.account_id = 0
    one.recipients[0].domain = DOMAIN
    return one


def test_what_comes_back_is_known_by_its_route() -> None:
    assert comes_back(sent_back())
    assert not comes_back(attempt("ooto"))
    bounce = attempt("ooto")  # of mail that was sent from there
    bounce.message.account_id = 0
    assert not comes_back(bounce)


async def test_what_a_mailbox_sends_back_is_taken_as_mail_that_came_in() -> None:
    stored = sent_back(content=None)
    queue, desk = Queue(sent_back(), attempt("bounce"), stored), Desk()
    queue.contents[stored.message.id] = b"from the disk"
    stored.message.tls = TlsWish.REQUIRED
    simulator = Simulator(queue)
    simulator.feedback = desk
    simulator.wake(ROUTE, 3)
    await turn(6)
    assert desk.taken == [
        (RETURN_PATH, b"Subject: Auto: hi\r\n\r\n", "simulator"),
        (RETURN_PATH, b"from the disk", "simulator"),
    ]
    assert [type(one[0]) for one in queue.outcomes] == [Failed, Delivered, Delivered]
    assert desk.wishes == [TlsWish.NONE, TlsWish.REQUIRED]  # as the message that it is about came


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (SpoolError("full"), Deferred, Reason.INTERNAL),
        (RuntimeError("a bug"), Deferred, Reason.INTERNAL),
        (Refused(Reply(550, "No such user here", "5.1.1")), Failed, Reason.REFUSED),
    ],
)
async def test_what_is_not_taken_comes_again_unless_nobody_ever_will(
    fault: Exception, kind: type[Outcome], reason: Reason
) -> None:
    queue, desk = Queue(sent_back(), sent_back()), Desk(fault)
    simulator = Simulator(queue)
    simulator.feedback = desk
    simulator.wake(ROUTE, 2)
    await turn(6)
    ((first,), (second,)) = (one.values() for one in queue.outcomes)
    assert isinstance(first, kind)
    assert first.reason is reason
    assert first.scope in (Scope.MESSAGE, Scope.RECIPIENT)  # says nothing about the next one
    assert isinstance(second, Delivered)


async def test_so_many_at_a_time_and_the_next_when_one_has_ended() -> None:
    queue, desk = Queue(*(sent_back() for _ in range(60))), Desk()
    desk.gate = asyncio.Event()
    simulator = Simulator(queue)
    simulator.feedback = desk
    simulator.wake(ROUTE, 60)
    await turn(20)
    assert (desk.now, len(queue.waiting)) == (16, 44)
    desk.gate.set()
    while len(queue.outcomes) < 60:
        await turn()
    assert desk.most == 16
    assert len(desk.taken) == 60


async def test_what_is_being_taken_when_the_relay_stops_counts_no_attempt() -> None:
    queue, desk = Queue(sent_back()), Desk()
    desk.gate = asyncio.Event()
    simulator = Simulator(queue)
    simulator.feedback = desk
    async with AsyncExitStack() as stack:
        await simulator.start(stack)
        simulator.wake(ROUTE, 1)
        await turn(4)
        assert desk.now == 1
    ((outcome,),) = (one.values() for one in queue.outcomes)
    assert isinstance(outcome, Deferred)
    assert (outcome.reason, outcome.detail) == (Reason.INTERNAL, STOPPED)
