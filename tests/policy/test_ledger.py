"""What the ledger lends, and that workers which come and go never send more than one may."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from relay.directory.records import OverQuota
from relay.policy.lease import LEASE_S, Lease
from relay.policy.ledger import LATE_S, Bound, Ledger, Limits, Need, QuotaWarning, Slice, Verdict, Way
from relay.policy.rolling_count import DAY_S, gone_at, minute_of

NOW = 1_800_000_000.0
ONE = Need(1, 1)


def limits(rate: float = -1.0, quota: int = -1, over: OverQuota = OverQuota.REJECT) -> Limits:
    return Limits(rate, quota, over)


def one(
    ledger: Ledger, bounds: Limits, need: Need = ONE, now: float = NOW, longest_s: float = math.inf
) -> Verdict:
    """Ask for one message, and give back at once what was lent beside."""
    verdicts, lent = ledger.ask(1, 7, bounds, [need], now, longest_s=longest_s)
    ledger.end_lease(1, 7, lent.tokens, [(lent.minute, lent.quota)], now)
    return verdicts[0]


def ways(ledger: Ledger, bounds: Limits, count: int, now: float = NOW) -> list[str]:
    return [one(ledger, bounds, now=now).way.value for _ in range(count)]


def test_at_one_a_second_nothing_is_lent() -> None:
    ledger = Ledger()
    verdicts, lent = ledger.ask(1, 7, limits(rate=1.0), [ONE, ONE], NOW)
    assert [verdict.way for verdict in verdicts] == [Way.ACCEPT, Way.REFUSE]
    assert verdicts[1] == Verdict(Way.REFUSE, Bound.RATE, pytest.approx(1.0))
    assert lent == Slice()
    assert one(ledger, limits(rate=1.0), now=NOW + 0.99).way is Way.REFUSE
    assert one(ledger, limits(rate=1.0), now=NOW + 1.0).way is Way.ACCEPT


def test_ten_recipients_every_ten_seconds() -> None:
    ledger, ten = Ledger(), Need(10, 10)
    passed = [
        second for second in range(100) if one(ledger, limits(rate=1.0), ten, NOW + second).way is Way.ACCEPT
    ]
    assert passed == list(range(0, 100, 10))


def test_about_fifty_milliseconds_are_lent_and_the_rest_comes_back() -> None:
    ledger, bounds = Ledger(), limits(rate=1000.0, quota=1_000_000)
    verdicts, lent = ledger.ask(1, 7, bounds, [ONE], NOW)
    assert (verdicts[0].way, lent.tokens, lent.quota) == (Way.ACCEPT, 50, 50)
    assert ledger.accounts[7].lent_tokens() == 50
    assert ledger.sent(7, NOW) == 1
    ledger.end_lease(1, 7, 45, [(lent.minute, 45)], NOW)
    assert ledger.accounts[7].sent.total == 6
    assert ledger.accounts[7].bucket.tokens == pytest.approx(994)  # type: ignore[union-attr]


def test_a_bucket_does_not_fill_up_beside_a_lease() -> None:
    ledger, bounds = Ledger(), limits(rate=1000.0)
    lent = ledger.ask(1, 7, bounds, [], NOW)[1]
    ledger.ask(2, 7, bounds, [], NOW + 5.0)
    bucket = ledger.accounts[7].bucket
    assert bucket is not None
    assert bucket.tokens + ledger.accounts[7].lent_tokens() == pytest.approx(1000.0)
    ledger.end_lease(1, 7, lent.tokens, [(lent.minute, lent.quota)], NOW + 5.0)
    assert bucket.tokens + ledger.accounts[7].lent_tokens() == pytest.approx(1000.0)


def test_what_a_dead_worker_had_counts_as_sent() -> None:
    ledger, bounds = Ledger(), limits(rate=100.0, quota=1000)
    lent = ledger.ask(1, 7, bounds, [], NOW)[1]
    assert lent.tokens == 5
    ledger.ask(2, 7, bounds, [], NOW + 60.0)
    assert 1 not in ledger.accounts[7].lent
    assert ledger.sent(7, NOW + 60.0) == 5


def test_a_quota_is_used_up_to_the_last_one() -> None:
    ledger, bounds = Ledger(), limits(quota=20)
    assert ways(ledger, bounds, 21) == ["accept"] * 20 + ["refuse"]
    last = one(ledger, bounds)
    assert last.bound is Bound.QUOTA
    assert NOW + last.wait_s == gone_at(minute_of(NOW + LATE_S))
    assert ways(ledger, bounds, 21, NOW + last.wait_s) == ["accept"] * 20 + ["refuse"]


def test_a_message_is_counted_by_its_recipients() -> None:
    ledger, bounds = Ledger(), limits(quota=10)
    assert one(ledger, bounds, Need(8, 8)).way is Way.ACCEPT
    assert one(ledger, bounds, Need(3, 3)) == Verdict(Way.REFUSE, Bound.QUOTA, 0.0)  # others need not wait
    assert one(ledger, bounds, Need(2, 2)).way is Way.ACCEPT
    assert one(ledger, bounds, Need(5, 0)).way is Way.ACCEPT  # to the simulator
    assert one(ledger, bounds, Need(1, 1)).wait_s > 0.0


def test_the_simulator_counts_against_the_rate() -> None:
    ledger, bounds = Ledger(), limits(rate=1.0, quota=1)
    assert [one(ledger, bounds, Need(1, 0), NOW + second).way.value for second in (0, 0.5, 1)] == [
        "accept",
        "refuse",
        "accept",
    ]
    assert ledger.sent(7, NOW) == 0


def test_held_mail_takes_nothing() -> None:
    ledger, bounds = Ledger(), limits(rate=1.0, over=OverQuota.HOLD)
    assert ways(ledger, bounds, 4) == ["accept", "hold", "hold", "hold"]
    assert one(ledger, bounds, now=NOW + 1.0).way is Way.ACCEPT


def test_smoothed_mail_leaves_at_the_rate_in_order() -> None:
    ledger, bounds = Ledger(), limits(rate=2.0, over=OverQuota.SMOOTH)
    verdicts = [one(ledger, bounds) for _ in range(6)]
    assert [verdict.way.value for verdict in verdicts] == ["accept"] * 2 + ["delay"] * 4
    assert [verdict.wait_s for verdict in verdicts[2:]] == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=1e-4)
    assert one(ledger, bounds, now=NOW + 1.0).wait_s == pytest.approx(1.5, abs=1e-4)  # overtakes no one
    assert one(ledger, limits(rate=2.0), now=NOW + 2.0).way is Way.REFUSE


def test_smoothed_mail_waits_for_the_quota_too() -> None:
    ledger, bounds = Ledger(), limits(quota=2, over=OverQuota.SMOOTH)
    assert ways(ledger, bounds, 2) == ["accept", "accept"]
    first, second, third = (one(ledger, bounds, now=NOW + 600.0) for _ in range(3))
    assert (first.way, first.bound) == (Way.DELAY, Bound.QUOTA)
    tomorrow = gone_at(minute_of(NOW + LATE_S))
    assert NOW + 600.0 + first.wait_s == tomorrow
    assert second.wait_s == first.wait_s
    assert NOW + 600.0 + third.wait_s == gone_at(minute_of(tomorrow + LATE_S))


def test_mail_that_would_expire_before_it_leaves_is_refused() -> None:
    ledger, bounds = Ledger(), limits(rate=1.0, over=OverQuota.SMOOTH)
    verdicts = [one(ledger, bounds, longest_s=2.5) for _ in range(5)]
    assert [verdict.way.value for verdict in verdicts] == ["accept", "delay", "delay", "refuse", "refuse"]
    too_many = one(Ledger(), limits(quota=2, over=OverQuota.SMOOTH), Need(3, 3))
    assert (too_many.way, too_many.bound) == (Way.REFUSE, Bound.QUOTA)


def test_other_limits_are_in_force_with_the_next_request() -> None:
    ledger = Ledger()
    assert ways(ledger, limits(rate=1.0), 2) == ["accept", "refuse"]
    assert ways(ledger, limits(rate=-1.0), 2) == ["accept", "accept"]
    assert ways(ledger, limits(quota=4), 2) == ["accept", "refuse"]  # three were accepted before
    assert ways(ledger, limits(quota=6), 3) == ["accept", "accept", "refuse"]


def test_what_was_not_stored_does_not_count() -> None:
    ledger, bounds = Ledger(), limits(rate=1.0, quota=1)
    verdict = one(ledger, bounds)
    ledger.give_back(7, 1, [(verdict.minute, 1)], NOW)
    assert one(ledger, bounds).way is Way.ACCEPT
    ledger.give_back(8, 1, [(1, 1)], NOW)  # an account that nobody knows any more


def test_warnings_come_once_per_crossing() -> None:
    ledger, bounds = Ledger(), limits(quota=10)
    ways(ledger, bounds, 7)
    assert ledger.warnings() == []
    ways(ledger, bounds, 2)
    assert ledger.warnings() == [QuotaWarning(7, 80, 8, 10)]
    ways(ledger, bounds, 5)
    assert ledger.warnings() == [QuotaWarning(7, 100, 10, 10)]
    ways(ledger, bounds, 5)
    assert ledger.warnings() == []
    tomorrow = NOW + DAY_S + 120
    ways(ledger, bounds, 10, tomorrow)
    assert [warning.percent for warning in ledger.warnings()] == [80, 100]


def test_what_is_stored_is_whole() -> None:
    ledger, bounds = Ledger(), limits(rate=1.0, quota=100)
    one(ledger, bounds, Need(10, 10))
    stored = list(ledger.changes())
    assert stored == [(7, [(minute_of(NOW + LATE_S), 10)], pytest.approx(NOW + 10.0), 0)]
    assert list(ledger.changes()) == []
    again = Ledger()
    again.restore(*stored[0])
    assert one(again, bounds, now=NOW + 5.0).way is Way.REFUSE  # the debt is not forgotten
    assert one(again, bounds, now=NOW + 10.0).way is Way.ACCEPT
    assert again.sent(7, NOW + 10.0) == 11


@pytest.mark.parametrize(("idle_s", "passed"), [(0.05, 0), (0.1, 1), (0.45, 4), (60.0, 10)])
def test_after_a_restart_there_is_what_has_come_in_since(idle_s: float, passed: int) -> None:
    """Nothing on top of it; and a machine that was idle is not answered 454 for its first message."""
    ledger, bounds = Ledger(), limits(rate=10.0)
    one(ledger, bounds)
    again = Ledger()
    again.restore(*next(iter(ledger.changes())))
    ways = [one(again, bounds, now=NOW + idle_s).way for _ in range(20)]
    assert ways == [Way.ACCEPT] * passed + [Way.REFUSE] * (20 - passed)


def test_an_account_counted_from_events_is_stored() -> None:
    ledger = Ledger()
    ledger.count_in(7, [(10, 3), (11, 4)])
    ((account, minutes, idle_until, warned),) = ledger.changes()
    assert (account, sorted(minutes), idle_until, warned) == (7, [(10, 3), (11, 4)], 0.0, 0)


class Relays(RuleBasedStateMachine):
    """Workers that lease, spend, give back, and die; the supervisor is restarted from what it has stored."""

    workers = Bundle("workers")

    @initialize(
        rate=st.sampled_from([-1.0, 0.5, 3.0, 40.0, 1000.0]), quota=st.sampled_from([-1, 5, 60, 400, 5000])
    )
    def begin(self, rate: float, quota: int) -> None:
        self.bounds = limits(rate, quota)
        self.ledger, self.disk = Ledger(), Ledger()
        self.now, self.next_holder = NOW, 1
        self.sent: list[tuple[float, int]] = []

    @rule(target=workers)
    def start(self) -> tuple[int, Lease]:
        self.next_holder += 1
        return self.next_holder, Lease()

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.2, 1.0, 30.0, 3600.0, 50_000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(worker=workers, recipients=st.integers(1, 12), times=st.integers(1, 30))
    def send(self, worker: tuple[int, Lease], recipients: int, times: int) -> None:
        holder, lease = worker
        for _ in range(times):
            if lease.spend(recipients, recipients, self.now):
                self.sent.append((self.now, recipients))
                if lease.tokens < lease.low:
                    lent = self._ask(holder, [], (lease.tokens, lease.quota))[1]
                    if lent.tokens:
                        lease.add(lent, self.now)
                continue
            self.ledger.end_lease(holder, 7, *lease.end(), self.now)
            (verdict,), lent = self._ask(holder, [Need(recipients, recipients)], (0, 0))
            if lent.tokens:
                lease.add(lent, self.now)
            if verdict.way is Way.ACCEPT:
                self.sent.append((self.now, recipients))

    def _ask(self, holder: int, needs: list[Need], hand: tuple[int, int]) -> tuple[list[Verdict], Slice]:
        answer = self.ledger.ask(holder, 7, self.bounds, needs, self.now, in_hand=hand)
        self._store()
        return answer

    def _store(self) -> None:
        for account, minutes, idle_until, warned in self.ledger.changes():
            known = self.disk.accounts.get(account)
            merged = {} if known is None else {minute: known.sent[minute] for minute in self.minutes}
            merged |= dict(minutes)
            self.minutes = set(merged)
            self.disk.restore(account, merged.items(), idle_until, warned)
            self.stored = (account, list(merged.items()), idle_until, warned)

    minutes: set[int] = set()  # noqa: RUF012  # replaced, never changed
    stored: tuple[int, list[tuple[int, int]], float, int] | None = None

    @rule(worker=workers)
    def end_lease(self, worker: tuple[int, Lease]) -> None:
        self.ledger.end_lease(worker[0], 7, *worker[1].end(), self.now)

    @rule(worker=consumes(workers))
    def die(self, worker: tuple[int, Lease]) -> None:
        worker[1].end()  # what it had is gone

    @rule(workers=st.lists(consumes(workers), max_size=3))
    def restart_supervisor(self, workers: list[tuple[int, Lease]]) -> None:
        """Killed: what came back and was not stored is lost, and so are the leases of all."""
        for _, lease in workers:
            lease.end()
        self.ledger = Ledger()
        if self.stored is not None:
            self.ledger.restore(*self.stored)

    @invariant()
    def no_more_than_the_limits(self) -> None:
        rate, quota, _ = self.bounds
        if not self.sent:
            return
        last = self.sent[-1][0]
        if quota >= 0:
            assert sum(count for at, count in self.sent if last - DAY_S < at) <= quota
        if rate >= 0:
            depth = max(1.0, rate)
            total = 0
            for at, count in reversed(self.sent):
                total += count
                # All but the last, which may make a debt, and one token of it.
                assert total - self.sent[-1][1] + 1 <= depth + rate * (last - at) + 1e-3


Relays.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestRelays = Relays.TestCase
assert LEASE_S < LATE_S
