"""What receivers do to us, each for an hour of virtual time or less, and what came of it as figures.

A scenario is a receiver, a load, and the number of workers. ``play`` runs it and returns ``Figures``: the
part of the receiver's cap that was used, and the part of answers that asked for less, both after
``settle_s``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.shaping.ledger import Ledger
from bench.shaping.receivers import (
    DEAD,
    NO_TLS,
    Bucket,
    ByTheMinute,
    Greylisting,
    Outage,
    Picky,
    Receiver,
    SlowDrain,
    Storm,
    Tarpit,
)
from bench.shaping.simulation import Counts, Worker, World
from relay.traffic.backoff import RetrySchedule, SiteBackoff
from relay.traffic.site_rule import SiteRule

ANY = SiteRule()
RETRY = RetrySchedule((60.0, 300.0, 900.0, 1800.0, 3600.0), 0.1)


@dataclass(frozen=True)
class Scenario:
    """``backlog`` messages wait at the start, shared out over workers and accounts; ``per_s`` more come."""

    name: str
    receiver: Callable[[], Receiver]
    backlog: int = 0
    per_s: float = 0.0
    accounts: int = 1
    workers: int = 1
    seconds: float = 3600.0
    settle_s: float = 300.0
    rule: SiteRule = ANY
    has_ledger: bool = False  # the ledger of lanes shares out the rule's numbers, as it does in the relay
    has_shares: bool = False  # each worker has its part of the rule's numbers, and knows no more


@dataclass(frozen=True)
class Figures:
    """What came of a scenario."""

    name: str
    workers: int
    taken_per_s: float  # after settling
    of_cap: float | None  # of the receiver's cap
    slowed: float  # part of the attempts that were answered "less", after settling
    first_slowed: int  # such answers before
    failed: int
    not_connected: int  # connections refused or failed
    most_open: int  # connections at once, after settling
    open_by_tenth: tuple[int, ...]  # connections at once, by tenths of the time
    probes: int  # connections to a site that was thought to be down
    minutes: tuple[Counts, ...]


def play(scenario: Scenario) -> Figures:
    """Run it."""
    world = World(scenario.receiver())
    backoff = SiteBackoff()
    workers = [Worker(world, scenario.rule, RETRY, backoff) for _ in range(scenario.workers)]
    if scenario.has_shares:
        count, rule = len(workers), scenario.rule
        for at, worker in enumerate(workers):
            share = rule.connections // count + (at < rule.connections % count)
            worker.control.share(share, rule.rate_per_s / count if rule.rate_per_s else None)
    if scenario.has_ledger:
        ledger = Ledger(world)
        for worker in workers:
            ledger.join(worker)
    number = 0
    for number in range(scenario.backlog):
        _submit(scenario, workers, number)
    if scenario.per_s:
        for more in range(int(scenario.seconds * scenario.per_s)):
            world.at(more / scenario.per_s, _submit, scenario, workers, number + 1 + more)
    world.run(scenario.seconds)
    return _figures(scenario, world, workers)


def _submit(scenario: Scenario, workers: list[Worker], number: int) -> None:
    account = number // len(workers) % scenario.accounts + 1
    workers[number % len(workers)].submit(number, account)


def _figures(scenario: Scenario, world: World, workers: list[Worker]) -> Figures:
    minutes = world.minutes
    settled = int(scenario.settle_s // 60)
    after = minutes[settled : int(scenario.seconds // 60)]
    attempts = sum(one.attempts for one in after)
    per_s = sum(one.taken for one in after) / (60 * max(1, len(after)))
    tenth = max(1, len(minutes) // 10)
    cap = world.receiver.cap_per_s
    return Figures(
        name=scenario.name,
        workers=scenario.workers,
        taken_per_s=per_s,
        of_cap=per_s / cap if cap else None,
        slowed=sum(one.slowed for one in after) / max(1, attempts),
        first_slowed=sum(one.slowed for one in minutes[:settled]),
        failed=sum(one.failed for one in minutes),
        not_connected=sum(one.not_connected for one in minutes),
        most_open=max((one.most_open for one in after), default=0),
        open_by_tenth=tuple(
            max(one.most_open for one in minutes[at : at + tenth]) for at in range(0, len(minutes), tenth)
        )[:10],
        probes=sum(len(worker.probes) for worker in workers),
        minutes=tuple(minutes),
    )


def _hundred() -> Receiver:
    return ByTheMinute(most=100, connections=5)


def _connections(most: int, took_s: float = 0.2) -> Receiver:
    return Receiver(connections=most, took_s=took_s, cap_per_s=most / took_s)


SCENARIOS = [
    Scenario("100 a minute, 5 connections", _hundred, backlog=7000),
    Scenario("the same, 2 workers", _hundred, backlog=12_000, workers=2),
    Scenario(
        "the same, 2 workers with shares", _hundred, 12_000, workers=2, rule=SiteRule(6), has_shares=True
    ),
    Scenario("the same, the rule knows", _hundred, 7000, rule=SiteRule(5, rate_per_s=100 / 60 * 0.98)),
    Scenario("a bucket of 5 a second", lambda: Bucket(rate=5.0, burst=50.0), backlog=20_000),
    Scenario("the same, 2 workers", lambda: Bucket(rate=5.0, burst=50.0), backlog=36_000, workers=2),
    Scenario("20 messages a connection", lambda: Receiver(per_connection=20), backlog=60_000, seconds=600),
    Scenario("3 connections", lambda: Receiver(connections=3, took_s=0.5), backlog=22_000),
    Scenario("the same, 2 workers", lambda: Receiver(connections=3, took_s=0.5), backlog=22_000, workers=2),
    Scenario("the same, with the ledger", lambda: _connections(3, 0.5), 22_000, workers=2, has_ledger=True),
    Scenario(
        "5 connections for both", lambda: _connections(5), 25_000, workers=2, seconds=900, has_ledger=True
    ),
    Scenario(
        "2 connections for three", lambda: _connections(2), 10_000, workers=3, seconds=900, has_ledger=True
    ),
    Scenario("greylists one of two accounts", Greylisting, per_s=4.0, accounts=2, seconds=1800),
    Scenario("a tarpit past 4 connections", Tarpit, backlog=40_000, seconds=1800),
    Scenario("drains 10 a second", lambda: SlowDrain(rate=10.0), backlog=20_000, seconds=1800),
    Scenario("10 minutes of 421", Storm, per_s=2.0, settle_s=1260),
    Scenario("20 minutes down", Outage, per_s=2.0, settle_s=2160),
    Scenario("the same, with the ledger", Outage, per_s=2.0, workers=2, settle_s=2160, has_ledger=True),
    Scenario("20 minutes of bad TLS", lambda: Outage(failure=NO_TLS), per_s=2.0, settle_s=2160),
    Scenario("dead all the time", lambda: Outage(begin=0.0, end=1e9, failure=DEAD), backlog=1000),
    Scenario("refuses what one account sends", Picky, per_s=4.0, accounts=2, seconds=1800),
]
