"""``relay account quota``, asked of a supervisor that answers by the real protocol, and the statistics."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.clock import SystemClock
from relay.base.counts import Counts, Place
from relay.daemon.commands.app import app
from relay.daemon.commands.rows import moment
from relay.daemon.settings import config
from relay.daemon.supervisor import control
from relay.spool.statistics import Statistics
from tests.daemon.commandline import CommandLine


class Counting:
    """The control socket of a relay, in a thread of its own; knows what was sent."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self.sent = 0
        self.asked: list[dict[str, Any]] = []
        self._is_up, self._loop = threading.Event(), asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._is_up.wait(10.0)

    async def _answer(self, what: str, fields: dict[str, Any], user: str) -> dict[str, int]:
        assert what == "usage"
        self.asked.append(fields)
        return {"sent": self.sent}

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            await control.serve(self._spool, self._answer, stack)
            self._is_up.set()
            await self._end.wait()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10.0)
        self._loop.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(app, tmp_path)
    spool = tmp_path / "spool"
    spool.mkdir()
    with made.config.open("a") as file:
        file.write(f"[spool]\npath = '{spool}'\n")
    yield made
    made.directory.close()


@pytest.fixture
def counting(line: CommandLine) -> Iterator[Counting]:
    made = Counting(config.load(line.config).spool.path)
    yield made
    made.end()


def test_what_is_used_of_the_limits(line: CommandLine, counting: Counting) -> None:
    line("account", "create", "shop", "--rate", "2.5", "--quota", "200000", "--over-quota", "smooth")
    counting.sent = 50_000
    assert line("account", "quota", "shop").splitlines() == [
        "sent last 24 hours: 50,000 (25%)",
        "max 24 hours:       200,000",
        "max send rate:      2.5/s",
        "over quota:         smooth",
    ]
    assert line.json("account", "quota", "shop") == {
        "name": "shop",
        "sent_last_24_hours": 50_000,
        "max_24_hours": 200_000,
        "max_send_rate": 2.5,
        "over_quota": "smooth",
    }
    assert counting.asked == [{"account": 1, "is_limited": True}] * 2


def test_without_limits(line: CommandLine, counting: Counting) -> None:
    line("account", "create", "shop", "--rate", "unlimited", "--quota", "unlimited")
    counting.sent = 7
    head, *limits, _ = line("account", "quota", "shop").splitlines()
    assert head == "sent last 24 hours: 7"
    assert [one.split()[-1] for one in limits] == ["unlimited", "unlimited"]
    assert counting.asked == [{"account": 1, "is_limited": False}]


def test_no_relay_runs(line: CommandLine) -> None:
    line("account", "create", "shop")
    assert "start it with `relay run`" in line.error("account", "quota", "shop")
    assert "nobody" in line.error("account", "quota", "nobody")


def test_statistics_by_the_quarter_of_an_hour(line: CommandLine) -> None:
    line("account", "create", "shop")
    assert line.json("account", "statistics", "shop") == []
    now = int(SystemClock().now())
    statistics = Statistics(config.load(line.config).spool.path)
    for at in (now - 3 * 86_400, now):
        place = Place(1, at // 900 * 900, "shop.example", "there.example")
        statistics.add({place: Counts(sent=2, delivered=1, hard=1, soft=5, complaints=3, rejects=4)}, {1: 1})
    statistics.close()
    (recent,) = line.json("account", "statistics", "shop", "--days", "1")
    assert len(line.json("account", "statistics", "shop")) == 2
    quarter = moment(now // 900 * 900)
    counted = {"attempts": 2, "deliveries": 1, "bounces": 1, "complaints": 3, "rejects": 4}
    assert recent == {"from": quarter, **counted}
    shown = line("account", "statistics", "shop", "--days", "1").splitlines()
    assert shown[0].split() == ["FROM", *(name.upper() for name in counted)]
    assert shown[1].split() == [quarter, "2", "1", "1", "3", "4"]
