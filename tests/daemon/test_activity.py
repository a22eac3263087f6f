"""What one worker says that it is at."""

import asyncio

from relay.base.route import Host, Route
from relay.daemon.worker.activity import Activity
from relay.directory.records import Suspended
from relay.directory.store import Directory
from tests.daemon.conftest import Started
from tests.fakes.clock import ManualClock
from tests.fakes.prepared import ACCOUNT


def open_lanes(started: Started, number: int) -> None:
    lanes = started.works.outbound.scheduler.lanes
    for one in range(number):
        queue = lanes.at(Route(f"mx{one}.example", [Host(f"mx{one}.example")], 25))
        queue.waiting = one


async def test_an_account_is_seen_with_its_rate(started: Started) -> None:
    clock = ManualClock()
    activity = Activity(started.works, clock)
    await started.submit()
    (first,) = activity.look(10)["accounts"]
    assert (first["account"], first["accepted"], first["per_s"]) == (ACCOUNT, 1, 0.0)
    clock.advance(2.0)
    await asyncio.gather(*[started.submit() for _ in range(4)])
    (then,) = activity.look(10)["accounts"]
    assert (then["accepted"], then["per_s"], then["state"]) == (5, 2.0, "active")
    clock.advance(60.0)
    await started.submit()
    assert activity.look(10)["accounts"][0]["per_s"] == 0.0  # over a minute it says nothing of the moment


async def test_those_who_ask_at_once_get_one_answer(started: Started) -> None:
    clock = ManualClock()
    activity = Activity(started.works, clock)
    answer = activity.look(10)
    await started.submit()
    assert activity.look(5) is answer
    assert activity.look(20) is not answer  # it is too short
    clock.advance(1.0)
    assert activity.look(10) is not answer


async def test_of_many_sites_a_few_are_told_those_that_are_down_first(started: Started) -> None:
    open_lanes(started, 500)
    down = started.works.outbound.scheduler.lanes.by_name["mx7.example"]
    down.is_suspect = True
    answer = Activity(started.works, ManualClock()).look(3)
    assert [(one["site"], one["waiting"]) for one in answer["sites"]] == [
        ("mx7.example", 7), ("mx499.example", 499), ("mx498.example", 498),
    ]  # fmt: skip
    assert {"connections", "state", "why", "rate_per_s", "retry_in_s", "reply_s"} < set(answer["sites"][0])


async def test_what_is_stopped(started: Started) -> None:
    section = started.works.config.directory
    directory = Directory(section.url, section.key_file, section.region)
    directory.accounts.pause(ACCOUNT, "too many bounces")
    directory.suspensions.add(Suspended.DOMAIN, "slow.example", "they asked")
    await started.works.live.poll()
    answer = Activity(started.works, ManualClock()).look(3)
    assert (answer["paused"], answer["paused_count"]) == ([[ACCOUNT, "too many bounces"]], 1)
    assert answer["suspended"][0][:3] == ["domain", "slow.example", "they asked"]
    directory.close()
