"""``relay topic``, as the administrator types it."""

import json
from pathlib import Path

import pytest

from relay.base.events import EventKind
from relay.daemon.commands.topic import app
from tests.daemon.commandline import CommandLine
from tests.fakes.notification_schema import SCHEMA

URL = "https://hooks.example.org/relay"


@pytest.fixture
def topic(tmp_path: Path):
    line = CommandLine(app, tmp_path)
    line.directory.accounts.create("shop")
    line.directory.identities.add("shop", "joe@example.org", is_verified=True)
    yield line
    line.directory.close()


def test_a_topic_is_created_and_its_secret_printed_once(topic: CommandLine) -> None:
    new = topic.json("create", "shop", "orders", "--url", URL, "--sns")
    assert new == {
        "name": "orders",
        "account": "shop",
        "url": URL,
        "envelope": "sns",
        "state": "active",
        "reason": "",
        "created": new["created"],
        "arn": "arn:aws:sns:eu-west-1:000000000001:orders",
        "secret": new["secret"],
    }
    assert len(new["secret"]) == 40
    [listed] = topic.json("list")
    assert listed == {name: value for name, value in new.items() if name != "secret"}
    shown = topic("list", "shop") + topic("show", "orders") + topic("show", "orders", "--json")
    assert new["secret"] not in shown


def test_people_read_it_line_by_line(topic: CommandLine) -> None:
    said = topic("create", "shop", "orders", "--url", URL)
    names = [line.partition(":")[0] for line in said.splitlines()]
    assert names == ["name", "account", "url", "envelope", "state", "reason", "created", "secret"]
    head, line = topic("list").splitlines()
    assert head.split() == ["NAME", "ACCOUNT", "URL", "ENVELOPE", "STATE", "REASON", "CREATED"]
    assert line.split()[:5] == ["orders", "shop", URL, "raw", "active"]


def test_who_tells_it_is_shown(topic: CommandLine) -> None:
    topic("create", "shop", "orders", "--url", URL)
    topic.directory.notifications.set(
        "joe@example.org",
        topics={EventKind.BOUNCE: "orders", EventKind.COMPLAINT: "orders"},
        is_forwarding=False,
    )
    assert topic.json("show", "orders")["told_by"] == {"joe@example.org": ["bounce", "complaint"]}
    shown = topic("show", "orders", "--account", "shop")
    assert "joe@example.org (bounce, complaint)" in shown
    gone = topic("delete", "orders")
    assert gone == "orders is deleted; bounces and complaints of joe@example.org are mailed again\n"
    assert topic.json("list") == []


def test_it_moves(topic: CommandLine) -> None:
    topic("create", "shop", "orders", "--url", URL, "--sns")
    moved = topic.json("set", "orders", "--url", "https://new.example.org/", "--account", "shop")
    assert (moved["url"], moved["envelope"]) == ("https://new.example.org/", "sns")
    assert topic.json("set", "orders", "--raw")["envelope"] == "raw"
    assert "has to be https" in topic.error("set", "orders", "--url", "ftp://new.example.org/")
    with pytest.raises(AssertionError, match="give --url, --sns or --raw"):
        topic("set", "orders")


def test_rotated_and_activated(topic: CommandLine) -> None:
    first = topic.json("create", "shop", "orders", "--url", URL)["secret"]
    second = topic.json("rotate", "orders")["secret"]
    assert (len(second), second != first) == (40, True)
    topic.directory.topics.drop(1, "410 Gone for a day")
    assert topic.json("show", "orders")["reason"] == "410 Gone for a day"
    assert topic("activate", "orders") == "orders is active\n"
    assert topic.json("show", "orders")["state"] == "active"
    assert topic("delete", "orders") == "orders is deleted\n"


def test_the_schema_of_what_is_posted_is_printed(topic: CommandLine) -> None:
    assert json.loads(topic("schema")) == SCHEMA


def test_errors_are_one_line_that_names_the_fix(topic: CommandLine) -> None:
    assert "has to be https" in topic.error("create", "shop", "orders", "--url", "http://hooks.example.org/")
    assert "`relay account create blog`" in topic.error("create", "blog", "orders", "--url", URL)
    assert "`relay topic list`" in topic.error("show", "orders")
    topic("create", "shop", "orders", "--url", URL)
    assert "relay topic delete orders --account shop" in topic.error("create", "shop", "orders", "--url", URL)
