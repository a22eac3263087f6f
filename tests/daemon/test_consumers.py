"""Programs that take the event log piece by piece, each at its own pace."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.events import EventKind
from relay.daemon.commands.consumers import app
from relay.spool.positions import Positions
from tests.daemon.commandline import CommandLine
from tests.fakes.event_log import Shards

ROOT = Path(__file__).parents[2]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    one = CommandLine(app, tmp_path)
    with one.config.open("a") as file:
        file.write('[spool]\npath = "spool"\n')
    yield one
    one.directory.close()


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[Shards]:
    made = Shards(tmp_path / "spool", 2)
    yield made
    made.close()


def read(line: CommandLine, consumer: str, *words: str) -> list[tuple[int, int]]:
    found = [json.loads(one) for one in line("read", "--consumer", consumer, *words).splitlines()]
    return [(one["shard"], one["offset"]) for one in found]


def test_each_has_its_own_pace_and_nothing_comes_twice(line: CommandLine, shards: Shards) -> None:
    shards.add(1, 1, count=5)
    shards.add(2, 2, count=3)
    everything = [(1, n) for n in range(1, 6)] + [(2, n) for n in range(1, 4)]
    assert read(line, "fast") == everything
    assert read(line, "fast") == []
    slow = [read(line, "slow", "--limit", "1") for _ in range(9)]
    assert [len(one) for one in slow] == [1] * 8 + [0]
    assert sorted(one for page in slow for one in page) == everything
    shards.add(2, 2)
    assert read(line, "fast", "--limit", "9") == [(2, 4)]
    assert read(line, "late", "--from", "end") == []
    shards.add(1, 1)
    assert [read(line, name) for name in ("late", "fast", "slow")] == [[(1, 6)], [(1, 6)], [(1, 6), (2, 4)]]


def test_with_a_limit_it_gets_through_news_in_two_shards(line: CommandLine, shards: Shards) -> None:
    for shard, home in ((1, 2), (1, 1), (2, 1), (2, 2), (1, 2), (2, 1), (1, 1)):
        shards.add(shard, home)
    seen: list[tuple[int, int]] = []
    while page := read(line, "one", "--limit", "1"):
        seen += page
    assert sorted(seen) == [(1, n) for n in range(1, 5)] + [(2, n) for n in range(1, 4)]


def test_what_is_of_no_interest_is_passed_over(line: CommandLine, shards: Shards) -> None:
    line.directory.accounts.create("shop")
    shop = line.directory.accounts.show("shop").id
    for kind, account in ((EventKind.SEND, shop), (EventKind.BOUNCE, shop), (EventKind.BOUNCE, 77)):
        shards.add(1, 1, kind, account=account)
    assert read(line, "a", "--kind", "Bounce", "--limit", "1") == [(1, 2)]
    assert read(line, "b", "--kind", "Bounce", "--account", "shop") == [(1, 2)]
    assert read(line, "b") == []


def test_it_waits_if_it_is_told_to(line: CommandLine, shards: Shards) -> None:
    assert read(line, "one", "--wait", "0.01") == []
    words = ["events", "read", "--consumer", "one", "--wait", "50"]
    waiting = subprocess.Popen(
        [sys.executable, "-m", "relay", "--config", str(line.config), *words],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        shards.add(1, 1)
        out, _ = waiting.communicate(timeout=45)
    finally:
        waiting.kill()
        waiting.wait()
    assert json.loads(out)["offset"] == 1


def test_replay(line: CommandLine, shards: Shards) -> None:
    for at in range(6):
        shards.add(1 + at % 2, 1 + at % 2, at=float(at))
    assert len(read(line, "billing")) == 6
    assert line("seek", "billing", "--to", "1970-01-01T00:00:04") == "billing: 2 events to read\n"
    assert read(line, "billing") == [(1, 3), (2, 3)]
    line("seek", "billing", "--to", "1:2,2:3")
    assert read(line, "billing") == [(1, 3)]
    line("seek", "billing", "--to", "beginning")
    assert len(read(line, "billing")) == 6
    line("seek", "billing", "--to", "beginning")
    line("seek", "billing", "--to", "end")
    assert read(line, "billing") == []
    assert line("forget", "billing") == "billing is forgotten\n"
    assert len(read(line, "billing")) == 6


def test_who_has_fallen_behind_is_listed_and_told_once(line: CommandLine, shards: Shards) -> None:
    shards.add(1, 1, count=10)
    assert line.json("consumers") == []
    assert len(read(line, "slow", "--limit", "2")) == 2
    Positions(shards.path).set("relay/statistics", {1: 10, 2: 0}, 0.0)
    shards.writers[1].execute("DELETE FROM event WHERE offset <= 5")
    own, slow = line.json("consumers")
    assert (own["consumer"], own["waiting"], own["dropped"], own["cursor"]) == (
        "relay/statistics", 0, 0, "1:10,2:0",
    )  # fmt: skip
    assert (slow["consumer"], slow["waiting"], slow["dropped"], slow["cursor"]) == ("slow", 5, 3, "1:2,2:0")
    assert line("consumers").splitlines()[0].split() == ["CONSUMER", "WAITING", "DROPPED", "MOVED", "CURSOR"]
    first, second = (line._run(("read", "--consumer", "slow"), None) for _ in range(2))
    assert len(first.stdout.splitlines()) == 5
    assert first.stderr == "relay: about 3 events were dropped before they were read ([events])\n"
    assert (second.stdout, second.stderr) == ("", "")


@pytest.mark.parametrize("name", ["relay/statistics", "", "two words", "../x"])
def test_names_that_are_none_or_the_relays_own(line: CommandLine, shards: Shards, name: str) -> None:
    for words in (["read", "--consumer", name], ["seek", name, "--to", "end"], ["forget", name]):
        ended = line._run(tuple(words), None)
        assert ended.exit_code == 2
    assert Positions(shards.path).all() == {}


def test_nobody_is_forgotten(line: CommandLine, shards: Shards) -> None:
    assert (
        line.error("forget", "nobody") == "relay: no consumer 'nobody'; `relay events consumers` lists them"
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("how", ["killed", "its reader has gone"])
def test_whoever_is_cut_off_sees_the_same_again(
    line: CommandLine, shards: Shards, how: str, unbuffered: str
) -> None:
    """More than a pipe takes is written, so that it stands in the middle of a page."""
    shards.add(1, 1, count=3000, detail='{"reason":"' + "x" * 300 + '"}')
    words = ["events", "read", "--consumer", "one"]
    reading = subprocess.Popen(
        [sys.executable, "-m", "relay", "--config", str(line.config), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    assert reading.stdout is not None
    seen = [json.loads(reading.stdout.readline())["offset"] for _ in range(1200)]
    if how == "killed":
        os.kill(reading.pid, signal.SIGKILL)
    reading.stdout.close()
    assert reading.wait(30) != 0
    assert reading.stderr is not None
    assert b"Traceback" not in reading.stderr.read()
    reading.stderr.close()
    assert seen == list(range(1, 1201))
    again = [offset for _, offset in read(line, "one")]
    assert 1 < again[0] <= 1201  # whole pages were taken, and none that was not written
    assert again == list(range(again[0], 3001))
