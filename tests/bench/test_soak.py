"""The harness of ``make soak``: what it decides, what it finds, and a run of seconds of all of it."""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.soak import mails, report, room, watch
from bench.soak.mails import LATER, NOBODY, SENDERS
from bench.soak.plan import plan
from bench.soak.promise import compare
from bench.soak.slope import line, settled
from bench.soak.watch import Life, Sample
from tests.crash import mail

ROOT = Path(__file__).parents[2]


def noisy(per_hour: float, seconds: int, noise: float = 1.0) -> list[tuple[float, float]]:
    """Samples each five seconds that grow by so much, with noise that lasts from one to the next."""
    chance, drift, found = random.Random(7), 0.0, []
    for at in range(0, seconds, 5):
        drift = 0.8 * drift + chance.gauss(0, noise)
        found.append((float(at), 100 + per_hour * at / 3600 + drift))
    return found


@pytest.mark.parametrize("per_hour", [0.0, 20.0, -30.0])
def test_a_line_encloses_what_grows_under_noise(per_hour: float) -> None:
    found = line(noisy(per_hour, 3600))
    assert found is not None
    assert found.lower < per_hour < found.upper
    assert found.error < 3


def test_noise_alone_is_no_growth_and_growth_is_found_in_it() -> None:
    level, leak = line(noisy(0, 1800)), line(noisy(60, 1800))
    assert level is not None
    assert leak is not None
    assert level.lower < report.RSS_MB_H < leak.lower


def test_one_wild_sample_and_a_warm_up_move_no_line() -> None:
    samples = [(float(at), 100.0) for at in range(0, 600, 5)]
    samples[60] = (300.0, 900.0)
    found = line(samples)
    assert found is not None
    assert found.per_hour == 0
    warming = [(at, min(at, 100.0)) for at, _ in samples]
    found = line(settled(warming))
    assert found is not None
    assert (found.per_hour, found.error) == (0, 0)
    assert line(samples[:7]) is None


def life(role: str, seconds: int, mb_per_hour: float, threads: int = 5) -> Life:
    samples = [
        Sample(at, value, 30, threads + (at > seconds / 2)) for at, value in noisy(mb_per_hour, seconds, 0.3)
    ]
    return Life(role, 1, samples)


def test_the_table_judges_long_lives_only() -> None:
    rows = report.judge_all(
        [life("worker 1", 100, 500), life("worker 0", 1800, 60), life("notifier", 1800, 0), life("x", 10, 0)]
    )
    assert [row["process"] for row in rows] == ["notifier", "worker 0", "worker 1"]
    assert [row["grows"] for row in rows] == [[], ["rss_mb"], []]
    shown = report.table(rows).splitlines()
    assert [one.split("  ")[-1] for one in shown[1:]] == ["flat", "rss_mb", "too short"]
    (large,) = report.judge_all([life("worker 0", 400, 6000)])
    assert large["grows"] == ["above 400 MB"]
    assert report.table([large]).endswith("  above 400 MB")


def test_the_plan_leaves_long_lives_and_is_the_same_for_the_same_seed() -> None:
    steps = plan(3600, 5, ("a", "b"))
    assert steps == plan(3600, 5, ("a", "b")) == sorted(steps)
    assert steps != plan(3600, 6, ("a", "b"))
    at = {what: [one.at_s for one in steps if one.what == what] for what in {one.what for one in steps}}
    assert at["restart"] == [900], "after it a life of 45 minutes"
    assert max(at["kill supervisor"] + at["kill notifier"]) < 900
    assert len(at["kill worker"]) == 24
    assert max(max(one) for one in at.values()) <= 3600
    assert {one.how for one in steps if one.what == "chore"} == {"a", "b"}
    assert "kill supervisor" not in {one.what for one in plan(20, 5, ("a",))}


def test_what_is_sent_is_of_all_kinds_and_knows_where_it_belongs() -> None:
    made = [mails.make(number, SENDERS[number % 4].address) for number in range(1, 2000)]
    sizes = [len(one.content) for one in made]
    assert max(sizes) > 9_000_000
    assert min(sizes) < 1500
    assert 10_000 < sum(sizes) / len(sizes) < 40_000
    domains = Counter(address.rpartition("@")[2] for one in made for address in one.recipients)
    assert {*mails.GIVES_UP, mails.BY_NAME, mail.NARROW, *mail.DOMAINS} == domains.keys()
    times = Counter(address for one in made for address in one.recipients)
    again = {address: count for address, count in times.items() if count > 1}
    assert set(again.values()) == {2}, "one bounced address is tried again, once"
    assert all(address.endswith(f"@{NOBODY}") for address in again)


def test_promises_are_compared() -> None:
    promised = Counter(
        ["a@x", "b@x", "c@x", f"n@{NOBODY}", f"n@{NOBODY}", f"l@{LATER}", "d@x", f"g@{mail.GONE}", "e@x"]
    )
    arrived = Counter({"a@x": 1, "c@x": 2, f"l@{LATER}": 1, "d@x": 2, "never promised@x": 1})
    reported = Counter({f"n@{NOBODY}": 1, f"l@{LATER}": 1, f"g@{mail.GONE}": 1, "e@x": 1})
    found = compare(promised, arrived, reported, {"c@x"}, ["app@x"])
    assert sorted(found.lost) == ["b@x", f"n@{NOBODY}"]
    assert found.given_up_wrongly == ["e@x"]
    assert (found.twice, found.unlisted, found.bounced_later) == (2, ["d@x"], 1)
    assert not found.is_kept
    assert compare(Counter(["a@x"]), Counter(["a@x"]), Counter(), (), ()).is_kept
    assert not compare(Counter(), Counter(), Counter(), (), ()).is_kept


def test_files_are_told_apart_and_left_overs_found(tmp_path: Path) -> None:
    for name in ("spool/shard-000001/large/one", "spool/shard-000001/spool.db", "tmp/forgotten", "relay.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(1 << 20))
    assert room.measure(tmp_path) == {"large messages": 1, "log": 1, "spool.db": 1, "temporary": 1}
    assert room.left_over(tmp_path) == ["spool/shard-000001/large/one", "tmp/forgotten"]


async def test_a_process_is_watched_for_as_long_as_it_lives() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "print('here', flush=True); input()", "notifier"), stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"  # before, it is still a copy of us
    async with watch.Watch(lambda: (process.pid, [process.pid]), 60) as watching:
        found = watching.sample()
        assert found.keys() == {"supervisor", "notifier"}
        assert found["notifier"].threads == 1
        assert found["notifier"].rss_mb > 1
        watching.is_kept = False
        watching.sample()
        process.kill()
        await process.wait()
        watching.is_kept = True
        assert watching.sample() == {}
    assert [len(one.samples) for one in watching.lives.values()] in ([1, 1], [2, 2])  # it may have begun


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_of_seconds(tmp_path: Path) -> None:
    words = ["--minutes", "0.15", "--rate", "30", "--seed", "1", "--folder", str(tmp_path / "soak")]
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak", *words], cwd=ROOT, capture_output=True, text=True, timeout=580
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["good"]
    assert found["accepted"] > 100
    assert found["promises"]["reported"] > 0
    assert found["hearing"]["told"] > 0
    assert found["deaths"]["restart"] == 1
    assert found["deaths"]["kill worker"] == 1
    assert min(found["sessions"].values()) > 0
    assert found["sessions"].keys() == {"plain", "starttls", "wrapper"}
    assert (tmp_path / "soak" / "samples.csv").read_text().count("\n") > 10
