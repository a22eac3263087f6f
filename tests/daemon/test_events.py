"""``relay events tail``, at a log that is there and at a relay that runs."""

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
from relay.spool import schema
from relay.spool.recover import shard_folder
from tests.daemon.commandline import CommandLine
from tests.fakes.event_log import Shards
from tests.fakes.prepared import message, wait_until
from tests.fakes.running import RunningRelay

ROOT = Path(__file__).parents[2]
SEND, DELIVERY, BOUNCE = EventKind.SEND, EventKind.DELIVERY, EventKind.BOUNCE


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


def tail(line: CommandLine, *words: str) -> list[dict[str, object]]:
    return [json.loads(one) for one in line("tail", "--json", *words).splitlines()]


def offsets(found: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(one["shard"], one["offset"]) for one in found]


def test_the_last_ones_come_oldest_first(line: CommandLine, shards: Shards) -> None:
    for at in range(30):
        shards.add(1 + at % 2, 1 + at % 2, at=float(at))
    found = tail(line)
    assert [one["at"] for one in found] == [float(at) for at in range(10, 30)]
    assert tail(line, "-n", "2") == found[-2:]
    assert tail(line, "-n", "0") == []
    assert set(found[0]) == {
        "shard", "offset", "at", "kind", "message_id", "account_id", "detail", "cursor",
    }  # fmt: skip
    assert [len(line("tail", "-n", "3").splitlines()), line("tail", "-n", "1").split()[1]] == [3, "Delivery"]


def test_whoever_hands_back_a_cursor_sees_what_comes_behind_it(line: CommandLine, shards: Shards) -> None:
    for at in range(10):
        shards.add(1 + at % 2, 1 + at % 2, at=float(at))
    whole = tail(line, "--from", "beginning")
    assert len(whole) == 10
    for place, one in enumerate(whole):
        assert tail(line, "--from", str(one["cursor"])) == whole[place + 1 :]
    recent = tail(line, "-n", "4")  # these are by time
    for place, one in enumerate(recent):
        seen = offsets(recent[: place + 1])
        rest = offsets(tail(line, "--from", str(one["cursor"])))
        assert set(offsets(recent)) - set(seen) <= set(rest)
    assert offsets(tail(line, "--from", "1970-01-01T00:00:06")) == [(1, 4), (1, 5), (2, 4), (2, 5)]
    assert tail(line, "--from", "end") == []


def test_only_what_is_asked_for(line: CommandLine, shards: Shards) -> None:
    line.directory.accounts.create("other")
    line.directory.accounts.create("shop")
    of = {"shop": line.directory.accounts.show("shop").id, "other": line.directory.accounts.show("other").id}
    shards.add(1, 1, SEND, account=of["shop"], detail='{"identity":"Shop.example"}')
    shards.add(2, 2, SEND, account=of["other"], detail='{"identity":"other.example"}')
    shards.add(1, 1, DELIVERY, account=of["shop"])
    shards.add(2, 2, DELIVERY, account=of["other"])
    shards.add(2, 1, BOUNCE, account=of["shop"], detail='{"identity":"shop.example"}')
    shop = [(1, 1), (1, 2), (2, 3)]
    for words in ([], ["--from", "beginning"]):
        assert sorted(offsets(tail(line, *words, "--account", "shop"))) == shop
        assert sorted(offsets(tail(line, *words, "--identity", "shop.example"))) == shop
        assert sorted(offsets(tail(line, *words, "--message", shards.ids[0]))) == shop
        both = ["--kind", "Bounce", "--kind", "Send"]
        assert sorted(offsets(tail(line, *words, *both, "--account", "shop"))) == [(1, 1), (2, 3)]
    assert offsets(tail(line, "--message", shards.ids[0], "-n", "1")) == [(2, 3)]
    assert offsets(tail(line, "--message", shards.ids[0], "--kind", "Send")) == [(1, 1)]


def test_as_topics_are_told(line: CommandLine, shards: Shards) -> None:
    shards.add(1, 1, SEND, detail='{"source":"a@a.example","destination":["x@r.example"]}')
    shards.add(1, 1, BOUNCE, detail='{"recipient":"x@r.example","bounceType":"Permanent"}')
    told = [json.loads(one) for one in line("tail", "--ses", "--kind", "Bounce").splitlines()]
    assert [(one["notificationType"], one["mail"]["source"]) for one in told] == [("Bounce", "a@a.example")]
    assert line._run(("tail", "--ses", "--json"), None).exit_code == 2


def test_what_cannot_be_done_is_said(line: CommandLine, shards: Shards) -> None:
    assert "no place in the event log" in line.error("tail", "--from", "yesterday")
    assert "no shard 9" in line.error("tail", "--from", "9:1")
    assert "not a message id" in line.error("tail", "--message", "x")
    assert "nobody" in line.error("tail", "--account", "nobody")
    shards.writers.pop(2).close()
    (shard_folder(shards.path, 2) / schema.DATABASE).write_bytes(b"no database" * 100)
    assert "cannot read the events" in line.error("tail", "--from", "beginning")


def test_events_that_were_dropped_are_said_to_be(line: CommandLine, shards: Shards) -> None:
    shards.add(1, 1, count=10)
    shards.writers[1].execute("DELETE FROM event WHERE offset < 6")
    result = line._run(("tail", "--json", "--from", "1:2,2:0"), None)
    assert len(result.stdout.splitlines()) == 5
    assert result.stderr == "relay: about 3 events were dropped before they were read ([events])\n"


class Following:
    """``relay events tail --follow`` as a process of its own."""

    def __init__(self, config: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "relay", "--config", config, "events", "tail", "-f", "--json", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip

    def next(self) -> dict[str, object]:
        """The next line; waits for it."""
        assert self.process.stdout is not None
        found: dict[str, object] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> str:
        """Ctrl-C; what it said on standard error."""
        self.process.send_signal(signal.SIGINT)
        rest, said = self.process.communicate(timeout=30)
        assert (rest, self.process.returncode) == (b"", 0)
        return said.decode()

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_following_goes_through_a_database_that_is_gone_for_a_while(
    line: CommandLine, shards: Shards
) -> None:
    """Neither missed nor repeated: the database is away, is another one with a gap, and grows on."""
    shards.add(1, 1)
    shards.add(2, 2, count=3)
    with Following(line.config, "--from", "beginning") as following:
        assert offsets([following.next() for _ in range(4)]) == [(1, 1), (2, 1), (2, 2), (2, 3)]
        folder = shard_folder(shards.path, 2)
        shards.writers.pop(2).close()
        aside = folder.with_name("aside")
        aside.mkdir()
        for name in os.listdir(folder):
            (folder / name).rename(aside / name)
        (folder / schema.DATABASE).write_bytes(b"no database" * 100)
        assert following.process.stderr is not None
        assert b"cannot read the events" in following.process.stderr.readline()
        shards.add(1, 1)
        building = folder.with_name("building")
        building.mkdir()
        writer = schema.open_writer(building)
        writer.execute("INSERT INTO event VALUES (1000, 0, 'Gap', '', 0, '{}')")
        writer.close()
        (building / schema.DATABASE).rename(folder / schema.DATABASE)
        assert sorted(offsets([following.next(), following.next()])) == [(1, 2), (2, 1000)]
        shards.writers[2] = schema.open_writer(folder)
        shards.add(2, 2)
        assert offsets([following.next()]) == [(2, 1001)]
        assert following.end() == ""


def test_following_a_relay_whose_worker_dies(running: RunningRelay) -> None:
    """All that came, once; the cursor of the first line leads to the same."""
    first = running.send(message("one"))
    with Following(running.file, "-n", "1", "--kind", "Send") as following:
        before = following.next()
        assert before["message_id"] == first
        pids = running.worker_pids()
        sent = [running.send(message("two")) for _ in range(3)]
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: pids[0] not in (now := running.worker_pids()) and len(now) == 2, "another one")
        wait_until(running.is_ready, "it is ready")
        sent += [running.send(message("three")) for _ in range(3)]
        found = [following.next() for _ in sent]
        assert sorted(str(one["message_id"]) for one in found) == sorted(sent)
        following.end()
    words = ["events", "tail", "--json", "--from", str(before["cursor"]), "--kind", "Send"]
    again = [json.loads(one) for one in running.command(*words).stdout.splitlines()]
    assert sorted(offsets(again)) == sorted(offsets(found))
