"""Every receiver of the simulator, and what is promised of mail to it. The same each run."""

from functools import cache

import pytest

from bench.shaping.__main__ import row
from bench.shaping.receivers import Greylisting, Outage, Picky, Receiver, Storm
from bench.shaping.scenarios import SCENARIOS, Figures, Scenario, play

HUNDRED, HUNDRED_BY_TWO, HUNDRED_SHARED, HUNDRED_RULED = SCENARIOS[:4]


@cache
def played(scenario: Scenario) -> Figures:
    return play(scenario)


def by_name(name: str, workers: int = 1) -> Figures:
    return played(next(one for one in SCENARIOS if one.name == name and one.workers == workers))


@pytest.mark.parametrize(
    "scenario", [HUNDRED, HUNDRED_BY_TWO, HUNDRED_SHARED, HUNDRED_RULED], ids=lambda one: one.name
)
def test_a_receiver_of_a_hundred_a_minute_is_used_to_ninety_percent_with_under_two_refused(
    scenario: Scenario,
) -> None:
    figures = played(scenario)
    assert figures.of_cap is not None
    assert figures.of_cap >= 0.90
    assert figures.slowed < 0.02
    assert figures.first_slowed <= 25 * scenario.workers
    assert figures.most_open <= 5
    assert figures.not_connected <= 5
    assert figures.failed == 0


@pytest.mark.parametrize("scenario", SCENARIOS[4:6], ids=["one", "two"])
def test_a_bucket_is_used_in_full(scenario: Scenario) -> None:
    figures = played(scenario)
    assert figures.of_cap is not None
    assert figures.of_cap >= 0.97
    assert figures.slowed < 0.005


def test_a_receiver_that_hangs_up_after_twenty_messages_slows_no_one() -> None:
    figures = by_name("20 messages a connection")
    assert figures.taken_per_s > 0.95 * 20 / 0.2 * (20 / 21.5)
    assert figures.most_open == 20
    assert figures.failed == figures.slowed == 0


def test_a_cap_of_connections_is_learned_and_used() -> None:
    figures = played(next(one for one in SCENARIOS if one.name == "3 connections"))
    assert figures.taken_per_s > 0.98 * 3 / 0.5
    assert figures.not_connected <= 5  # it is tried again after 10, 20, 40 minutes
    two = played(SCENARIOS[SCENARIOS.index(next(s for s in SCENARIOS if s.name == "3 connections")) + 1])
    assert two.not_connected <= 30
    assert two.taken_per_s > 0.75 * 3 / 0.5


WITH_LEDGER = [one for one in SCENARIOS if one.has_ledger and one.receiver is not Outage]


@pytest.mark.parametrize("scenario", WITH_LEDGER, ids=lambda one: one.name)
def test_workers_with_a_ledger_use_what_a_receiver_stands_from_all_of_them(scenario: Scenario) -> None:
    figures = played(scenario)
    most = scenario.receiver().connections
    assert figures.of_cap is not None
    assert figures.of_cap >= 0.95
    assert figures.most_open == most
    assert figures.not_connected <= 30  # five or so each as they begin, then less and less often
    assert figures.probes == 0  # nobody thought that it was down
    assert figures.failed == figures.slowed == 0


def test_a_site_that_is_down_is_left_alone_by_workers_with_a_ledger_too() -> None:
    alone, together = (one for one in SCENARIOS if one.receiver is Outage)
    one, two = played(alone), played(together)
    assert two.taken_per_s == pytest.approx(one.taken_per_s, rel=0.02)
    # one may see a session live whose end the other has not heard of yet, and tries once or twice more
    assert two.not_connected <= 2 * one.not_connected + 5
    assert two.failed == 0


def test_greylisting_delays_its_own_and_no_other() -> None:
    with_it = by_name("greylists one of two accounts")
    scenario = next(one for one in SCENARIOS if one.receiver is Greylisting)
    without = play(Scenario("none", Receiver, per_s=4.0, accounts=2, seconds=scenario.seconds))
    others = [sum(m.delivered.get(2, 0) for m in one.minutes) for one in (with_it, without)]
    assert others[0] == others[1]
    assert with_it.slowed == 0
    assert sum(m.delivered.get(1, 0) for m in with_it.minutes) > 0.7 * others[0]  # all but those of late


def test_a_tarpit_is_not_fed_until_it_stands_still() -> None:
    figures = by_name("a tarpit past 4 connections")
    assert figures.most_open <= 8
    assert figures.taken_per_s > 4.0  # twenty connections would get 0.4 a second


def test_a_slow_receiver_gets_what_it_can_take_over_no_more_connections_than_help() -> None:
    figures = by_name("drains 10 a second")
    assert figures.of_cap is not None
    assert figures.of_cap >= 0.98
    assert figures.most_open <= 14


def test_a_storm_of_421_costs_one_try_a_minute_and_is_over_when_it_is_over() -> None:
    figures = by_name("10 minutes of 421")
    storm = next(one for one in SCENARIOS if one.receiver is Storm)
    receiver = Storm()
    inside = figures.minutes[int(receiver.begin // 60) + 1 : int(receiver.end // 60)]
    assert max(one.attempts for one in inside) <= 5
    assert all(one.attempts <= 2 for one in inside[3:])
    wanted = storm.per_s * storm.seconds
    assert sum(one.taken for one in figures.minutes) > 0.95 * wanted
    assert figures.failed == 0


@pytest.mark.parametrize("name", ["20 minutes down", "20 minutes of bad TLS"])
def test_after_an_outage_mail_flows_again_within_six_minutes(name: str) -> None:
    figures = by_name(name)
    receiver = Outage()
    back = next(at for at, one in enumerate(figures.minutes) if at > receiver.begin // 60 + 1 and one.taken)
    assert back <= receiver.end // 60 + 6
    assert sum(one.taken for one in figures.minutes) > 0.98 * 2.0 * 3600
    assert figures.probes <= 9


def test_a_dead_site_sees_at_most_eighteen_probes_an_hour() -> None:
    figures = by_name("dead all the time")
    assert figures.not_connected <= 18
    assert figures.taken_per_s == 0


def test_what_one_account_is_refused_does_not_slow_another() -> None:
    figures = by_name("refuses what one account sends")
    scenario = next(one for one in SCENARIOS if one.receiver is Picky)
    without = play(Scenario("none", Receiver, per_s=4.0, accounts=2, seconds=scenario.seconds))
    delivered = [sum(m.delivered.get(2, 0) for m in one.minutes) for one in (figures, without)]
    assert delivered[0] == delivered[1]
    assert figures.failed == pytest.approx(scenario.seconds * 2, abs=5)


def test_it_is_the_same_each_time() -> None:
    assert play(HUNDRED_BY_TWO) == played(HUNDRED_BY_TWO)


def test_a_row_of_the_table_says_the_cap() -> None:
    figures = played(HUNDRED)
    assert f" {figures.of_cap:.0%} " in row(figures)
    assert row(by_name("dead all the time")).startswith("dead all the time")
