"""Who may use how much of a lane: the ledger of connections and rate over all workers, a decision.

Contract, pure; ``now`` is monotonic seconds. Workers ask again and again, each for all its lanes with work;
``ask`` answers with a share that ends by itself after ``SHARE_S``. At any time the shares that have not ended
sum to no more than the rule's connections, and the moments given out keep its rate (``slots``). A connection
that a worker still holds counts as its own whatever its share says, and so does what it may have opened while
its question was on the way (``Demand.cap``): a cut gives nothing to others before the worker has said that it
followed.

- Each worker gets what it wants as far as all do; beyond that even parts. What nobody wants goes to those who
  have work, so that a worker alone has all.
- A share that nobody else lacks stays as it is: what waits changes from moment to moment, and each cut is a
  question more.
- Fewer connections than workers that want one: they take turns of ``TURN_S``. Of the moments each
  worker gets what its even part of the rate has come to, and after a while what others have left.
- A receiver that refuses a connection while others of ours live, whichever worker has them, bounds all of
  them together for a while (``site_bound``). Whoever was refused sends ``refused_at`` until it hears in
  ``Share.lives`` whether the site has connections of ours; first the others are called to say what they have.
- ``calls()`` names those who should ask at once: who holds what another lacks, and who lacks what has come
  free. So a share that is not used moves within a few round trips, not at the next renewal.

After a crash of a worker: ``forget`` frees what it had. After one of the ledger's process the workers end
with it. Cost: a question a second about each lane for each worker there; none for a message.

Not here: the asking (``shared_limits``), the answering (daemon), what feedback makes of a share
(``site_control``).
"""

from __future__ import annotations

from typing import NamedTuple

from relay.traffic.site_bound import SiteBound
from relay.traffic.slots import AHEAD_S, NO_MOMENTS, Moments, Timetable

SHARE_S = 5.0
RENEW_S = 1.0
TURN_S = 5.0
_SOON_S = 0.05  # before the last moment in hand passes the next ones are asked for
_LEAVING_S = 0.1  # connections above the share end with their present message
_PATIENCE_S = 0.5  # how long moments wait for the worker whose part they are
_HEARING_S = 1.0  # so long after a refusal what the others have is waited for
_HEAR_AGAIN_S = 0.05


class Demand(NamedTuple):
    """What one worker says of one lane."""

    lane: str
    connections: int  # of the rule
    rate_per_s: float  # of the rule; 0: no bound
    held: int  # connections that it has, idle ones and those on their way in or out included
    wanted: int  # connections that it could use
    cap: int  # connections that it may have opened before it reads the answer
    moments: int  # for so many messages it could use moments
    used_at: float  # when its last message left; 0 if none or if there is no rate
    open: int = 0  # of those held, with a session
    refused_at: float = 0.0  # when the site refused it a connection, until ``Share.lives`` is heard; 0: not
    is_crowded: bool = False  # refused in so many words for being one too many


class Share(NamedTuple):
    """What a worker may use of a lane until ``until``, and when it asks again."""

    connections: int
    until: float
    again_at: float
    moments: Moments = NO_MOMENTS
    lives: bool | None = None  # to one who was refused: some worker has a session; None: not known yet


class _Holder:
    """What one worker has of one lane, and what it last said."""

    __slots__ = ("fair_at", "granted", "held", "moments", "open", "reserved", "said_at", "until", "wanted")

    def __init__(self) -> None:
        self.held = self.wanted = self.granted = self.reserved = self.moments = self.open = 0
        self.until = 0.0
        self.said_at = 0.0
        self.fair_at = 0.0  # when its even part of the rate has come to the next moment


class _Lane:
    """The bounds of one lane, and which worker has how much of them."""

    __slots__ = ("bound", "connections", "holders", "times")

    def __init__(self) -> None:
        self.connections = 0  # of the rule, or what the receiver stands if that is less
        self.bound: SiteBound | None = None
        self.times: Timetable | None = None
        self.holders: dict[int, _Holder] = {}


def fill(wants: list[int], amount: int, first: int) -> list[int]:
    """Share ``amount`` out: to each what it wants as far as it goes, else even parts; where there is not one
    for each, to those from position ``first`` on."""
    got = [0] * len(wants)
    hungry = [i for i, want in enumerate(wants) if want > 0]
    while amount > 0 and hungry:
        each = amount // len(hungry)
        if each == 0:
            start = first % len(hungry) if not any(got) else 0
            for i in (hungry[start:] + hungry[:start])[:amount]:
                got[i] += 1
            break
        for i in hungry:
            more = min(each, wants[i] - got[i])
            got[i] += more
            amount -= more
        hungry = [i for i in hungry if got[i] < wants[i]]
    return got


class SiteShares:
    """The lanes of all workers. Its owner is the event loop of the one process that keeps it."""

    __slots__ = ("_calls", "_lanes")

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._calls: set[tuple[int, str]] = set()

    def __len__(self) -> int:
        return len(self._lanes)

    def ask(self, worker: int, demand: Demand, now: float) -> Share:
        """The worker's share from now on."""
        lane = self._lanes.get(demand.lane)
        if lane is None:
            lane = self._lanes[demand.lane] = _Lane()
        _set_rule(lane, demand)
        _end_shares(lane, now)
        self._calls.discard((worker, demand.lane))
        mine = lane.holders.get(worker)
        if mine is None:
            mine = lane.holders[worker] = _Holder()
        mine.held, mine.moments, mine.until = demand.held, demand.moments, now + SHARE_S
        mine.open, mine.said_at = demand.open, now
        lives = self._hear(worker, lane, demand, now) if demand.refused_at else None
        if lane.bound is not None:
            lane.bound.seen(sum(one.open for one in lane.holders.values()))
            lane.connections = lane.bound.limit(demand.connections, now)
        mine.wanted = min(demand.wanted, lane.connections)
        needs, targets = _plan(lane, now)
        others = sum(one.reserved for one in lane.holders.values()) - mine.reserved
        target = targets[worker]
        if mine.wanted and all(
            one.granted >= needs[other] for other, one in lane.holders.items() if other != worker
        ):
            target = max(target, demand.cap)  # nobody lacks it: what changes all the time need not be told
        mine.granted = max(0, min(target, lane.connections - others))
        mine.reserved = max(mine.granted, demand.held, demand.cap)
        moments = _moments(lane, mine, demand, now)
        self._call(lane, demand.lane, worker, needs, targets)
        again_at = now + RENEW_S
        if mine.reserved > max(mine.granted, demand.held):
            again_at = now  # it says so as soon as it has followed, and others get the rest
        elif demand.held > mine.granted:
            again_at = now + _LEAVING_S
        elif demand.moments > moments.number and lane.times is not None:
            next_at = (
                moments.last - _SOON_S if moments.number else max(lane.times.next_at, mine.fair_at) - AHEAD_S
            )
            again_at = min(again_at, max(next_at, now + _SOON_S))
        if demand.refused_at and lives is None:
            again_at = now + _HEAR_AGAIN_S
        if not (mine.reserved or mine.wanted or mine.moments):
            del lane.holders[worker]
        return Share(mine.granted, mine.until, again_at, moments, lives)

    def _hear(self, worker: int, lane: _Lane, demand: Demand, now: float) -> bool | None:
        """The worker was refused: whether the site has sessions of ours. If so, their number is a bound."""
        late = [
            other
            for other, one in lane.holders.items()
            if other != worker and one.reserved and one.said_at < demand.refused_at
        ]
        if late and now < demand.refused_at + _HEARING_S:
            self._calls.update((other, demand.lane) for other in late)
            return None
        open_ = sum(one.open for one in lane.holders.values())
        is_taken = demand.is_crowded and any(
            one.held for other, one in lane.holders.items() if other != worker
        )
        if not open_ and not is_taken:
            return False
        if lane.bound is None:
            lane.bound = SiteBound()
        lane.bound.refused(now, open_)
        return True

    def _call(
        self, lane: _Lane, name: str, asker: int, needs: dict[int, int], targets: dict[int, int]
    ) -> None:
        """Who should ask at once, since what the asker has said changes what is theirs."""
        free = lane.connections - sum(one.reserved for one in lane.holders.values())
        is_lacking = lane.holders[asker].granted < needs[asker]
        for worker, one in lane.holders.items():
            if worker == asker:
                continue
            if (is_lacking and one.granted > targets[worker]) or (free > 0 and one.granted < needs[worker]):
                self._calls.add((worker, name))

    def calls(self) -> list[tuple[int, str]]:
        """(worker, lane) of those who should ask at once; each is named once."""
        calls = list(self._calls)
        self._calls.clear()
        return calls

    def forget(self, worker: int) -> None:
        """The worker has ended, and its connections with it."""
        for name, lane in self._lanes.items():
            if lane.holders.pop(worker, None) is not None:
                self._calls.update((other, name) for other, one in lane.holders.items() if one.wanted)

    def sweep(self, now: float) -> None:
        """Let go of lanes that nobody has asked about for long, and whose last moment has come."""
        for lane in self._lanes.values():
            _end_shares(lane, now)
        self._lanes = {
            name: lane
            for name, lane in self._lanes.items()
            if lane.holders
            or (lane.times is not None and lane.times.next_at > now)
            or (lane.bound is not None and lane.bound.is_fresh(now))
        }


def _set_rule(lane: _Lane, demand: Demand) -> None:
    """The newest rule holds; moments that were given out stay so."""
    lane.connections = demand.connections
    times = lane.times
    if demand.rate_per_s <= 0.0:
        lane.times = None
    elif times is None:
        lane.times = Timetable(demand.rate_per_s)
    elif times.rate_per_s != demand.rate_per_s:
        times.rate_per_s = demand.rate_per_s
    if lane.times is not None and demand.used_at:
        lane.times.heard(demand.used_at)


def _end_shares(lane: _Lane, now: float) -> None:
    over = [worker for worker, one in lane.holders.items() if one.until <= now]
    for worker in over:
        del lane.holders[worker]


def _plan(lane: _Lane, now: float) -> tuple[dict[int, int], dict[int, int]]:
    """Per worker: what it needs and may have, and with what is left over what it should get."""
    everyone = sorted(lane.holders)
    if len(everyone) == 1:
        one = lane.holders[everyone[0]]
        most = lane.connections if one.wanted else min(one.held, lane.connections)
        return {everyone[0]: one.wanted}, {everyone[0]: most}
    holders = [lane.holders[worker] for worker in everyone]
    needs = fill([one.wanted for one in holders], lane.connections, int(now / TURN_S))
    left = lane.connections - sum(needs)
    kept = fill([one.held - need for one, need in zip(holders, needs, strict=True)], left, 0)
    left -= sum(kept)
    gifts = fill([left if one.wanted else 0 for one in holders], left, 0)
    targets = [a + b + c for a, b, c in zip(needs, kept, gifts, strict=True)]
    return dict(zip(everyone, needs, strict=True)), dict(zip(everyone, targets, strict=True))


def _moments(lane: _Lane, mine: _Holder, demand: Demand, now: float) -> Moments:
    """The moments that the worker gets: as many as its even part of the rate has come to, and part of what
    others have left."""
    times = lane.times
    if times is None or demand.moments <= 0:
        return NO_MOMENTS
    rivals = sum(one.moments > 0 for one in lane.holders.values())
    free = times.free(now)
    fair_at = max(mine.fair_at, now)
    count = 1 + int((now + AHEAD_S - fair_at) * times.rate_per_s / rivals) if fair_at <= now + AHEAD_S else 0
    if times.next_at + _PATIENCE_S < now:
        fair_at, count = now, max(count, -(-free // rivals))
    count = min(demand.moments, free, count)
    if not count:
        return NO_MOMENTS
    mine.fair_at = fair_at + count * rivals / times.rate_per_s
    mine.moments -= count
    return times.give(count, now)
