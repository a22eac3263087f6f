"""Watching SMTP dialogues while they happen: which ones, for whom, and how much is kept until it is read.

``Traces`` is one process's list of who watches. A session that some trace may be about gets a ``Trail`` and
hands each line to it; where nobody watches there is no trail, and a session asks one attribute. ``Filter``
says which sessions a trace is about: those of clients by address, listener or account, those to receivers by
site or account. Whose account a client is, is known only after AUTH: until then its lines wait in the trail,
at most ``MAX_UNDECIDED`` of them.

Contract: ``Trail`` never waits and never fails. A ``Trace`` holds at most ``MAX_LINES``; what does not fit is
counted, and the reader is told how many. Lines come without secrets and without content: whoever calls a
trail sees to that (``relay.codec.trace_text``). Nothing survives the process.

Cost: with nobody watching, an empty tuple is asked once a session and a None once a line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from relay.base.clock import Clock, SystemClock

MAX_LINES = 2_000  # of a trace, not yet handed on
MAX_UNDECIDED = 100

CLIENT, SERVER, NOTE, END = "C", "S", "#", "."
"""Who said a line; a note is ours and went over no wire, an end is the last that is heard of a session."""

Line: TypeAlias = tuple[float, str, str, str]
"""When, in which session, who said it, and what."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions are meant; all that is given must match. Empty and 0 mean any."""

    client: str = ""  # a network of addresses, e.g. "192.0.2.0/24"
    listener: str = ""  # "127.0.0.1:25"; an address of "" or "*" is any
    account: int = 0
    site: str = ""  # a site's name, or a recipient's domain, a mail server or an address of it; lower case

    def fields(self) -> dict[str, Any]:
        """What is given, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value}

    def of_client(self, address: str, own: tuple[str, int], account: int) -> bool | None:
        """Whether a client's session is meant; None while that hangs on its account. ``own`` is ours."""
        if self.site or (self.client and not _is_in(address, self.client)):
            return False
        if self.listener and not _is_at(own, self.listener):
            return False
        return None if self.account and not account else self.account in (0, account)

    def of_site(self, names: Collection[str], account: int) -> bool | None:
        """Whether a session to a receiver that goes by these names is meant; None while no attempt says whose
        mail it is, or to whom."""
        if self.client or self.listener:
            return False
        is_named = not self.site or self.site in names
        if not account:
            return None if self.account or not is_named else True
        return is_named and self.account in (0, account)


def _is_in(address: str, network: str) -> bool:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip in _network(network)


@lru_cache(64)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _is_at(own: tuple[str, int], listener: str) -> bool:
    host, _, port = listener.rpartition(":")
    return str(own[1]) == port and host.strip("[]") in ("", "*", "0.0.0.0", "::", own[0])  # noqa: S104  no bind


class Trace:
    """One who watches. State: the lines that were not handed on yet, and how many did not fit."""

    __slots__ = ("_wake", "filter", "left_out", "lines", "number")

    def __init__(self, number: int, chosen: Filter, wake: Callable[[], None]) -> None:
        self.number = number
        self.filter = chosen
        self.lines: list[Line] = []
        self.left_out = 0
        self._wake = wake

    def put(self, line: Line) -> None:
        """Keep a line, if there is room."""
        if len(self.lines) >= MAX_LINES:
            self.left_out += 1
            return
        self.lines.append(line)
        if len(self.lines) == 1:
            self._wake()

    def take(self) -> tuple[list[Line], int]:
        """What is there, and how many lines were left out behind it."""
        taken = self.lines, self.left_out
        self.lines, self.left_out = [], 0
        return taken


class Trail:
    """What one session says, for those who watch it. State: who surely does, who perhaps, what waits."""

    __slots__ = (
        "_clock",
        "_perhaps",
        "_seen",
        "_surely",
        "_undecided",
        "names",
        "octets",
        "secrets",
        "session",
    )

    def __init__(self, session: str, clock: Clock, names: frozenset[str] = frozenset()) -> None:
        self.session = session
        self.names = names  # by which a receiver goes
        self.octets = 0  # of the content that is under way
        self.secrets: tuple[str, ...] = ()  # which the other side might repeat
        self._clock = clock
        self._seen: list[Trace] = []  # got, or get, what is said
        self._surely: list[Trace] = []
        self._perhaps: list[Trace] = []
        self._undecided: list[Line] = []

    @property
    def is_watched(self) -> bool:
        """Somebody watches, or might."""
        return bool(self._surely or self._perhaps)

    def knows(self, trace: Trace) -> bool:
        """This one has got, or will get, what was said so far."""
        return trace in self._seen or trace in self._perhaps

    def decide(self, verdicts: Sequence[tuple[Trace, bool | None]]) -> None:
        """Who watches from now on; one who might becomes one who does with all that was said so far."""
        surely = [trace for trace, verdict in verdicts if verdict]
        for trace in surely:
            if trace in self._perhaps:
                for line in self._undecided:
                    trace.put(line)
            if trace not in self._seen:
                self._seen.append(trace)
        self._surely = surely
        self._perhaps = [trace for trace, verdict in verdicts if verdict is None]
        if not self._perhaps:
            self._undecided = []

    def __call__(self, who: str, text: str) -> None:
        """A line, harmless already."""
        line = (self._clock.now(), self.session, who, text)
        for trace in self._surely:
            trace.put(line)
        if self._perhaps and len(self._undecided) < MAX_UNDECIDED:
            self._undecided.append(line)

    def lines(self, who: str, texts: Sequence[str]) -> None:
        """Several."""
        for text in texts:
            self(who, text)

    def only(self, trace: Trace, who: str, text: str) -> None:
        """A line for one of those who watch, who came late."""
        trace.put((self._clock.now(), self.session, who, text))

    def end(self, text: str) -> None:
        """Nothing more is said in the session."""
        self(NOTE, text)
        for trace in self._seen:
            self.only(trace, END, "")


_CLOCK = SystemClock()


class Traces:
    """Who watches the sessions of one process. State: ``active``, replaced at each change, and two counts."""

    __slots__ = ("_clients", "_clock", "_receivers", "_worker", "active", "on_change", "wake")

    def __init__(self, worker: int = 0, clock: Clock = _CLOCK) -> None:
        self.active: tuple[Trace, ...] = ()
        self.on_change: list[Callable[[], None]] = []  # hear that a trace has begun or ended
        self.wake: Callable[[], None] = _sleep_on  # hears that lines wait which nobody has taken
        self._worker = worker
        self._clock = clock
        self._clients = self._receivers = 0

    def begin(self, number: int, chosen: Filter) -> None:
        """One more, unless it is there."""
        if all(one.number != number for one in self.active):
            self.active = (*self.active, Trace(number, chosen, lambda: self.wake()))
            self._changed()

    def end(self, number: int) -> None:
        """One less."""
        self.active = tuple(one for one in self.active if one.number != number)
        self._changed()

    def _changed(self) -> None:
        for hear in self.on_change:
            hear()

    def client_trail(self) -> Trail:
        """For a client's session."""
        self._clients += 1
        return Trail(f"in{self._worker}.{self._clients}", self._clock)

    def receiver_trail(self, names: frozenset[str]) -> Trail:
        """For a session to a receiver that goes by these names."""
        self._receivers += 1
        return Trail(f"out{self._worker}.{self._receivers}", self._clock, names)

    def remark_client(self, address: str, own: tuple[str, int], text: str) -> None:
        """Something about a client that has no session."""
        verdicts = [(one, one.filter.of_client(address, own, 0)) for one in self.active]
        _remark(self.client_trail(), verdicts, text)

    def remark_site(self, names: frozenset[str], text: str) -> None:
        """Something about a receiver to whom no connection was tried."""
        verdicts = [(one, one.filter.of_site(names, 0)) for one in self.active]
        _remark(self.receiver_trail(names), verdicts, text)


def _remark(trail: Trail, verdicts: Sequence[tuple[Trace, bool | None]], text: str) -> None:
    trail.decide(verdicts)
    trail.end(text)


def _sleep_on() -> None:
    """Nobody has to be woken."""


UNWATCHED = Traces()
"""For sessions of nobody's: none of them is ever watched."""
