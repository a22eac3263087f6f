"""``relay suppression``, as the administrator types it."""

import json
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.daemon.commands.rows import moment
from relay.daemon.commands.suppression import app
from tests.daemon.commandline import CommandLine

BOUNCE, COMPLAINT = SuppressionReason
DAY = 86_400.0


@pytest.fixture
def suppression(tmp_path: Path):
    line = CommandLine(app, tmp_path)
    line.directory.accounts.create("shop")
    line.directory.accounts.create("blog")
    yield line
    line.directory.close()


def put(line: CommandLine, list_of: int, *addresses: str, age: float = 0.0, by: str = "") -> float:
    since = SystemClock().now() - age
    line.directory.suppression.put([(list_of, Listed(one, BOUNCE, since, by)) for one in addresses])
    return since


def test_the_life_of_an_entry(suppression: CommandLine) -> None:
    said = suppression("add", "Ann@X.example", "bob@x.example", "--account", "shop", "--reason", "complaint")
    assert said == "ann@x.example is on the list of shop\nbob@x.example is on the list of shop\n"
    rows = suppression.json("list", "--account", "shop")
    assert [(one["address"], one["reason"], one["message"]) for one in rows] == [
        ("ann@x.example", "COMPLAINT", ""),
        ("bob@x.example", "COMPLAINT", ""),
    ]
    assert suppression.json("list", "--account", "blog") == []
    assert suppression("remove", "ANN@x.example", "--account", "shop") == (
        "ann@x.example is off the list of shop\n"
    )
    assert [one["address"] for one in suppression.json("list", "--account", "shop")] == ["bob@x.example"]


def test_who_is_not_on_the_list_is_named(suppression: CommandLine) -> None:
    put(suppression, 1, "a@x.example")
    result = suppression._run(("remove", "a@x.example", "b@x.example", "--account", "shop"), None)
    assert (result.exit_code, result.stdout) == (1, "a@x.example is off the list of shop\n")
    assert result.stderr == "relay: not on the list of shop: b@x.example\n"


def test_where_an_address_is_and_why(suppression: CommandLine) -> None:
    since = put(suppression, SERVICE, "a@x.example", by="m1")
    put(suppression, 1, "a@x.example", by="m1")
    shown = suppression.json("show", "A@x.example")
    entry = {"address": "a@x.example", "reason": "BOUNCE", "since": moment(since), "message": "m1"}
    assert shown == [
        {"list": "service", **entry, "until": moment(since + 14 * DAY)},
        {"list": "shop", **entry},
    ]
    assert [one["list"] for one in suppression.json("show", "a@x.example", "--account", "shop")] == ["shop"]
    assert "not on any list" in suppression.error("show", "b@x.example")
    assert "not on that list" in suppression.error("show", "a@x.example", "--account", "blog")


def test_what_the_service_has_forgotten_is_not_shown(suppression: CommandLine) -> None:
    put(suppression, SERVICE, "old@x.example", age=15 * DAY)
    put(suppression, SERVICE, "new@x.example", age=13 * DAY)
    assert [one["address"] for one in suppression.json("list", "--service")] == ["new@x.example"]
    assert "old@" not in suppression("export", "--service")
    suppression.error("show", "old@x.example")
    text = suppression.config.read_text()
    suppression.config.write_text(text + '[suppression]\nservice_for = "20d"\n')
    assert len(suppression.json("list", "--service")) == 2


def test_a_list_is_seen_in_pages(suppression: CommandLine) -> None:
    put(suppression, 1, *(f"{n}@x.example" for n in range(5)))
    result = suppression._run(("list", "--account", "shop", "--limit", "2"), None)
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "ADDRESS",
        "0@x.example",
        "1@x.example",
    ]
    assert result.stderr == "more: --after 1@x.example\n"
    rest = suppression._run(("list", "--account", "shop", "--limit", "3", "--after", "1@x.example"), None)
    assert (len(rest.stdout.splitlines()), rest.stderr) == (4, "")


def test_a_page_by_time_and_reason(suppression: CommandLine) -> None:
    put(suppression, 1, "old@x.example", age=3 * DAY)
    since = put(suppression, 1, "new@x.example", age=DAY)
    assert [
        one["address"] for one in suppression.json("list", "--account", "shop", "--start", moment(since - 9))
    ] == ["new@x.example"]
    assert [
        one["address"] for one in suppression.json("list", "--account", "shop", "--end", str(since - 9))
    ] == ["old@x.example"]
    assert suppression.json("list", "--account", "shop", "--reason", "complaint") == []
    assert "no date" in suppression.error("list", "--account", "shop", "--start", "long ago")


def test_a_csv_file_in_and_out(suppression: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    lines = [
        f"{n}@x.example,{'BOUNCE' if n % 2 else 'COMPLAINT'},2026-01-0{n + 1}T00:00:00Z" for n in range(5)
    ]
    text = "address,reason,since\n" + "\n".join(lines) + "\n"
    file.write_text(text)
    assert suppression("import", str(file), "--account", "shop") == "5 addresses put on the list of shop\n"
    assert suppression("export", "--account", "shop") == text
    assert suppression("export", "--account", "shop", "--reason", "bounce").count("\n") == 3
    gone = suppression("import", "-", "--account", "shop", "--remove", answer="1@x.example\n9@x.example\n")
    assert gone == "1 addresses taken off the list of shop\n"
    assert suppression.directory.suppression.count(1) == 4


def test_bad_lines_are_named_and_the_others_are_done(suppression: CommandLine, tmp_path: Path) -> None:
    config = suppression.config.read_text()
    suppression.config.write_text(config + '[signing]\nservice_domain = "relay.example"\n')
    file = tmp_path / "list.csv"
    file.write_text(
        "a@x.example,BOUNCE\nnobody,BOUNCE\nsuccess@simulator.relay.example,BOUNCE\nb@x.example\n"
    )
    result = suppression._run(("import", str(file), "--account", "shop", "--json"), None)
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"list": "shop", "lines": 4, "changed": 1, "bad": 3}
    assert result.stderr.splitlines() == [
        "line 2: 'nobody' is no address: no @",
        "success@simulator.relay.example belongs to the mailbox simulator, which is on no list",
        "line 4: no reason: give BOUNCE or COMPLAINT in the second column",
        "relay: 3 of 4 lines are no entries: nothing was done for them",
    ]
    assert [one.address for one in suppression.directory.suppression.listed(1)] == ["a@x.example"]


def test_many_bad_lines_are_counted(suppression: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("nobody\n" * 30)
    result = suppression._run(("import", str(tmp_path / "list.csv"), "--service"), None)
    assert len(result.stderr.splitlines()) == 21
    assert "30 of 30 lines are no entries, 10 of them not named here" in result.stderr


def test_a_batch_is_whole_and_the_last_of_two_counts(
    suppression: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.daemon.commands.suppression._BATCH", 2)
    (tmp_path / "list.csv").write_text("".join(f"{n // 2}@x.example,BOUNCE,{n}\n" for n in range(10)))
    suppression("import", str(tmp_path / "list.csv"), "--account", "shop")
    assert [(one.address, one.since) for one in suppression.directory.suppression.listed(1)] == [
        (f"{n}@x.example", 2.0 * n + 1) for n in range(5)
    ]


@pytest.mark.parametrize("words", [("add", "a@x.example"), ("list",), ("export",), ("remove", "a@x.example")])
def test_one_list_is_to_be_named(suppression: CommandLine, words: tuple[str, ...]) -> None:
    assert "--account NAME, or --service" in suppression.error(*words)
    assert "--account NAME, or --service" in suppression.error(*words, "--account", "shop", "--service")
    assert "no account 'nobody'" in suppression.error(*words, "--account", "nobody")


def test_errors_name_the_fix(suppression: CommandLine, tmp_path: Path) -> None:
    assert "give name@example.org" in suppression.error("add", "", "--service")
    assert "no address: no @" in suppression.error("add", "nobody", "--service")
    assert "No such file" in suppression.error("import", str(tmp_path / "none.csv"), "--service")
    config = suppression.config.read_text()
    suppression.config.write_text(config + '[signing]\nservice_domain = "relay.example"\n')
    assert "simulator" in suppression.error("add", "bounce@simulator.relay.example", "--service")
