"""``relay queue``: looking and changing, at mail that waits for a next hop that is down."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.daemon.commands.app import app
from tests.fakes.prepared import ACCOUNT, SENDER, message, wait_until
from tests.fakes.running import RunningRelay


class Queue:
    def __init__(self, relay: RunningRelay) -> None:
        self.relay = relay

    def __call__(self, *words: str) -> tuple[int, str, str]:
        environment = {"RELAY_CONFIG": str(self.relay.file)}
        result = CliRunner(env=environment).invoke(app, ["queue", *words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    def json(self, *words: str) -> Any:
        status, said, error = self(*words, "--json")
        assert status == 0, error
        return json.loads(said)

    def put(self, *addresses: str, content: bytes = b"") -> str:
        """Hand a message in and wait until it has been tried; its id."""
        before = {row["id"] for row in self.json("list")}
        with self.relay.client() as client:
            client.sendmail(SENDER, list(addresses), content or message("waits"))

        def tried() -> list[dict[str, Any]]:
            rows = [row for row in self.json("list") if row["id"] not in before]
            return [row for row in rows if row["attempts"]]

        (row,) = wait_until(tried, "it was tried")
        return str(row["id"])


@pytest.fixture
def queue(running: RunningRelay) -> Iterator[Queue]:
    made = Queue(running)
    yield made
    made("delete", "--all")
    assert made.json("list") == []


def test_what_waits_is_listed_shown_and_counted(queue: Queue) -> None:
    one = queue.put("a@receiver.example", "b@receiver.example")
    (row,) = queue.json("list")
    assert {name: row[name] for name in ("id", "state", "attempts", "sender", "recipients")} == {
        "id": one,
        "state": "deferred",
        "attempts": 1,
        "sender": SENDER,
        "recipients": 2,
    }
    shown = queue.json("show", one)
    assert (shown["sender"], shown["mail_from"]) == (SENDER, SENDER)
    assert [r["recipient"] for r in shown["recipients"]] == ["a@receiver.example", "b@receiver.example"]
    assert all(r["reply"] for r in shown["recipients"])  # why it waits
    counted = queue.json("count")
    assert (counted["messages"], counted["recipients"], counted["domains"]) == (1, 2, {"receiver.example": 2})
    for words in (["list"], ["show", one], ["count"]):
        status, said, _ = queue(*words)
        assert status == 0
        assert "receiver.example" in said


def test_what_control_fields_asked_is_shown(queue: Queue) -> None:
    one = queue.put("a@receiver.example")
    assert queue.json("show", one)["control"] == {}
    queue("delete", "--all")
    fields = b"X-SES-CONFIGURATION-SET: news\r\nX-SES-MESSAGE-TAGS: campaign=book, day=monday\r\n"
    one = queue.put("a@receiver.example", content=fields + message("tagged"))
    tags = {"ses:configuration-set": ["news"], "campaign": ["book"], "day": ["monday"]}
    assert queue.json("show", one)["control"] == {"tags": tags}
    said = queue("show", one)[1]
    assert re.search(r"^configuration set: +news$", said, re.MULTILINE)
    assert re.search(r"^tags: +campaign=book, day=monday$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], True),
        (["--domain", "Receiver.example"], True),
        (["--domain", "elsewhere.example"], False),
        (["--account", ACCOUNT, "--sender", SENDER, "--state", "deferred", "--newer", "1h"], True),
        (["--sender", ""], False),
        (["--older", "1h"], False),
        (["--state", "held"], False),
    ],
)
def test_filters_must_all_match(queue: Queue, filters: list[str], found: bool) -> None:
    queue.put("a@receiver.example")
    assert bool(queue.json("list", *filters)) is found
    assert queue.json("flush", *filters) == {"flush": int(found)} if filters else True


def test_hold_release_delete(queue: Queue) -> None:
    one, two = queue.put("a@receiver.example"), queue.put("b@receiver.example")
    assert queue("hold", one)[1] == "1 recipients are held\n"
    assert {row["id"]: row["state"] for row in queue.json("list")} == {one: "held", two: "deferred"}
    assert queue.json("release", "--state", "held") == {"release": 1}
    assert queue("delete", one)[1] == "1 messages are deleted\n"
    assert [row["id"] for row in queue.json("list")] == [two]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["delete"], "name messages or filters, or say --all for the whole queue"),
        (["delete", "nonsense"], "'nonsense' is not a message id; `relay queue list` shows them"),
        (["hold", "--state", "nonsense"], "'nonsense' is no state; there are "),
        (["flush", "--older", "soon"], "is not a duration"),
        (["flush", "--account", "nobody"], "nobody"),
        (["list", "--order", "nonsense"], "is no order; there are oldest, newest, due"),
        (["show", "nonsense"], "is not a message id"),
    ],
)
def test_errors_are_one_line(queue: Queue, words: list[str], said: str) -> None:
    status, out, error = queue(*words)
    assert (status, out) == (1, "")
    assert error.startswith("relay: ")
    assert len(error.splitlines()) == 1
    assert said in error


def test_what_is_gone_is_said_to_be_gone(queue: Queue) -> None:
    one = queue.put("a@receiver.example")
    queue("delete", one)
    assert "is not in the queue: delivered, bounced, deleted, or never here" in queue("show", one)[2]


def test_nothing_is_said_to_people_only(queue: Queue) -> None:
    assert queue("list") == (0, "", "nothing waits\n")
    assert queue("uncertain") == (0, "", "nothing is uncertain\n")
    assert queue.json("uncertain") == []
