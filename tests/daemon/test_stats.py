"""``relay stats``, over a file that a notifier might have filled."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.base.clock import SystemClock
from relay.base.counts import Counts, Place
from relay.base.events import Change, Event, EventKind
from relay.daemon.commands.app import app
from relay.daemon.commands.rows import moment
from relay.spool import schema
from relay.spool.shard import Shard, SpoolLimits
from relay.spool.statistics import Statistics
from relay.verdict.reputation import Health, Standing, Status
from relay.verdict.standing_text import written
from tests.daemon.commandline import CommandLine
from tests.daemon.test_quota import Counting

DAY = 86_400


def made_in(folder: Path) -> CommandLine:
    made = CommandLine(app, folder)
    (folder / "spool").mkdir()
    with made.config.open("a") as file:
        file.write(f"[spool]\npath = '{folder / 'spool'}'\n")
    made("account", "create", "shop", "--quota", "2000", "--rate", "2.5")
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[CommandLine]:
    """Nothing was sent."""
    made = made_in(tmp_path)
    yield made
    made.directory.close()


@pytest.fixture(scope="module")
def quarter() -> int:
    """The start of this one."""
    return int(SystemClock().now()) // 900 * 900


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, quarter: int) -> Iterator[CommandLine]:
    """With mail in this quarter and three days ago; nobody may change it."""
    made = made_in(tmp_path_factory.mktemp("stats"))
    statistics = Statistics(made.config.parent / "spool")
    here = Place(1, quarter, "shop.example", "a.example")
    statistics.add(
        {
            here: Counts(sent=1000, delivered=900, hard=80, soft=3, complaints=1, mails=1000, bounced=80),
            here._replace(identity="news.example", domain="b.example"): Counts(
                sent=50, delivered=50, mails=50
            ),
            here._replace(start=quarter - 3 * DAY): Counts(sent=7, rejects=1, suppressed=2),
        },
        {1: 1},
    )
    review = Health(Status.UNDER_REVIEW, Status.UNDER_REVIEW)
    statistics.put_standing(1, written(Standing(bounce=review)))
    statistics.close()
    yield made
    made.directory.close()


def test_an_account_on_one_screen(line: CommandLine, quarter: int) -> None:
    running = Counting(line.config.parent / "spool")
    try:
        running.sent = 1057
        shown = line("stats", "--account", "shop", "--since", "2d")
        found = line.json("stats", "--account", "shop", "--since", "2d")
    finally:
        running.end()
    lines = dict(one.split(":", 1) for one in shown.partition("\n\n")[0].splitlines())
    assert {name: text.strip() for name, text in lines.items() if name != "since"} == {
        "account": "shop",
        "status": "Under review",
        "sent": "1,050",
        "delivered": "950",
        "bounced": "80 hard, 3 soft",
        "complaints": "1",
        "rejects": "0",
        "suppressed": "0",
        "bounce rate": f"7.62%, Under review (80 of 1,050 since {moment(quarter)})",
        "complaint rate": f"0%, Healthy (0 of 1,050 since {moment(quarter)})",
        "sent last 24 hours": "1,057 of 2,000",
        "max send rate": "2.5/s",
    }
    head, first, second = shown.partition("\n\n")[2].splitlines()
    assert head.split()[:4] == ["DOMAIN", "SENT", "DELIVERED", "BOUNCED"]
    assert first.split()[:4] == ["a.example", "1,000", "900", "80"]
    assert first.split()[-2:] == ["8%", "0%"]
    assert second.split()[0] == "b.example"
    assert found["quota"] == {"Max24HourSend": 2000.0, "MaxSendRate": 2.5, "SentLast24Hours": 1057.0}
    assert (found["sent"], found["bounced"], found["reputation"]["status"]) == (1050, 80, "Under review")


def test_all_accounts(line: CommandLine) -> None:
    found = line.json("stats")
    assert (found["sent"], found["rejects"], found["suppressed"]) == (1057, 1, 2)
    ((name, status),) = [(one["account"], one["status"]) for one in found["accounts"]]
    assert (name, status) == ("shop", "Under review")
    assert [one["domain"] for one in found["domains"]] == ["a.example", "b.example"]
    assert "ACCOUNT" in line("stats")


def test_narrowed_down(line: CommandLine) -> None:
    found = line.json("stats", "--account", "shop", "--identity", "News.Example", "--domain", "B.example")
    assert (found["identity"], found["domain"], found["sent"]) == ("news.example", "b.example", 50)
    assert found["reputation"]["status"] == ""
    assert found["quota"]["SentLast24Hours"] is None  # no relay runs
    assert "unknown of 2,000 (no relay runs)" in line("stats", "--account", "shop")


def test_points_as_get_send_statistics(line: CommandLine, quarter: int) -> None:
    found = line.json("stats", "--account", "shop", "--points")
    points = found["SendDataPoints"]
    assert [one["Timestamp"] for one in points] == [moment(quarter - 3 * DAY), moment(quarter)]
    assert points[1] == {
        "Timestamp": moment(quarter),
        "DeliveryAttempts": 1050,
        "Bounces": 80,
        "Complaints": 1,
        "Rejects": 0,
    }
    assert len(line.json("stats", "--points", "--since", "1h")["SendDataPoints"]) == 1
    assert line("stats", "--points").splitlines()[0].split() == [
        "TIMESTAMP",
        "DELIVERYATTEMPTS",
        "BOUNCES",
        "COMPLAINTS",
        "REJECTS",
    ]


def test_what_the_notifier_has_not_come_to_is_said(empty: CommandLine, tmp_path: Path) -> None:
    async def commit() -> None:
        async with AsyncExitStack() as stack:
            shard = await Shard.open(tmp_path / "spool", 1, SpoolLimits(0), SystemClock(), stack)
            await shard.commit(Change(events=[Event(SystemClock().now(), EventKind.NOTICE, "", 1)] * 3))

    asyncio.run(commit())
    assert empty.json("stats")["events_not_counted"] == 3
    with sqlite3.connect(tmp_path / "spool" / "shard-000001" / schema.DATABASE) as connection:
        connection.execute("INSERT INTO event VALUES (100000003, 1, ?, '', 0, '{}')", (EventKind.GAP.value,))
    connection.close()
    assert empty.json("stats")["events_not_counted"] == 4  # what a rebuild leaves out was nothing
    result: Any = CliRunner(env={"RELAY_CONFIG": str(empty.config)}).invoke(app, ["stats"])
    assert "note: 4 events are not counted yet" in result.stderr


def test_nothing_yet(empty: CommandLine) -> None:
    assert empty.json("stats")["sent"] == 0
    assert empty.json("stats", "--points") == {"SendDataPoints": []}
    assert "0%, Healthy (0 of none)" in empty("stats", "--account", "shop")


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (["--account", "nobody"], 1, "relay account list"),
        (["--since", "soon"], 2, "not a duration"),
        (["--identity", "odd"], 2, "not a domain name"),
    ],
)
def test_wrong_calls(line: CommandLine, words: list[str], status: int, named: str) -> None:
    result: Any = CliRunner(env={"RELAY_CONFIG": str(line.config), "COLUMNS": "300"}).invoke(
        app, ["stats", *words]
    )
    assert result.exit_code == status
    assert named in " ".join(result.stderr.split())


def test_a_file_that_cannot_be_read(empty: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "spool" / "statistics.db").write_bytes(b"x" * 8192)
    assert "statistics.db" in empty.error("stats")
