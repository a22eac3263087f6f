"""``relay queue``: looking and changing, at mail that waits for a next hop that is down."""

import asyncio
import json
import os
import pwd
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.daemon.commands import steer
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
        (["--site", "127.0.0.1"], True),
        (["--site", "mx:elsewhere.example"], False),
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
    assert queue("delete", one)[1] == "1 recipients are deleted\n"
    assert [row["id"] for row in queue.json("list")] == [two]


def test_a_dry_run_only_counts(queue: Queue) -> None:
    one = queue.put("a@receiver.example", "b@other.example")
    assert queue.json("delete", "--dry-run", "--all") == {"delete": 2, "dry_run": True}
    said = queue("delete", "--domain", "other.example", "--dry-run")[1]
    assert said == "1 recipients match; nothing was done\n"
    assert [(row["id"], row["recipients"]) for row in queue.json("list")] == [(one, 2)]


def test_deleted_with_a_word_to_the_sender(queue: Queue) -> None:
    one = queue.put("a@receiver.example")
    assert queue("delete", one, "--bounce")[1] == "1 recipients are deleted, and their senders are told\n"
    (row,) = queue.json("list")
    assert (row["sender"], row["recipient"]) == ("", SENDER)


def test_rerouted_and_back(queue: Queue) -> None:
    one = queue.put("a@receiver.example")
    said = queue("reroute", "--domain", "receiver.example", "--to", "127.0.0.1:9")[1]
    assert said == "1 recipients go to 127.0.0.1:9 now\n"
    assert queue.json("count")["domains"] == {"127.0.0.1:9": 1}
    assert queue.json("list", "--domain", "127.0.0.1:9")[0]["id"] == one
    assert queue("reroute", one, "--back")[1] == "1 recipients go where their addresses say\n"
    assert queue.json("count")["domains"] == {"receiver.example": 1}
    assert queue.json("reroute", "--all", "--back") == {"reroute": 0}


def test_what_is_done_is_logged_with_who_did_it(queue: Queue) -> None:
    queue.put("a@receiver.example")
    before = len(queue.relay.log())
    queue("hold", "--domain", "receiver.example")
    lines = queue.relay.log()[before:].splitlines()
    by = f" by={pwd.getpwuid(os.geteuid()).pw_name}"
    begins = next(line for line in lines if 'event="queue operation begins"' in line)
    assert " operation=hold " in begins
    assert " domain=receiver.example " in begins
    assert begins.endswith(by) or f"{by} " in begins
    changed = next(line for line in lines if 'event="queue changed"' in line)
    assert " recipients=1 " in changed
    assert by in changed
    queue.relay.wait_for_scrape('relay_queue_operations_total{worker=".",operation="hold"} ')


def test_what_holds_a_message_is_explained(queue: Queue) -> None:
    one = queue.put("a@receiver.example")
    found = queue.json("explain", one)
    (recipient,) = found["recipients"]
    assert (found["id"], found["account"], found["asked"]) == (one, ACCOUNT, "the relay")
    assert (recipient["limit"], recipient["advice"]) == ("backoff", f"relay queue flush {one}")
    assert recipient["why"].startswith("attempt 1 was answered: connect: ")
    assert recipient["route"]["site"] == recipient["lane"]["name"]
    assert recipient["route"]["hosts"][0].startswith("127.0.0.1:")
    said = queue("explain", one)[1]
    assert re.search(r"^limit: +backoff$", said, re.MULTILINE)
    assert re.search(r"^next attempt: +20..-..-..T..:..:..Z$", said, re.MULTILINE)
    queue("hold", one)
    (recipient,) = queue.json("explain", one)["recipients"]
    assert (recipient["limit"], recipient["next_at"]) == ("hold", None)
    queue("delete", one)
    assert "is not in the queue" in queue("explain", one)[2]


def test_a_paused_account_explains_that_accepted_mail_still_leaves(queue: Queue) -> None:
    one = queue.put("a@receiver.example")
    directory = queue.relay.directory()
    try:
        directory.accounts.pause(ACCOUNT)
        queue.relay.wait_for_directory(directory)
        assert queue.json("explain", one)["account_state"].startswith("paused: nothing new is accepted")
    finally:
        directory.accounts.resume(ACCOUNT)
        queue.relay.wait_for_directory(directory)
        directory.close()


def test_suspended_and_resumed(queue: Queue) -> None:
    one = queue.put("a@other.example")
    assert queue("suspended")[2] == "nothing is suspended\n"
    said = queue("suspend", "--domain", "Other.example", "--reason", "they asked")
    assert said == (0, "domain other.example is suspended\n", "")
    queue("suspend", "--account", ACCOUNT)
    assert [(row["kind"], row["name"], row["reason"]) for row in queue.json("suspended")] == [
        ("account", ACCOUNT, ""),
        ("domain", "other.example", "they asked"),
    ]
    directory = queue.relay.directory()
    queue.relay.wait_for_directory(directory)
    directory.close()
    assert queue("resume", "--account", ACCOUNT)[1] == f"account {ACCOUNT} is resumed\n"
    (recipient,) = queue.json("explain", one)["recipients"]
    assert recipient["limit"] == "suspension"
    assert recipient["advice"].startswith("relay queue resume --")
    assert queue("resume", "--all")[1] == "domain other.example is resumed\n"
    assert queue("resume", "--all") == (0, "", "nothing is suspended\n")
    log = queue.relay.log()
    assert 'event="deliveries are suspended"' in log
    assert " kind=domain target=other.example " in log
    assert 'event="deliveries are resumed"' in log


def test_above_a_number_a_terminal_is_asked(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    one = queue.put("a@receiver.example", "b@receiver.example")
    monkeypatch.setattr(steer, "ASK_ABOVE", 1)
    environment = {"RELAY_CONFIG": str(queue.relay.file)}

    def answered(answer: str, *words: str) -> Any:
        return CliRunner(env=environment).invoke(app, ["queue", "delete", one, *words], input=answer)

    monkeypatch.setattr(steer, "is_terminal", lambda: True)
    no = answered("n\n")
    assert no.exit_code == 1
    assert "deleted" not in no.stdout
    assert "delete 2 recipients? [y/N]" in no.stderr
    assert queue.json("list")[0]["recipients"] == 2
    assert answered("", "--yes").stdout == "2 recipients are deleted\n"


def test_ctrl_c_stops_after_the_step(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.put("a@receiver.example")
    real = steer.control.asking

    @asynccontextmanager
    async def asking(path: Path) -> AsyncIterator[Any]:
        async with real(path) as ask:

            async def interrupted(what: str, timeout_s: float, **fields: Any) -> Any:
                answer = await ask(what, timeout_s, **fields)
                if what == "steer":
                    signal.raise_signal(signal.SIGINT)
                    for _ in range(5):  # the loop hears of the signal
                        await asyncio.sleep(0)
                return answer

            yield interrupted

    monkeypatch.setattr(steer.control, "asking", asking)
    status, said, error = queue("hold", "--all")
    assert (status, said) == (130, "1 recipients are held\n")
    assert error == "stopped; the rest is as it was\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["delete"], "name messages or filters, or say --all for the whole queue"),
        (["reroute", "--all"], 'say --to "host:port", or --back to undo it'),
        (["reroute", "--all", "--to", "a:25", "--back"], 'say --to "host:port", or --back to undo it'),
        (["reroute", "--all", "--to", "no port:x"], "is not host:port"),
        (["reroute", "--to", "a:25"], "name messages or filters, or say --all"),
        (["delete", "--bounce"], "name messages or filters, or say --all"),
        (["suspend"], "name one thing: --site, --domain or --account"),
        (["suspend", "--site", "a", "--domain", "b"], "name one thing"),
        (["suspend", "--account", "nobody"], "no account 'nobody'"),
        (["resume", "--domain", "a.example"], "domain a.example is not suspended"),
        (["explain", "nonsense"], "'nonsense' is not a message id"),
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
