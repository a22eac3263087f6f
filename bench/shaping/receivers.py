"""Receivers as models: what they answer, and how long they take, as a function of the clock and of what came
before. No I/O, no randomness.

Contract: ``connect`` is asked for each new connection, ``mail`` for each message on it; both return the real
outcomes of the relay, which the simulation hands to the real controls. ``closes`` says that the receiver
hangs up after that answer. What a receiver allows is in ``cap_per_s`` where it can be said, for the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.base.outcome import Deferred, Delivered, Failed, Outcome, Reason, Scope
from relay.base.reply import Reply

OK = Delivered(Reply(250, "queued", "2.0.0"))
RATE = Deferred(Scope.MESSAGE, Reason.REFUSED, Reply(450, "rate limit exceeded, slow down", "4.7.1"))
GREY = Deferred(Scope.RECIPIENT, Reason.REFUSED, Reply(450, "Greylisted, try again later", "4.7.1"))
BUSY = Deferred(Scope.SESSION, Reason.BUSY, Reply(421, "try again later", "4.7.0"))
CROWDED = Deferred(Scope.SITE, Reason.BUSY, Reply(421, "too many connections from your address", "4.7.0"))
SPAM = Failed(Scope.MESSAGE, Reason.REFUSED, Reply(550, "this looks like spam", "5.7.1"))
DEAD = Deferred(Scope.SITE, Reason.CONNECT, None, "connection timed out")
NO_TLS = Deferred(Scope.SITE, Reason.TLS, None, "TLS handshake: certificate has expired")
LOST = Deferred(Scope.SESSION, Reason.CONNECTION_LOST, None, "closed by the peer")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as a receiver sees it."""

    number: int
    account: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome, after so many seconds."""

    outcome: Outcome
    took_s: float
    closes: bool = False


@dataclass
class Receiver:
    """One that takes everything from everybody, 0.2 s a message, 50 ms a greeting."""

    took_s: float = 0.2
    connections: int = 1000  # at once; one more is refused with 421
    per_connection: int = 1_000_000  # messages; then it hangs up with 421
    open: int = 0
    cap_per_s: float = 0.0

    def connect(self, now: float) -> Deferred | None:
        """Why a connection is refused, or None."""
        return CROWDED if self.open >= self.connections else None

    def mail(self, now: float, letter: Letter, on_connection: int) -> Answer:
        """The answer to a message, the ``on_connection``-th of its connection."""
        if on_connection >= self.per_connection:
            return Answer(BUSY, 0.02, closes=True)
        return self.judge(now, letter)

    def judge(self, now: float, letter: Letter) -> Answer:
        """What this kind of receiver answers."""
        return Answer(OK, self.took_s)


@dataclass
class ByTheMinute(Receiver):
    """So many messages in each minute of its clock."""

    most: int = 100
    _minute: int = -1
    _taken: int = 0

    def __post_init__(self) -> None:
        self.cap_per_s = self.most / 60

    def judge(self, now: float, letter: Letter) -> Answer:
        if int(now // 60) != self._minute:
            self._minute, self._taken = int(now // 60), 0
        if self._taken >= self.most:
            return Answer(RATE, 0.05)
        self._taken += 1
        return Answer(OK, self.took_s)


@dataclass
class Bucket(Receiver):
    """A rate, and a burst that may come at once."""

    rate: float = 5.0
    burst: float = 20.0
    _tokens: float = 0.0
    _at: float = 0.0

    def __post_init__(self) -> None:
        self.cap_per_s = self.rate
        self._tokens = self.burst

    def judge(self, now: float, letter: Letter) -> Answer:
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1.0:
            return Answer(RATE, 0.05)
        self._tokens -= 1.0
        return Answer(OK, self.took_s)


@dataclass
class Greylisting(Receiver):
    """Defers the first attempts of mail from one account for five minutes."""

    account: int = 1
    delay_s: float = 300.0
    _seen: dict[int, float] = field(default_factory=dict)

    def judge(self, now: float, letter: Letter) -> Answer:
        if letter.account == self.account and now - self._seen.setdefault(letter.number, now) < self.delay_s:
            return Answer(GREY, 0.05)
        return Answer(OK, self.took_s)


@dataclass
class Tarpit(Receiver):
    """Answers more slowly the more connections there are, past four."""

    def judge(self, now: float, letter: Letter) -> Answer:
        return Answer(OK, self.took_s * (1 + max(0, self.open - 4) ** 2))


@dataclass
class SlowDrain(Receiver):
    """Can store so many a second; what comes faster waits for its turn, and so does the reply."""

    rate: float = 10.0
    _free_at: float = 0.0

    def __post_init__(self) -> None:
        self.cap_per_s = self.rate

    def judge(self, now: float, letter: Letter) -> Answer:
        self._free_at = max(self._free_at, now) + 1 / self.rate
        return Answer(OK, self._free_at - now + self.took_s)


@dataclass
class Storm(Receiver):
    """Answers every message with 421 and hangs up, between two moments."""

    begin: float = 600.0
    end: float = 1200.0

    def judge(self, now: float, letter: Letter) -> Answer:
        if self.begin <= now < self.end:
            return Answer(BUSY, 0.05, closes=True)
        return Answer(OK, self.took_s)


@dataclass
class Outage(Receiver):
    """Takes no sessions between two moments: nobody answers, or its certificate has expired."""

    begin: float = 600.0
    end: float = 1800.0
    failure: Deferred = DEAD

    def connect(self, now: float) -> Deferred | None:
        return self.failure if self.begin <= now < self.end else super().connect(now)

    def judge(self, now: float, letter: Letter) -> Answer:
        if self.begin <= now < self.end:
            return Answer(LOST, 5.0, closes=True)
        return Answer(OK, self.took_s)


@dataclass
class Picky(Receiver):
    """Refuses all that one account sends."""

    account: int = 1

    def judge(self, now: float, letter: Letter) -> Answer:
        return Answer(SPAM, 0.05) if letter.account == self.account else Answer(OK, self.took_s)
