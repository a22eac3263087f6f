"""Workers that send to a modelled receiver, event by event on a virtual clock.

What decides is the relay's own code: ``SiteControl`` with all it holds, ``ReadyQueue``, ``RetrySchedule``.
What is modelled is what they stand between: messages that come in, connections (opened as the pools do it: an
idle one first, one at a time to a site that is not known to be up), and the receiver. Mail of a site that is
down waits, and comes back when the site may be tried. Workers know nothing of each other but what the ledger
tells them, where there is one.

Deterministic: the only randomness is that of the retry's jitter, from a seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from bench.shaping.ledger import Ledger
from bench.shaping.receivers import BUSY, Answer, Letter, Receiver
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Outcome
from relay.base.route import Host, Route
from relay.traffic.backoff import RetrySchedule, SiteBackoff
from relay.traffic.feedback import Feedback, read
from relay.traffic.ready_queue import ReadyQueue
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule

ROUTE = Route("mx:mx.example.org", (Host("mx.example.org"),))
_GREETING_S = 0.05
_IDLE_S = 30.0


@dataclass(slots=True)
class Counts:
    """Of one minute."""

    delivered: dict[int, int] = field(default_factory=dict)  # by account
    attempts: int = 0
    slowed: int = 0  # answers that asked for less
    failed: int = 0
    connects: int = 0
    not_connected: int = 0
    most_open: int = 0

    @property
    def taken(self) -> int:
        """Delivered, all accounts."""
        return sum(self.delivered.values())


@dataclass(slots=True, eq=False)
class _Line:
    """A connection."""

    used: int = 0
    is_idle: bool = False
    idle_since: float = 0.0


class World:
    """The clock, the receiver, the counts."""

    def __init__(self, receiver: Receiver, seed: int = 1) -> None:
        self.receiver = receiver
        self.now = 0.0
        self.minutes: list[Counts] = []
        self.dice = random.Random(seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()

    def at(self, when: float, what: Callable[..., None], *arguments: Any) -> None:
        """Do it then."""
        heapq.heappush(self._events, (when, next(self._order), what, arguments))

    def run(self, until: float) -> None:
        """Let it happen."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what, arguments = heapq.heappop(self._events)
            what(*arguments)
        self.now = until

    @property
    def counts(self) -> Counts:
        """Of the present minute."""
        minute = int(self.now // 60)
        while len(self.minutes) <= minute:
            self.minutes.append(Counts())
        return self.minutes[minute]


class Worker:
    """One lane of one worker."""

    def __init__(self, world: World, rule: SiteRule, retry: RetrySchedule, backoff: SiteBackoff) -> None:
        self.world = world
        self.control = SiteControl(rule, backoff)
        self.queue = ReadyQueue(ROUTE, self.control)
        self.probes: list[float] = []  # connections while the site was thought to be down
        self._retry = retry
        self._lines: list[_Line] = []
        self._opening = 0
        self._is_up = False
        self._called_at = float("inf")
        self._tries: dict[int, int] = {}
        self.ledger: Ledger | None = None
        self.number = 0  # at the ledger

    # -- mail ------------------------------------------------------------------------------------------------

    def submit(self, number: int, account: int) -> None:
        """A message comes in."""
        recipient = Recipient(0, f"user{number}@example.org", "example.org")
        message = Message(f"{number:x}", 1, account, "", [recipient], 4096, self.world.now, 1e9, key=number)
        self.push(message)

    def push(self, message: Message) -> None:
        """It is due."""
        self.queue.push(Attempt(message, message.recipients, ROUTE.lane))
        self.arrange()

    def _again(self, message: Message) -> None:
        tries = self._tries[message.key] = self._tries.get(message.key, 0) + 1
        due = self._retry.due_at(self.world.now, tries, 1e9, self.world.dice.random())
        self.world.at(due, self.push, message)

    # -- connections -----------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """Rouse or open as many connections as there may be work for."""
        now, control = self.world.now, self.control
        if self.ledger is not None and self.queue.waiting:
            self.ledger.wanted(self)
        if control.is_down(now):
            self._call(control.retry_at - now)
            return
        may_go = control.allowed(now, self.queue.waiting)
        if not may_go:
            if self.queue.waiting:
                self._call(control.wait_s(now))
            return
        idle = [line for line in self._lines if line.is_idle]
        for line in idle[:may_go]:
            line.is_idle = False
            self.world.at(now, self._work, line)
        most = control.limits.connections if self._is_up else min(1, control.limits.connections)
        for _ in range(min(may_go - len(idle), most - len(self._lines)) - self._opening):
            self._opening += 1
            if control.failures:
                self.probes.append(now)
            self.world.at(now + _GREETING_S, self._open)

    def _call(self, wait_s: float) -> None:
        when = self.world.now + max(wait_s, 0.001)
        if when < self._called_at:
            self._called_at = when
            self.world.at(when, self._called, when)

    def _called(self, when: float) -> None:
        if when == self._called_at:
            self._called_at = float("inf")
            self.arrange()

    def _open(self) -> None:
        world, counts = self.world, self.world.counts
        self._opening -= 1
        counts.connects += 1
        failure = world.receiver.connect(world.now)
        if failure is None:
            world.receiver.open += 1
            counts.most_open = max(counts.most_open, world.receiver.open)
            line = _Line()
            self._lines.append(line)
            self._is_up = True
            self.control.reached(world.now)
            self._work(line)
            self.arrange()
            return
        counts.not_connected += 1
        self._refused(failure)

    def _refused(self, failure: Deferred) -> None:
        """A connection did not come about."""
        if self.ledger is not None and self.ledger.refused(self, failure, len(self._lines)):
            return
        if self._lines:
            self.control.crowded(self.world.now, failure, len(self._lines))
        else:
            self.site_is_down(failure)

    def site_is_down(self, failure: Deferred) -> None:
        """Nobody has a connection there."""
        self._is_up = False
        self.control.unreachable(self.world.now, failure, self.world.dice.random())
        self._call(self.control.retry_at - self.world.now)

    def held(self) -> tuple[int, int, int]:
        """Connections, on their way in included; idle; open."""
        open_ = len(self._lines)
        return open_ + self._opening, sum(line.is_idle for line in self._lines), open_

    def let_idle_go(self) -> None:
        """What idles above the limit closes."""
        for line in [line for line in self._lines if line.is_idle]:
            if len(self._lines) > self.control.limits.connections:
                line.is_idle = False
                self._close(line)

    def _close(self, line: _Line) -> None:
        self._lines.remove(line)
        self.world.receiver.open -= 1

    def _idle_out(self, line: _Line, since: float) -> None:
        if line.is_idle and line.idle_since == since:
            self._close(line)

    def _work(self, line: _Line) -> None:
        """The connection takes a message, idles, or goes."""
        world, control = self.world, self.control
        now, limits = world.now, control.limits
        if line.used >= limits.messages_per_connection or len(self._lines) > limits.connections:
            self._close(line)
            self.arrange()
            return
        wait_s = control.wait_s(now)
        if not self.queue.waiting or control.is_down(now) or wait_s > 0:
            if self.queue.waiting:
                self._call(max(wait_s, control.retry_at - now))
            line.is_idle, line.idle_since = True, now
            world.at(now + _IDLE_S, self._idle_out, line, now)
            return
        attempt = self.queue.pop()
        control.took(now, 1)
        self._send(line, attempt)

    def _send(self, line: _Line, attempt: Attempt) -> None:
        world = self.world
        letter = Letter(attempt.message.key, attempt.message.account_id)
        answer = world.receiver.mail(world.now, letter, line.used)
        line.used += 1
        world.at(world.now + answer.took_s, self._answered, line, attempt, answer)

    def _reopened(self, line: _Line, attempt: Attempt) -> None:
        """A connection that was hung up between two messages is made anew, for the same message."""
        world = self.world
        world.counts.connects += 1
        world.receiver.open -= 1
        failure = world.receiver.connect(world.now)
        if failure is None:
            world.receiver.open += 1
            line.used = 0
            self._send(line, attempt)
            return
        self._lines.remove(line)
        world.counts.not_connected += 1
        self._heard(attempt, failure, _GREETING_S)
        self._refused(failure)

    def _answered(self, line: _Line, attempt: Attempt, answer: Answer) -> None:
        world = self.world
        if answer.outcome is BUSY and line.used > 1:
            world.at(world.now + _GREETING_S, self._reopened, line, attempt)
            return
        self._heard(attempt, answer.outcome, answer.took_s)
        if answer.closes:
            self._close(line)
            self.arrange()
        else:
            self._work(line)

    def _heard(self, attempt: Attempt, outcome: Outcome, took_s: float) -> None:
        world, counts = self.world, self.world.counts
        counts.attempts += 1
        if isinstance(outcome, Delivered):
            account = attempt.message.account_id
            counts.delivered[account] = counts.delivered.get(account, 0) + 1
        elif isinstance(outcome, Failed):
            counts.failed += 1
        else:
            counts.slowed += read([outcome]) in (Feedback.THROTTLED, Feedback.CROWDED)
            self._again(attempt.message)
        counts.most_open = max(counts.most_open, world.receiver.open)
        limits = self.control.limits
        self.control.heard(world.now, [outcome], took_s)
        if self.control.limits is not limits:
            world.at(world.now, self.arrange)
