"""Who may use how much of a lane: the sum over all workers, whoever asks, dies or is silent."""

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay.traffic.shares import RENEW_S, SHARE_S, TURN_S, Demand, Share, SiteShares, fill
from relay.traffic.slots import LATE_S, Slots

STEP_S = 0.05


@dataclass
class Player:
    """A worker with one lane, as ``shared_limits`` behaves."""

    queued: int = 0
    busy: int = 0
    share: int = 0
    until: float = 0.0
    again_at: float = 0.0
    is_known: bool = False  # the ledger knows that it wants something
    slots: Slots = field(default_factory=Slots)

    def demand(self, limit: int, rate: float) -> Demand:
        wanted = min(self.busy + self.queued, limit)
        self.is_known = wanted > 0
        return Demand(
            "s", limit, rate, self.busy, wanted, self.share, self.queued - len(self.slots), self.slots.used_at
        )

    def heard(self, share: Share) -> None:
        self.share, self.until, self.again_at = share.connections, share.until, share.again_at
        self.slots.add(share.moments)

    def work(self, now: float) -> None:
        """Open what is wanted and allowed."""
        if now >= self.until:
            self.share = 0
        self.busy += max(0, min(self.queued, self.share - self.busy))

    def finish(self, count: int) -> None:
        """So many connections have ended with their message."""
        gone = min(count, self.busy)
        self.busy -= gone
        self.queued = max(0, self.queued - gone)


class Town:
    """Several workers at one ledger."""

    def __init__(self, workers: int, limit: int, rate: float = 0.0) -> None:
        self.shares, self.limit, self.rate, self.now = SiteShares(), limit, rate, 1000.0
        self.players = {number: Player() for number in range(1, workers + 1)}
        self.next_life = workers + 1
        self.left: list[tuple[float, int]] = []

    def ask(self, worker: int) -> None:
        player = self.players[worker]
        player.heard(self.shares.ask(worker, player.demand(self.limit, self.rate), self.now))

    def step(self, seconds: float = STEP_S, silent: int = 0) -> None:
        """Time passes; all but ``silent`` do what they should."""
        self.now += seconds
        for worker, player in self.players.items():
            player.work(self.now)
            is_new = player.queued > 0 and not player.is_known
            if worker != silent and (is_new or player.again_at <= self.now):
                self.ask(worker)
                player.work(self.now)
        for worker, _ in self.shares.calls():
            if worker in self.players and worker != silent:
                self.ask(worker)
        self.check()

    def settle(self, steps: int = 10) -> None:
        """Connections end with each message, and so follow their shares."""
        for _ in range(steps):
            self.step()
            for player in self.players.values():
                player.finish(player.busy)

    def check(self) -> None:
        alive = [one.share for one in self.players.values() if one.until > self.now]
        assert sum(alive) <= self.limit
        assert sum(one.busy for one in self.players.values()) <= self.limit

    def send(self) -> None:
        """Every worker sends what its moments allow."""
        for worker, player in self.players.items():
            while player.queued and player.slots.wait_s(self.now) == 0.0:
                player.slots.take(self.now)
                player.queued -= 1
                self.left.append((self.now, worker))


def test_parts() -> None:
    assert fill([9, 9], 10, 0) == [5, 5]
    assert fill([1, 9], 10, 0) == [1, 9]
    assert fill([9, 0, 9], 5, 0) == [3, 0, 2]
    assert fill([9, 9], 1, 0) == [1, 0]
    assert fill([9, 9], 1, 1) == [0, 1]
    assert fill([], 3, 0) == []


@given(st.lists(st.integers(-2, 30), max_size=8), st.integers(0, 60), st.integers(0, 9))
def test_parts_are_whole_and_nobody_gets_what_it_does_not_want(
    wants: list[int], all_: int, first: int
) -> None:
    got = fill(wants, all_, first)
    assert sum(got) == min(all_, sum(max(0, want) for want in wants))
    assert all(0 <= g <= max(0, w) for g, w in zip(got, wants, strict=True))
    unhappy = [g for g, w in zip(got, wants, strict=True) if g < w]
    assert not unhappy or max(got) - min(unhappy) <= 1


def test_one_worker_alone_has_all_and_half_once_another_wants_it() -> None:
    town = Town(2, 20)
    one, two = town.players.values()
    one.queued = 1
    town.step()
    assert (one.share, one.busy) == (20, 1)
    one.queued = two.queued = 100
    for _ in range(4):
        town.step()
    assert one.busy == 20 - two.busy  # what it held ends with the present message
    one.finish(20)
    for _ in range(8):
        town.step()
    assert (one.share, two.share, one.busy, two.busy) == (10, 10, 10, 10)


def test_a_single_connection_goes_from_one_to_the_other() -> None:
    town = Town(2, 1)
    had = {1: 0, 2: 0}
    for player in town.players.values():
        player.queued = 10_000
    for _ in range(int(12 * TURN_S / STEP_S)):
        town.step()
        for worker, player in town.players.items():
            had[worker] += player.busy
            player.finish(1)
    total = 12 * TURN_S / STEP_S
    assert sum(had.values()) >= 0.9 * total
    assert min(had.values()) >= 0.4 * total


def test_what_an_idle_worker_has_goes_to_the_others_within_a_second() -> None:
    town = Town(3, 6)
    for player in town.players.values():
        player.queued = 500
    town.settle()
    assert [p.share for p in town.players.values()] == [2, 2, 2]
    first = town.players[1]
    first.queued, first.busy = 0, 0
    town.settle(int(RENEW_S / STEP_S) + 4)
    assert [p.share for p in town.players.values()] == [0, 3, 3]


def test_the_share_of_a_dead_worker_is_free_at_once_if_told_and_else_when_it_ends() -> None:
    town = Town(2, 4)
    for player in town.players.values():
        player.queued = 500
    town.settle()
    del town.players[1]
    for _ in range(int((SHARE_S - RENEW_S - 0.5) / STEP_S)):
        town.step()
    assert town.players[2].share == 2
    for _ in range(int((2 * RENEW_S + 0.5) / STEP_S)):
        town.step()
    assert town.players[2].share == 4
    town.players[3] = Player(queued=50)
    town.settle(2)
    town.shares.forget(2)
    del town.players[2]
    town.step()
    town.step()
    assert town.players[3].share == 4


def test_idle_connections_stay_while_nobody_wants_them() -> None:
    town = Town(2, 4)
    one, two = town.players.values()
    one.queued = 4
    town.step()
    one.queued = 0  # the connections idle
    share = town.shares.ask(1, Demand("s", 4, 0.0, 4, 0, 4, 0, 0.0), town.now)
    assert share.connections == 4
    one.again_at = town.now + 100
    two.queued = 3
    town.ask(2)
    assert (two.share, town.shares.calls()) == (0, [(1, "s")])
    share = town.shares.ask(1, Demand("s", 4, 0.0, 4, 0, 4, 0, 0.0), town.now)
    assert (share.connections, town.shares.calls()) == (1, [])
    share = town.shares.ask(1, Demand("s", 4, 0.0, 1, 0, 1, 0, 0.0), town.now)
    assert (share.connections, town.shares.calls()) == (1, [(2, "s")])
    town.ask(2)
    assert two.share == 3


def test_a_smaller_rule_holds_as_soon_as_connections_have_ended() -> None:
    town = Town(2, 10)
    for player in town.players.values():
        player.queued = 100
    for _ in range(6):
        town.step()
    town.limit = 3
    for _ in range(int(2 * RENEW_S / STEP_S)):
        town.now += STEP_S
        for worker, player in town.players.items():
            if player.again_at <= town.now:
                town.ask(worker)
            if player.busy > player.share:
                player.finish(1)
            player.work(town.now)
    town.check()
    assert sum(p.share for p in town.players.values()) == 3


def test_lanes_without_work_are_forgotten_and_slow_moments_are_not() -> None:
    shares = SiteShares()
    shares.ask(1, Demand("fast", 5, 0.0, 0, 1, 0, 0, 0.0), 100.0)
    assert shares.ask(1, Demand("slow", 5, 1 / 60, 0, 1, 0, 9, 0.0), 100.0).moments.number == 1
    shares.ask(1, Demand("fast", 5, 0.0, 0, 0, 0, 0, 0.0), 101.0)
    shares.sweep(101.0)
    assert len(shares) == 1
    shares.sweep(100.0 + SHARE_S)
    assert len(shares) == 1  # the next moment is at 160: whoever asks before hears so
    assert shares.ask(2, Demand("slow", 5, 1 / 60, 0, 1, 0, 9, 0.0), 110.0).moments.number == 0
    shares.sweep(160.0)
    assert len(shares) == 0


@pytest.mark.parametrize(("rate", "seconds"), [(20.0, 20), (1.0, 60), (1 / 60, 1200), (300.0, 15)])
def test_a_rate_is_kept_by_all_together_and_used(rate: float, seconds: int) -> None:
    town = Town(3, 5, rate)
    for player in town.players.values():
        player.queued = 100_000
    for _ in range(int(seconds / STEP_S)):
        town.step()
        town.send()
    times = [moment for moment, _ in town.left]
    assert len(times) >= 0.95 * rate * seconds - 1
    window = 10.0 if rate >= 1 else 1 / rate - STEP_S
    for i, since in enumerate(times):
        count = sum(since <= t < since + window for t in times[i : i + int(20 * rate * window) + 2])
        assert count <= (rate * (window + LATE_S) + 1 if rate > 1 / 3 else 1)
    shares = [sum(w == worker for _, w in town.left) for worker in town.players]
    assert min(shares) >= 0.8 * len(times) / 3 - 1


def test_the_moments_of_a_worker_that_is_silent_go_to_the_other() -> None:
    town = Town(2, 5, 1.0)
    for player in town.players.values():
        player.queued = 1000
    for _ in range(100):
        town.step()
        town.send()
    del town.players[1]
    since = len(town.left)
    for _ in range(int(20 / STEP_S)):
        town.step()
        town.send()
    assert len(town.left) - since >= 20 - SHARE_S / 2 - 2


PLAYS = st.lists(
    st.tuples(
        st.sampled_from(["step", "queue", "finish", "die", "silent", "idle", "far"]),
        st.integers(0, 3),
        st.integers(0, 30),
    ),
    max_size=80,
)

# A worker dies, unknown to the ledger; when its share has ended long ago, the turn of the next one ends.
TURN_ENDS = [
    ("queue", 1, 1),
    ("silent", 0, 15),
    ("silent", 0, 30),
    ("queue", 0, 1),
    ("silent", 0, 30),
    *[("step", 0, 0)] * 6,
    ("die", 1, 0),
]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), PLAYS)
@example(2, 1, TURN_ENDS)
def test_never_more_than_the_rule_and_nothing_lies_idle_for_long(
    workers: int, limit: int, plays: list[tuple[str, int, int]]
) -> None:
    town = Town(workers, limit)
    for what, who, number in plays:
        worker = list(town.players)[who % workers]
        player = town.players[worker]
        if what == "queue":
            player.queued += number
        elif what == "finish":
            player.finish(number)
        elif what == "idle":
            player.queued = player.busy = 0
        elif what == "die":
            del town.players[worker]
            town.players[town.next_life] = Player()
            town.next_life += 1
            if number % 2:
                town.shares.forget(worker)
        elif what == "silent" and not player.busy:  # its loop hangs; connections of its own would stay open
            town.step(number / 10, silent=worker)
        elif what == "far" and not any(one.busy for one in town.players.values()):
            town.step(SHARE_S * number)
        town.step()
    for player in town.players.values():
        player.queued = max(player.queued, 1)
    used = []
    for _ in range(int((SHARE_S + 3 * RENEW_S) / STEP_S)):
        town.step()
        for player in town.players.values():
            if player.busy > player.share:
                player.busy = player.share
        wanted = sum(one.queued + one.busy for one in town.players.values())
        used.append(sum(one.busy for one in town.players.values()) - min(limit, wanted))
    assert 0 in used[-int(RENEW_S / STEP_S) :]  # where they take turns, none is used while one ends


class Capped:
    """A receiver that allows so many connections from all workers; they behave as ``shared_limits`` does."""

    def __init__(self, workers: int, cap: int, rule: int = 20) -> None:
        self.shares, self.cap, self.rule, self.now = SiteShares(), cap, rule, 1000.0
        self.open = dict.fromkeys(range(1, workers + 1), 0)
        self.share = dict.fromkeys(self.open, 0)
        self.again_at = dict.fromkeys(self.open, 0.0)
        self.refused_at = dict.fromkeys(self.open, 0.0)
        self.rest_until = dict.fromkeys(self.open, 0.0)
        self.refusals = 0
        self.thought_dead = 0

    def ask(self, worker: int) -> None:
        open_, refused_at = self.open[worker], self.refused_at[worker]
        demand = Demand(
            "s",
            self.rule,
            0.0,
            open_,
            self.rule,
            self.share[worker],
            0,
            0.0,
            open_,
            refused_at,
            is_crowded=True,
        )
        share = self.shares.ask(worker, demand, self.now)
        self.again_at[worker] = share.again_at
        if refused_at and share.lives is not None:
            self.refused_at[worker] = 0.0
            self.thought_dead += not share.lives
        is_resting = self.refused_at[worker] or self.now < self.rest_until[worker]
        self.share[worker] = min(share.connections, self.share[worker]) if is_resting else share.connections

    def step(self) -> None:
        """Every connection ends with its message and is made again, one at a time while there is none."""
        self.now += STEP_S
        for worker in self.open:
            self.open[worker] = min(self.open[worker], self.share[worker])
            if self.again_at[worker] <= self.now:
                self.ask(worker)
            while not self.refused_at[worker] and self.open[worker] < self.share[worker]:
                if sum(self.open.values()) < self.cap:
                    self.open[worker] += 1
                    continue
                self.refusals += 1
                self.refused_at[worker] = self.again_at[worker] = self.now
                if not self.open[worker]:
                    self.share[worker], self.rest_until[worker] = 0, self.now + 0.5
        for worker, _ in self.shares.calls():
            self.ask(worker)


@pytest.mark.parametrize(("workers", "cap"), [(2, 5), (2, 3), (2, 2), (3, 5), (4, 9), (1, 5)])
def test_what_a_receiver_stands_is_divided_and_nobody_takes_it_for_dead(workers: int, cap: int) -> None:
    town = Capped(workers, cap)
    for _ in range(40):  # two seconds
        town.step()
    assert sum(town.open.values()) == cap
    assert max(town.open.values()) - min(town.open.values()) <= 1
    assert town.thought_dead == 0
    early = town.refusals
    for _ in range(1100):
        town.step()
        assert sum(town.open.values()) >= cap - 1
    assert town.refusals - early <= 2


def test_what_a_receiver_stands_is_used_by_the_one_who_goes_on_alone() -> None:
    town = Capped(2, 5)
    for _ in range(40):
        town.step()
    del town.open[1]
    town.shares.forget(1)
    for _ in range(10):
        town.step()
    assert town.open == {2: 5}


def test_a_site_where_nobody_has_a_session_is_dead_to_all() -> None:
    town = Capped(2, 0)
    for _ in range(10):
        town.step()
    assert town.thought_dead >= 2


def test_a_worker_that_is_silent_is_waited_for_a_second() -> None:
    shares = SiteShares()
    shares.ask(1, Demand("s", 9, 0.0, 0, 9, 0, 0, 0.0), 10.0)
    refused = Demand("s", 9, 0.0, 0, 9, 0, 0, 0.0, 0, 10.5)
    share = shares.ask(2, refused, 10.5)
    assert (share.lives, shares.calls()) == (None, [(1, "s")])
    assert 10.5 < share.again_at <= 10.6
    assert shares.ask(2, refused, 11.4).lives is None
    assert shares.ask(2, refused, 11.6).lives is False


def test_a_connection_that_is_on_its_way_counts_where_the_site_says_that_it_has_too_many() -> None:
    for is_crowded in (True, False):
        shares = SiteShares()
        shares.ask(1, Demand("s", 9, 0.0, 1, 9, 0, 0, 0.0), 10.0)
        share = shares.ask(2, Demand("s", 9, 0.0, 0, 9, 0, 0, 0.0, 0, 9.9, is_crowded), 10.1)
        assert share.lives is is_crowded


def test_what_a_receiver_stands_is_remembered_while_nobody_asks() -> None:
    town = Capped(2, 5)
    for _ in range(40):
        town.step()
    for worker in town.open:
        town.shares.forget(worker)
    town.shares.sweep(town.now + 30)
    assert len(town.shares) == 1
    town.shares.sweep(town.now + 100)
    assert len(town.shares) == 0
